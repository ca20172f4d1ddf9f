#!/usr/bin/env python3
"""Shows that the checks of documents catch what is spoiled.

    python3 tests/docs/check_test.py
"""

import unittest
from pathlib import Path

import check

HERE = Path("docs/ARCHITECTURE.md")

SPOILED = {
    check.check_links: ["[a](gone.md)", "[a](PROTOCOL.md#no-such-heading)", "[a](#no-such-heading)"],
    check.check_names: [
        "`src/gone.rs`", "`tests/gone/`", "`a_test_that_nobody_wrote`", "`NO_SUCH_SETTING`", "`make tea`",
        "```sh\nmake tea\n```",
    ],
    check.check_rest: ["`/api/chat/gone/`", "`GET /api/chat/rooms/<id>/gone/`", "```sh\ncurl $BASE/api/chatt/\n```"],
    check.check_examples: [
        '```json\n{"a": }\n```', "```sh\nif true; then\n```", "```js\nconst = 1\n```",
        "```dart\nvoid main() { print('a' }\n```", "```dart\nclass A {\n```",
    ],
}
GOOD = [
    "[a](PROTOCOL.md#resume) [b](https://example.com/gone)",
    "`src/app.rs`, `tests/*/main.rs`, `each_route_has_a_row`, `DATA_DIR`, `make run`",
    "`/api/chat/rooms/<id>/events/?since=`, `$BASE/api/chat/messages/`",
    '```json\n{"a": 1}\n{"b": 2}\n```', "```js\nexport const a = 1\n```",
    "```dart\nFuture<void> main() async => print('a');\n```",
]


class Checks(unittest.TestCase):
    def test_what_is_spoiled_is_caught(self):
        for run, texts in SPOILED.items():
            for text in texts:
                with self.subTest(check=run.__name__, text=text):
                    self.assertTrue(list(run(HERE, text + "\n")))

    def test_what_is_good_passes(self):
        for text in GOOD:
            for run in check.CHECKS:
                with self.subTest(check=run.__name__, text=text):
                    self.assertEqual(list(run(HERE, text + "\n")), [])

    def test_decisions_are_numbered_indexed_and_whole(self):
        folder = Path("docs/adr")
        whole = "# 0001 A\n" + "".join(f"\n## {part}\n" for part in check.DECISION_PARTS)
        index = {folder / "README.md": "[0001 A](0001-a.md)"}
        self.assertEqual(list(check.check_decisions({**index, folder / "0001-a.md": whole})), [])
        for spoiled in [
            {folder / "README.md": "", folder / "0001-a.md": whole},
            {**index, folder / "0001-a.md": "# 0001 A\n"},
            {**index, folder / "0001-a.md": whole + "\n" * check.DECISION_LINES_MAX},
            {**index, folder / "0001-a.md": whole, folder / "0003-c.md": whole},
        ]:
            self.assertTrue(list(check.check_decisions(spoiled)))

    def test_a_protocol_that_lacks_something_is_caught(self):
        wire = check.wire_of(lambda path: (check.ROOT / path).read_text())
        text = "\n".join(mark for marks in wire.values() for mark in marks)
        self.assertEqual(list(check.check_protocol(text, wire)), [])
        for marks in wire.values():
            self.assertTrue(list(check.check_protocol(text.replace(marks[0], ""), wire)))
        self.assertTrue(list(check.check_protocol(text, {**wire, "frame": []})))

    def test_a_frame_of_another_shape_is_caught(self):
        golden = check.golden_frames()
        good = '```json\n{"type":"pong","n":7}\n```\n'
        self.assertEqual(list(check.check_golden(good, golden)), [])
        for spoiled in ['{"type":"pong","m":7}', '{"type":"pongg","n":7}', '{"type":"ack","room_id":"a"}']:
            self.assertTrue(list(check.check_golden(f"```json\n{spoiled}\n```\n", golden)))


if __name__ == "__main__":
    check.with_parsers()
    unittest.main()
