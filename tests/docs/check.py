#!/usr/bin/env python3
"""Checks that the documents are true as far as a program can see it.

    python3 tests/docs/check.py

Every link leads somewhere, every path, test, setting and make target that is named exists, every REST
path is in docs/openapi.json, every decision is in the index, docs/PROTOCOL.md has every frame, code and
limit of the source and shows frames in the shape of the golden ones, and every example can be parsed: JSON, Python, shell, JavaScript, and Dart by tree-sitter,
which is installed into a virtual environment under the target folder at the first run. Prints what is
wrong, one line each, and ends with 1.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARSERS = ["tree-sitter==0.26.1", "tree-sitter-dart==0.1.0"]
DECISION_LINES_MAX = 70
DECISION_PARTS = ["Context", "Decision", "Weighed", "Consequences"]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(r"^(?:actors|src|tests|web|docs|migrations|deploy|\.ci)/[\w./*-]*$|^[A-Z]\w+\.(?:md|toml|lock)$")
TEST = re.compile(r"^[a-z0-9]+(?:_[a-z0-9]+){3,}$")
SETTING = re.compile(r"^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$")
TARGET = re.compile(r"\bmake ([a-z][\w-]*)")
REST = re.compile(r"/api/[\w/<>{}$.-]*")
# Made by a build, so not in a clean clone.
BUILT = ("web/dist", "web/node_modules", "web/test-results")


@cache
def tracked():
    """Gives the paths that git knows, or is about to."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )
    return [Path(line) for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def documents():
    """Gives every document, by its path from the root."""
    return {path: (ROOT / path).read_text() for path in tracked() if path.suffix == ".md"}


@cache
def sources(*endings):
    """Gives all text of files with one of these endings, or without any."""
    found = (ROOT / path for path in tracked() if path.suffix in endings)
    return "\n".join(path.read_text(errors="replace") for path in found)


@cache
def settings():
    """Gives all text that may name a setting: of the server, of files to deploy, and of the package for Django."""
    package = [path for path in tracked() if path.suffix == ".py" and path.is_relative_to("deploy")]
    return "\n".join([sources(".rs", "", ".yml", ".toml", ".conf"), *((ROOT / path).read_text() for path in package)])


@cache
def rest_paths():
    described = json.loads((ROOT / "docs/openapi.json").read_text())["paths"]
    return {re.sub(r"\{\w+\}", "{}", path) for path in described} | {"/api/docs/", "/api/openapi.json", "/api/"}


def anchors(text):
    """Gives the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_links(path, text):
    for link in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        to = (ROOT / path.parent / target).resolve() if target else ROOT / path
        if not to.exists():
            yield f"links to {link}, which isn't there"
        elif anchor and anchor not in anchors(to.read_text()):
            yield f"links to {link}, and there is no such heading"


def check_names(path, text):
    prose = FENCE.sub("", text)
    for name in dict.fromkeys(CODE.findall(prose)):
        if PATH.match(name) and not name.startswith(BUILT):
            there = (ROOT / name).exists() or (ROOT / path.parent / name).exists()
            if not there and not any(ROOT.glob(name.rstrip("/"))):
                yield f"names {name}, which isn't there"
        elif TEST.match(name) and not re.search(rf"\b{name}\b", sources(".rs", ".sql", ".ts")):
            yield f"names {name}, which no source has"
        elif SETTING.match(name) and not re.search(rf"\b{name}\b", settings()):
            yield f"names the setting {name}, which isn't there"
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.M))
    named = " ".join(CODE.findall(prose)) + "\n" + "\n".join(body for kind, body in FENCE.findall(text) if kind == "sh")
    for target in dict.fromkeys(TARGET.findall(named)):
        if target not in targets:
            yield f"names make {target}, which the Makefile hasn't"


def check_rest(path, text):
    for found in dict.fromkeys(REST.findall(LINK.sub("", text))):
        plain = re.sub(r"<[^>]*>|\$?\{[^}]*\}|\$\w+|[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/)\d+(?=/)", "{}", found)
        plain = plain.rstrip(".")
        if not any(known == plain or known.startswith(plain) and plain.endswith("/") for known in rest_paths()):
            yield f"names {found}, which docs/openapi.json hasn't"


def check_examples(path, text):
    for number, (kind, body) in enumerate(FENCE.findall(text), 1):
        for fault in EXAMPLES.get(kind, lambda body: [])(body):
            yield f"example {number} ({kind}): {fault}"


def parse_json(body):
    try:
        json.loads(body)
    except ValueError:
        for line in filter(None, body.splitlines()):
            try:
                json.loads(line)
            except ValueError as error:
                yield f"{error}: {line[:60]}"


def parse_python(body):
    try:
        compile(body, "example", "exec")
    except SyntaxError as error:
        yield str(error)


def parse_with(command, suffix):
    def parse(body):
        with tempfile.NamedTemporaryFile("w", suffix=suffix) as file:
            file.write(body)
            file.flush()
            ran = subprocess.run([*command, file.name], capture_output=True, text=True)
        if ran.returncode:
            yield ran.stderr.strip().splitlines()[0]
    return parse


def parse_dart(body):
    import tree_sitter
    import tree_sitter_dart

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_dart.language()))
    waiting = [parser.parse(body.encode()).root_node]
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            yield f"line {node.start_point[0] + 1} doesn't parse: {body.splitlines()[node.start_point[0]][:60]}"
        elif node.has_error:
            waiting.extend(node.children)


EXAMPLES = {
    "json": parse_json,
    "python": parse_python,
    "sh": parse_with(["bash", "-n"], ".sh"),
    "js": parse_with(["node", "--check"], ".mjs"),
    "dart": parse_dart,
}


def check_decisions(texts):
    """Gives what is wrong with the decisions and their index."""
    folder = Path("docs/adr")
    index = texts.get(folder / "README.md", "")
    numbers = {}
    for path, text in sorted(texts.items()):
        if path.parent != folder or path.name == "README.md":
            continue
        number = path.name[:4]
        if not re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", path.name):
            yield f"{path}: the name has another form than NNNN-name.md"
        if number in numbers:
            yield f"{path}: has the number of {numbers[number]}"
        numbers[number] = path
        title = text.splitlines()[0].lstrip("# ")
        if f"[{title}]({path.name})" not in index:
            yield f"{path}: is not in the index under its title"
        if len(text.splitlines()) > DECISION_LINES_MAX:
            yield f"{path}: is longer than a screen ({DECISION_LINES_MAX} lines)"
        missing = [part for part in DECISION_PARTS if f"\n## {part}" not in text]
        if missing:
            yield f"{path}: lacks {', '.join(missing)}"
    expected = [f"{number:04}" for number in range(1, len(numbers) + 1)]
    if sorted(numbers) != expected:
        yield f"{folder}: the numbers are not 1 to {len(numbers)}"


def wire_of(source):
    """Gives what stands on the wire, by kind, as `source(path)` has it."""
    frames = source("actors/src/protocol/server.rs")
    variants = re.search(r"pub enum ServerFrame<'a> \{\n(.*?)\n\}", frames, re.S)[1]
    names = re.findall(r"^    (\w+) \{", variants, re.M)
    sent = [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in names]
    taken = re.findall(r'^        "(\w+)" =>', source("actors/src/protocol/client.rs"), re.M)
    closing = re.findall(r"=> (\d{4}),", source("actors/src/protocol/close.rs"))
    codes = re.findall(r'\(Self::\w+, "(\w+)", \d+', source("actors/src/domain/error_code.rs"))
    settings = source("src/config/limits.rs") + source("src/config/rates.rs")
    limits = re.findall(r'env = "(\w+)"', settings)
    return {
        "frame": [f'"type":"{name}"' for name in [*sent, *taken, *golden_frames()]],
        "close code": [f"| {code} " if code != "1000" else "| 1000" for code in closing],
        "code": [f"| `{code}` |" for code in codes],
        "setting": [f"`{name}" for name in limits],
    }


def check_protocol(text, wire):
    """Gives what `wire` has and the protocol's document, `text`, lacks."""
    for kind, marks in wire.items():
        if not marks:
            yield f"docs/PROTOCOL.md: no {kind} was found in the source; mend this check"
        for mark in dict.fromkeys(marks):
            if mark not in text:
                yield f"docs/PROTOCOL.md: lacks the {kind} {mark}"


def shape(value):
    """Gives the names of an object's fields, those within it too."""
    if isinstance(value, dict):
        return {name: shape(field) for name, field in value.items() if name != "reply_to"}
    return None


def check_golden(text, golden):
    """Gives the server's frames shown in `text` that look like none of `golden`, by type."""
    for body in (body for kind, body in FENCE.findall(text) if kind == "json"):
        for frame in map(json.loads, filter(None, body.splitlines())):
            if shape(frame) not in map(shape, golden.get(frame["type"], [])):
                yield f"docs/PROTOCOL.md: shows {frame['type']} in another shape than tests/fixtures/frames/server"


def golden_frames():
    golden = {}
    for path in sorted((ROOT / "tests/fixtures/frames/server").glob("*.json")):
        golden.setdefault(path.name.split(".")[0], []).append(json.loads(path.read_text()))
    return golden


CHECKS = [check_links, check_names, check_rest, check_examples]


def faults():
    texts = documents()
    for path, text in sorted(texts.items()):
        for check in CHECKS:
            for fault in check(path, text):
                yield f"{path}: {fault}"
    yield from check_decisions(texts)
    wire = wire_of(lambda path: (ROOT / path).read_text())
    protocol = texts[Path("docs/PROTOCOL.md")]
    yield from check_protocol(protocol, wire)
    yield from check_golden(protocol, golden_frames())


def with_parsers():
    """Runs this script again in an environment that has the parsers, unless this is one."""
    try:
        import tree_sitter_dart  # noqa: F401
        return
    except ImportError:
        pass
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    venv = target / "docs-venv"
    python = venv / "bin/python"
    if Path(sys.executable) == python:
        sys.exit("tests/docs/check.py: the parsers were installed and can't be loaded")
    if not (venv / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PARSERS], check=True)
        (venv / "installed").touch()
    os.execv(python, [str(python), *sys.argv])


if __name__ == "__main__":
    with_parsers()
    found = list(faults())
    print("\n".join(found) or f"{len(documents())} documents, nothing wrong")
    sys.exit(bool(found))
