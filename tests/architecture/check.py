#!/usr/bin/env python3
"""Checks the structure of the sources.

    python3 tests/architecture/check.py

- No import circle among the modules of a crate, or among the modules of the page. Imports between a module and the
  modules that it holds don't count.
- No public type name that stands for two things in one crate.
- No SQL outside of `src/store/postgres`.

Prints what is wrong, one line each, and ends with 1.
"""

import re
import sys
from pathlib import Path

import rust_modules

ROOT = Path(__file__).resolve().parents[2]
TEST_CRATES = [Path("tests/load/src")]
CRATES = [Path("src"), Path("actors/src"), *TEST_CRATES]
PAGE = Path("web/src")
SQL_HOME = Path("src/store/postgres")

SQL = re.compile(
    r"\b(?:SELECT\s|INSERT\s+INTO\s|DELETE\s+FROM\s|UPDATE\s+\w+(?:\s+\w+)?\s+SET\s|TRUNCATE\s|COPY\s+\w+|VACUUM\b|LISTEN\s+\w"
    r"|NOTIFY\s+\w|ON\s+CONFLICT\b|ORDER\s+BY\s|GROUP\s+BY\s|LEFT\s+JOIN\s|RETURNING\s|FOR\s+UPDATE\b"
    r"|(?:CREATE|ALTER|DROP)\s+(?:OR\s+REPLACE\s+)?(?:UNIQUE\s+)?"
    r"(?:TABLE|INDEX|FUNCTION|TRIGGER|VIEW|TYPE|EXTENSION|ROLE|USER|DATABASE|SCHEMA)\b)"
)
IMPORT = re.compile(
    r"""(?:\bimport\s*\(\s*|\bfrom\s*|\bimport\s*)(?P<quote>['"])(?P<path>\.{1,2}/[^'"]+)(?P=quote)"""
)


def circles(edges):
    """Gives the strongly connected components of more than one node, each sorted (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for to in sorted(edges.get(node, ())):
            if to not in index:
                visit(to)
                low[node] = min(low[node], low[to])
            elif to in stack:
                low[node] = min(low[node], index[to])
        if low[node] == index[node]:
            at = stack.index(node)
            component = sorted(stack[at:])
            del stack[at:]
            if len(component) > 1:
                found.append(component)

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found


def shortest_circle(component, edges):
    """Gives a shortest way around within `component`, from its first node with one back to it."""
    best = None
    for start in component:
        ways, seen = [[start]], {start}
        while ways:
            way = ways.pop(0)
            if best and len(way) + 1 >= len(best):
                break
            for to in sorted(edges.get(way[-1], ())):
                if to == start:
                    best = way + [start]
                    ways = []
                    break
                if to in component and to not in seen:
                    seen.add(to)
                    ways.append(way + [to])
    return best


def report_circles(name, edges, show):
    for component in circles(edges):
        way = " -> ".join(map(show, shortest_circle(component, edges)))
        yield f"{name}: {len(component)} modules import each other ({', '.join(map(show, component))}): {way}"


def check_rust_imports(name, modules):
    """Gives the import circles of a crate."""
    yield from report_circles(name, rust_modules.graph(modules), lambda path: "::".join(path) or "the root")


def check_type_names(name, modules):
    """Gives the public type names that several modules of a crate declare."""
    places = {}
    for module in modules.values():
        for type_name in module.types:
            places.setdefault(type_name, set()).add("::".join(module.path) or "the root")
    for type_name, paths in sorted(places.items()):
        if len(paths) > 1:
            yield f"{name}: the type name {type_name} stands for {len(paths)} things: in {', '.join(sorted(paths))}"


def check_sql(root, modules, home):
    """Gives the string literals that hold SQL in those modules of a crate whose files aren't in `home`."""
    for file in sorted({module.file for module in modules.values()}):
        path = file.relative_to(root)
        if path.is_relative_to(home) or path == home.with_suffix(".rs"):
            continue
        for line, literal in rust_modules.literals(file.read_text(encoding="utf-8")):
            if SQL.search(literal):
                yield f"{path}:{line}: SQL outside of {home}"


def page_graph(folder):
    """Gives, for each module of the page, those that it imports, types included; related ones are left out."""
    files = {file for file in folder.rglob("*.ts") if not file.name.endswith((".d.ts", ".test.ts"))}
    edges = {}
    for file in files:
        own = page_module(file, folder)
        text = without_ts_comments(file.read_text(encoding="utf-8"))
        for found in IMPORT.finditer(text):
            target = (file.parent / found["path"]).resolve()
            for candidate in (target.with_suffix(".ts"), Path(f"{target}.ts"), target / "index.ts"):
                if candidate in files:
                    other = page_module(candidate, folder)
                    if not rust_modules.related(own, other):
                        edges.setdefault(own, set()).add(other)
                    break
    return edges


def page_module(file, folder):
    parts = file.relative_to(folder).with_suffix("").parts
    return parts[:-1] if parts[-1] == "index" else parts


def without_ts_comments(text):
    literal = r"'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|`(?:\\.|[^`\\])*`"
    return re.sub(rf"({literal})|//[^\n]*|/\*.*?\*/", lambda found: found[1] or " ", text, flags=re.S)


def check_page_imports(root, folder):
    """Gives the import circles of the page."""
    yield from report_circles(str(folder), page_graph(root / folder), "/".join)


def faults(root):
    for folder in CRATES:
        modules = rust_modules.read_crate(root / folder)
        yield from check_rust_imports(str(folder), modules)
        yield from check_type_names(str(folder), modules)
        if folder not in TEST_CRATES:
            yield from check_sql(root, modules, SQL_HOME)
    yield from check_page_imports(root, PAGE)


if __name__ == "__main__":
    found = list(faults(ROOT))
    print("\n".join(found) or f"{len(CRATES)} crates and the page, nothing wrong")
    sys.exit(bool(found))
