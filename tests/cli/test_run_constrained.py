"""`homespun run` with output that must satisfy something, and without a chat around the prompt."""

import json
from collections.abc import Callable
from pathlib import Path

from ran import Ran


def test_a_schema_from_a_file(homespun: Callable[..., Ran], tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"enum": ["red", "green"]}', encoding="utf-8")
    ran = homespun("run", "What colour is grass?", "--json-schema", f"@{schema}", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.json["text"]) in ("red", "green") and ran.json["reasoning"] is None


def test_a_schema_that_cannot_be_enforced_is_one_sentence(homespun: Callable[..., Ran]) -> None:
    ran = homespun("run", "x", "--json-schema", '{"items": {"pattern": "\\\\q"}}')
    assert ran.code == 2 and not ran.out
    assert "#/items" in ran.err and "Traceback" not in ran.err


def test_plain_continuation(homespun: Callable[..., Ran]) -> None:
    ran = homespun("run", "The capital of France is", "--raw", "--max-new-tokens", "4", "--json")
    assert ran.code == 0, ran.err
    assert "Paris" in ran.json["text"] and ran.json["tokens"]["prompt"] == 5
