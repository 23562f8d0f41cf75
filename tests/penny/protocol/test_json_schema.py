"""The schema says the same as the models, and the README says everything."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import penny.protocol
from penny.errors import ProtocolError
from penny.protocol.codec import parse_client_message
from penny.protocol.error import ERROR_CODES, WARNING_CODES, CloseCode
from penny.protocol.json_schema import build_schema
from penny.protocol.message import Part
from penny.protocol.registry import CLIENT_MESSAGES, SERVER_EVENTS


pytestmark = pytest.mark.pure


README = (Path(penny.protocol.__file__).parent / "README.md").read_text(encoding="utf-8")
SCHEMA = build_schema()
ALL_MODELS: dict[str, type[Part]] = {**CLIENT_MESSAGES, **SERVER_EVENTS}
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL)]


def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({**SCHEMA, "oneOf": [{"$ref": f"#/$defs/{name}"}]})


def _section(kind: str) -> str:
    heading = re.search(rf"^### .*`{kind}`.*$", README, re.MULTILINE)
    assert heading, f"README has no section for {kind}"
    return re.split(r"^#{2,3} ", README[heading.end() :], maxsplit=1, flags=re.MULTILINE)[0]


def test_schema_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("kind", ALL_MODELS)
def test_every_type_and_field_stands_in_the_readme(kind: str) -> None:
    section = _section(kind)
    for field in ALL_MODELS[kind].model_fields:
        if field != "type":
            assert f"`{field}`" in section, f"README says nothing of {kind}.{field}"


def _nested(schema: Any) -> list[str]:
    text = json.dumps(schema)
    return re.findall(r'"#/\$defs/(\w+)"', text)


@pytest.mark.parametrize("kind", ALL_MODELS)
def test_fields_of_inner_objects_stand_in_the_readme(kind: str) -> None:
    pending, seen = [ALL_MODELS[kind].__name__], set[str]()
    while pending:
        name = pending.pop()
        seen.add(name)
        pending += [inner for inner in _nested(SCHEMA["$defs"][name]) if inner not in seen]
    for name in seen:
        for field in SCHEMA["$defs"][name]["properties"]:
            assert re.search(rf"\b{field}\b", README), f"README says nothing of {name}.{field}"


def test_every_code_stands_in_the_readme() -> None:
    for code in (*ERROR_CODES, *WARNING_CODES):
        assert f"| `{code}` |" in README
    for close in CloseCode:
        assert f"| {close.value} | `{close.name}` |" in README


def test_readme_has_examples_of_every_client_message() -> None:
    assert {example["type"] for example in EXAMPLES} >= set(CLIENT_MESSAGES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["type"])
def test_readme_examples_hold(example: dict[str, Any]) -> None:
    kind = example["type"]
    side = "ClientMessage" if kind in CLIENT_MESSAGES else "ServerMessage"
    _validator(side).validate(example)
    if kind in CLIENT_MESSAGES:
        parse_client_message(json.dumps(example))
    else:
        assert json.loads(ALL_MODELS[kind].model_validate(example).model_dump_json()) == example


@pytest.mark.parametrize("kind", ALL_MODELS)
def test_every_model_and_field_has_a_description(kind: str) -> None:
    definition = SCHEMA["$defs"][ALL_MODELS[kind].__name__]
    assert definition["description"]
    for name, field in definition["properties"].items():
        assert name == "type" or field.get("description"), f"{kind}.{name} has no description"


@pytest.mark.parametrize(
    "message",
    [
        {"type": "playback", "item_id": "i"},
        {"type": "playback", "item_id": "i", "played_ms": -1},
        {"type": "text_input", "text": ""},
        {"type": "session_start", "cerebro": {"analysis_depth": "deepest"}},
        {"type": "session_start", "audio": {"input": {"rate_hz": 44100}}},
        {"type": "sing"},
        {},
    ],
)
def test_schema_and_parser_refuse_the_same(message: dict[str, Any]) -> None:
    assert not _validator("ClientMessage").is_valid(message)
    with pytest.raises(ProtocolError):
        parse_client_message(json.dumps(message))
