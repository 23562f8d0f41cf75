"""The generated files are current, and the TypeScript writer refuses what it does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from penny.protocol import generate
from penny.protocol.json_schema import build_schema
from penny.protocol.typescript import write_types


pytestmark = pytest.mark.pure


def test_generated_files_are_current() -> None:
    assert generate.find_drift() == []


def test_check_fails_and_names_the_file_on_drift(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    types = tmp_path / "web" / "protocol.d.ts"
    monkeypatch.setattr(generate, "SCHEMA_FILE", tmp_path / "schema" / "s.json")
    monkeypatch.setattr(generate, "TYPES_FILE", types)
    assert generate.main(["--check"]) == 1
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0

    types.write_text("export type ClientMessage = never;\n")
    capsys.readouterr()
    assert generate.main(["--check"]) == 1
    assert "protocol.d.ts differs" in capsys.readouterr().err


def test_unknown_argument_prints_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--force"]) == 2
    assert "--check" in capsys.readouterr().err


def test_every_object_becomes_an_interface() -> None:
    schema = build_schema()
    types = write_types(schema)
    for name in schema["$defs"]:
        word = "type" if name.endswith("Message") else "interface"
        assert f"export {word} {name} " in types


def test_client_fields_are_optional_and_server_fields_are_not() -> None:
    types = write_types(build_schema())
    assert "  mode?: string | null;" in types
    assert "  resume_token: string | null;" in types
    assert '  type: "session_start";' in types


def test_construct_without_a_typescript_form_is_refused() -> None:
    schema = {"title": "t", "$defs": {"A": {"properties": {"x": {"type": "tuple"}}}}}
    with pytest.raises(ValueError, match="no TypeScript for"):
        write_types(schema)
