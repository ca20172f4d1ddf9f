"""Reads the modules of a Rust crate: what each declares, what it re-exports and what it refers to.

This is no parser. It blanks out comments and string literals, follows `mod` declarations from the crate's root, and
then looks for `use` declarations and for paths that begin with `crate`, `self`, `super` or an imported name. Items
under `#[cfg(test)]` are left out.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

TOKEN = re.compile(
    r"""(?P<line>//[^\n]*)|(?P<block>/\*)|(?P<raw>\bb?r(?P<hashes>\#*)".*?"(?P=hashes))|(?P<string>b?"(?:\\.|[^"\\])*")"""
    r"""|(?P<char>b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[^}]*\}|.)|[^'\\])')""",
    re.S | re.X,
)
TEST_ONLY = re.compile(r"#\[cfg\((?:test|all\(test\b[^\]]*)\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?")
MODULE = re.compile(r"(?P<attributes>(?:#\[[^\]]*\]\s*)*)(?:pub(?:\([^)]*\))?\s+)?\bmod\s+(?P<name>\w+)\s*(?P<end>[;{])")
USE = re.compile(r"(?P<visibility>\bpub(?:\([^)]*\))?\s+)?\buse\s+(?P<tree>[^;]+);")
PATH = re.compile(r"(?<![\w:])[a-zA-Z_]\w*(?:\s*::\s*\w+)+")
PATH_ATTRIBUTE = re.compile(r"#\[path\s*=\s*\"([^\"]*)\"\]")
TYPE = re.compile(r"\bpub(?:\([^)]*\))?\s+(?:struct|enum|union|trait|type)\s+(\w+)")
ITEM = re.compile(r"\b(?:struct|enum|union|trait|type|const|static|fn|mod|macro_rules!)\s+(?:mut\s+)?(\w+)")


@dataclass
class Module:
    """One module; `path` is empty for the crate's root. An inline module has its own entry and its file's `file`."""

    path: tuple
    file: Path
    items: set = field(default_factory=set)
    types: list = field(default_factory=list)
    # From the name under which something is re-exported to its absolute path; `*` holds the globs.
    exports: dict = field(default_factory=dict)
    references: set = field(default_factory=set)


def blank(text, keep_strings=False):
    """Gives `text` with its comments, and its string literals, overwritten with spaces; positions stay."""
    parts, at = [], 0
    for start, end, kind in tokens(text):
        parts.append(text[at:start])
        keep = kind == "char" or keep_strings and kind == "string"
        parts.append(text[start:end] if keep else re.sub(r"[^\n]", " ", text[start:end]))
        at = end
    return "".join(parts) + text[at:]


def tokens(text):
    """Gives the comments and literals of `text` as (start, end, "comment" or "string" or "char")."""
    at = 0
    while found := TOKEN.search(text, at):
        end = found.end()
        if found["block"]:
            end = end_of_comment(text, found.start())
        kind = "comment" if found["line"] or found["block"] else "char" if found["char"] else "string"
        yield found.start(), end, kind
        at = end


def end_of_comment(text, start):
    """Gives where the block comment at `start` ends; block comments nest."""
    depth, at = 0, start
    for mark in re.compile(r"/\*|\*/").finditer(text, start):
        depth += 1 if mark[0] == "/*" else -1
        at = mark.end()
        if depth == 0:
            return at
    return len(text)


def end_of_braces(text, opening):
    """Gives the position behind the brace that closes the one at `opening`."""
    depth = 0
    for mark in re.compile(r"[{}]").finditer(text, opening):
        depth += 1 if mark[0] == "{" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def test_spans(code):
    """Gives where the test-only items of blanked `code` begin and end."""
    at = 0
    while found := TEST_ONLY.search(code, at):
        end = re.compile(r"[;{]").search(code, found.end())
        at = len(code)
        if end:
            at = end_of_braces(code, end.start()) if end[0] == "{" else end.end()
        yield found.start(), at


def without_tests(code):
    """Gives blanked `code` with its test-only items overwritten as well."""
    for start, end in list(test_spans(code)):
        code = code[:start] + re.sub(r"[^\n]", " ", code[start:end]) + code[end:]
    return code


def literals(text):
    """Gives the string literals of `text` outside of its test-only items, each with the number of its line."""
    tests = list(test_spans(blank(text)))
    for start, end, kind in tokens(text):
        if kind == "string" and not any(first <= start < last for first, last in tests):
            yield text.count("\n", 0, start) + 1, text[start:end]


def expand(tree):
    """Gives the paths of a `use` tree with the name that each brings in: `a::{b, c as d}` is a::b as b and a::c as d."""
    tree = tree.strip().removeprefix("::")
    opening = tree.find("{")
    if opening < 0:
        path, _, alias = (part.strip() for part in re.sub(r"\s+as\s+", " as ", tree).partition(" as "))
        parts = [part.strip() for part in path.split("::") if part.strip()]
        if len(parts) > 1 and parts[-1] == "self":
            parts.pop()
        return [(tuple(parts), alias or parts[-1])] if parts else []
    head, body = tree[:opening], tree[opening + 1 : tree.rfind("}")]
    branches, depth, branch = [], 0, ""
    for sign in body + ",":
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            branches.append(branch)
            branch = ""
        else:
            branch += sign
    return [found for branch in branches if branch.strip() for found in expand(head + branch.strip())]


def absolute(path, module):
    """Gives `path`, as it stands in `module`, from the crate's root; None for a path into another crate."""
    if path[0] == "crate":
        return path[1:]
    if path[0] not in ("self", "super"):
        return None
    at, rest = module, path
    if rest[0] == "self":
        rest = rest[1:]
    while rest and rest[0] == "super":
        at, rest = at[:-1], rest[1:]
    return at + rest


def read_crate(root):
    """Gives the modules of the crate whose sources lie in the folder `root`, by their paths."""
    modules = {}
    if (root / "lib.rs").exists():
        read_file(root / "lib.rs", root, (), modules)
    if (root / "main.rs").exists():
        read_file(root / "main.rs", root, ("main",) if modules else (), modules)
    return modules


def read_file(file, folder, path, modules):
    """Reads one file, and the files of its modules, which lie in `folder`."""
    text = file.read_text(encoding="utf-8")
    code = without_tests(blank(text))
    with_paths = blank(text, keep_strings=True)
    read_module(code, with_paths, 0, len(code), file, folder, path, modules)


def read_module(code, with_paths, start, end, file, folder, path, modules):
    """Reads the module whose code lies between `start` and `end`."""
    module = modules.setdefault(path, Module(path, file))
    own, at = [], start
    while found := MODULE.search(code, at, end):
        own.append(code[at : found.start()])
        name, child = found["name"], path + (found["name"],)
        module.items.add(name)
        if found["end"] == "{":
            at = end_of_braces(code, found.end() - 1)
            read_module(code, with_paths, found.end(), at - 1, file, folder / name, child, modules)
            continue
        at = found.end()
        given = PATH_ATTRIBUTE.search(with_paths, found.start(), found.end())
        if given:
            candidates = [file.parent / given[1]]
        else:
            candidates = [folder / f"{name}.rs", folder / name / "mod.rs"]
        for candidate in candidates:
            if candidate.exists():
                read_file(candidate, folder / name, child, modules)
    own.append(code[at:end])
    read_items("\n".join(own), module)


def read_items(code, module):
    """Notes what `code`, that of `module` alone, declares and refers to."""
    module.types += TYPE.findall(code)
    module.items.update(ITEM.findall(code))
    imported = {}
    for found in USE.finditer(code):
        for path, name in expand(found["tree"]):
            target = absolute(path, module.path)
            if target is None and path[0] in module.items:
                target = module.path + path
            if target is None:
                continue
            imported[name] = target
            module.references.add(target)
            if found["visibility"]:
                if path[-1] == "*":
                    module.exports.setdefault("*", []).append(target[:-1])
                else:
                    module.exports[name] = target
    for found in PATH.findall(USE.sub("", code)):
        path = tuple(part.strip() for part in found.split("::"))
        target = absolute(path, module.path)
        if target is None and path[0] in imported:
            target = imported[path[0]] + path[1:]
        if target is not None:
            module.references.add(target)


def home(path, modules, seen=frozenset()):
    """Gives the module in which the item at `path` is declared, through re-exports; None outside of the crate."""
    if path in modules:
        return path
    for length in range(len(path) - 1, -1, -1):
        owner = modules.get(path[:length])
        if owner is None:
            continue
        name, rest = path[length], path[length + 1 :]
        if (owner.path, name) in seen:
            return owner.path
        seen = seen | {(owner.path, name)}
        if name in owner.exports:
            return home(owner.exports[name] + rest, modules, seen) or owner.path
        if name not in owner.items:
            for target in owner.exports.get("*", []):
                found = home(target + (name,) + rest, modules, seen)
                if found is not None and found in modules and (name in modules[found].items or found[-1:] == (name,)):
                    return found
        return owner.path
    return None


def graph(modules):
    """Gives, for each module with a file of its own, those of whose items it uses; related ones are left out."""
    edges = {}
    for module in modules.values():
        own = file_module(module.path, modules)
        for path in module.references:
            found = home(path, modules)
            if found is None:
                continue
            target = file_module(found, modules)
            if not related(own, target):
                edges.setdefault(own, set()).add(target)
    return edges


def file_module(path, modules):
    """Gives the innermost module with a file of its own that holds the module at `path`."""
    while path and modules[path].file == modules[path[:-1]].file:
        path = path[:-1]
    return path


def related(one, other):
    """Whether one is the other, or holds it at whatever depth."""
    return one[: len(other)] == other or other[: len(one)] == one
