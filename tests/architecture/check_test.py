#!/usr/bin/env python3
"""Shows that the checks of the structure find what they are for, and nothing else.

    python3 tests/architecture/check_test.py
"""

import tempfile
import unittest
from pathlib import Path

import check
import rust_modules


class Sources(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def write(self, files):
        for path, text in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text, encoding="utf-8")

    def crate(self, files):
        self.write({f"src/{path}": text for path, text in files.items()})
        return rust_modules.read_crate(self.root / "src")

    def rust_circles(self, files):
        return list(check.check_rust_imports("src", self.crate(files)))


class RustImports(Sources):
    def test_two_modules_that_import_each_other_are_found(self):
        for one, other in [
            ("use crate::b::B;", "use crate::a::A;"),
            ("use super::b::{self, B};", "use crate::{a::A};"),
            ("fn f() { super::b::g(); }", "pub use crate::a::A as Other;"),
            ("use crate::{\n    // a comment; with a semicolon\n    b::B,\n};", "fn f() -> crate::a::A { todo }"),
        ]:
            with self.subTest(one=one, other=other):
                files = {"lib.rs": "mod a;\nmod b;\n", "a.rs": f"{one} pub struct A;", "b.rs": f"{other} pub struct B;"}
                self.assertEqual(len(self.rust_circles(files)), 1)

    def test_a_circle_by_way_of_an_imported_module_is_found(self):
        files = {
            "lib.rs": "mod one; mod two;", "one/mod.rs": "pub mod a;", "one/a.rs": "use crate::two; fn f() { two::b::g(); }",
            "two/mod.rs": "pub mod b;", "two/b.rs": "pub fn g() { crate::one::a::f(); }",
        }
        self.assertEqual(len(self.rust_circles(files)), 1)

    def test_the_way_around_is_shown(self):
        files = {"lib.rs": "mod a; mod b; mod c;", "a.rs": "use crate::b;", "b.rs": "use crate::c;", "c.rs": "use crate::a;"}
        self.assertIn("a -> b -> c -> a", self.rust_circles(files)[0])

    def test_a_circle_through_re_exports_is_found(self):
        files = {
            "lib.rs": "mod one; mod two;",
            "one/mod.rs": "pub mod a; pub use self::a::A;", "one/a.rs": "use crate::two::b::B; pub struct A;",
            "two/mod.rs": "pub mod b;", "two/b.rs": "use crate::one::A; pub struct B;",
        }
        self.assertEqual(len(self.rust_circles(files)), 1)
        files["one/mod.rs"] = "mod a; pub use a::*;"
        self.assertEqual(len(self.rust_circles(files)), 1)

    def test_what_is_no_circle_passes(self):
        for name, files in {
            "a parent and its children": {
                "lib.rs": "mod a;", "a.rs": "mod b; use self::b::B; pub struct A;", "a/b.rs": "use super::A; pub struct B;",
            },
            "one direction": {"lib.rs": "mod a; mod b;", "a.rs": "use crate::b::B;", "b.rs": "pub struct B;"},
            "comments and strings": {
                "lib.rs": "mod a; mod b;", "a.rs": "use crate::b;",
                "b.rs": '// use crate::a;\n/* /* crate::a::A */ use crate::a; */ const X: &str = "crate::a::A";',
            },
            "tests": {
                "lib.rs": "mod a; mod b;", "a.rs": "use crate::b;",
                "b.rs": "#[cfg(test)]\nmod tests { use crate::a; }\n#[cfg(test)] use crate::a::A;\npub struct B;",
            },
            "a file of tests": {
                "lib.rs": "mod a; mod b;", "a.rs": "use crate::b;",
                "b.rs": '#[cfg(test)]\n#[path = "b_tests.rs"]\nmod tests;', "b_tests.rs": "use crate::a;",
            },
        }.items():
            with self.subTest(name):
                self.assertEqual(self.rust_circles(files), [])


class TypeNames(Sources):
    def names(self, files):
        return list(check.check_type_names("src", self.crate(files)))

    def test_a_name_of_two_things_is_found(self):
        for one, other in [
            ("pub struct State;", "pub(crate) enum State {}"),
            ("pub(super) type State = u8;", "mod inner { pub trait State {} }"),
        ]:
            with self.subTest(one=one, other=other):
                found = self.names({"lib.rs": "mod a; mod b;", "a.rs": one, "b.rs": other})
                self.assertEqual(len(found), 1)
                self.assertIn("State", found[0])

    def test_what_is_one_thing_passes(self):
        for name, other in {
            "private": "struct State;",
            "of tests": "#[cfg(test)] mod tests { pub struct State; }",
            "imported": "pub use crate::a::State;",
            "a comment": "/// pub struct State;\npub struct Other;",
        }.items():
            with self.subTest(name):
                files = {"lib.rs": "mod a; mod b;", "a.rs": "pub struct State;", "b.rs": other}
                self.assertEqual(self.names(files), [])


class Sql(Sources):
    def found(self, files):
        return list(check.check_sql(self.root, self.crate(files), Path("src/store/postgres")))

    def test_sql_outside_of_the_store_is_found(self):
        for text in [
            '"SELECT 1"', 'r#"INSERT INTO rooms VALUES ($1)"#', '"\n    UPDATE rooms SET head = 1"', '"WHERE a ORDER BY b"',
            'concat!("x", "DELETE FROM rooms")', '"CREATE UNIQUE INDEX a"',
        ]:
            with self.subTest(text):
                found = self.found({"lib.rs": "mod a;", "a.rs": f"\nconst A: &str = {text};"})
                self.assertEqual(len(found), 1)
                self.assertIn("src/a.rs:2: ", found[0])

    def test_what_is_no_sql_passes(self):
        for name, files in {
            "the store": {
                "lib.rs": "mod store;", "store/mod.rs": "mod postgres;",
                "store/postgres/mod.rs": "mod a;", "store/postgres/a.rs": 'const A: &str = "SELECT 1";',
            },
            "prose": {"lib.rs": 'const A: &str = "select a file to update";'},
            "a comment": {"lib.rs": "// SELECT 1\n/// INSERT INTO a\npub fn f() {}"},
            "a test": {"lib.rs": '#[cfg(test)]\nmod tests { const A: &str = "SELECT 1"; }'},
        }.items():
            with self.subTest(name):
                self.assertEqual(self.found(files), [])


class PageImports(Sources):
    def circles(self, files):
        self.write({f"web/src/{path}": text for path, text in files.items()})
        return list(check.check_page_imports(self.root, Path("web/src")))

    def test_modules_that_import_each_other_are_found(self):
        for text in [
            "import { a } from '../client/a.js'", 'import type { A } from "../client/a.js"', "import '../client/a.js'",
            "export * from '../client/a.js'", "const a = await import('../client/a.js')",
            "import {\n  a, // with a comment\n  b,\n} from '../client/a'",
        ]:
            with self.subTest(text):
                self.assertEqual(len(self.circles({"client/a.ts": "import { b } from '../ui/b.js'", "ui/b.ts": text})), 1)

    def test_what_is_no_circle_passes(self):
        for name, text in {
            "another module": "import { c } from './c.js'", "a package": "import 'a'",
            "a comment": "// import '../client/a.js'", "a part": "import { x } from './b/part.js'",
        }.items():
            with self.subTest(name):
                files = {
                    "client/a.ts": "import { b } from '../ui/b.js'", "ui/b.ts": text, "ui/c.ts": "",
                    "ui/b/part.ts": "import { b } from '../b.js'",
                }
                self.assertEqual(self.circles(files), [])


class Circles(unittest.TestCase):
    def test_a_shortest_way_around_is_given(self):
        edges = {1: {2, 3}, 2: {3}, 3: {4}, 4: {1}, 5: {1}}
        self.assertEqual(check.circles(edges), [[1, 2, 3, 4]])
        self.assertEqual(check.shortest_circle([1, 2, 3, 4], edges), [1, 3, 4, 1])
        self.assertEqual(check.circles({1: {2}, 2: set()}), [])


if __name__ == "__main__":
    unittest.main()
