"""Whatever arrives, the session answers with a documented error and goes on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import penny.realtime
from penny.dense import MOST_VALUES
from penny.realtime.errors import ClientError
from penny.realtime.parse import load_message
from penny.realtime.settings import CoreSettings
from penny.realtime.shapes import EVENTS
from penny.writable import dump_json
from tests.penny.realtime.talk import Talk, kinds, the, the_error


pytestmark = pytest.mark.pure


README = (Path(penny.realtime.__path__[0]) / "README.md").read_text()
DOCUMENTED = set(re.findall(r"^\| `([a-z_]+)` \|", README, re.MULTILINE))


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "{",
        "[]",
        "null",
        '"text"',
        b"\xff\xfe",
        '{"type": NaN}',
        '{"type": Infinity}',
        '{"type": "session.update", "x": 1e999}',
        '{"type": "session.update", "x": ' + "9" * 5000 + "}",
        "[" * 100_000,
        '{"a":' * 20_000,
    ],
)
def test_what_is_not_one_json_object_is_refused(raw: str | bytes) -> None:
    assert the_error(Talk().raw(raw))["code"] == "invalid_json"


def test_an_integer_beyond_64_bits_is_its_nearest_double_and_can_be_written_again() -> None:
    message = load_message('{"x": ' + "9" * 30 + "}", CoreSettings())
    assert message == {"x": 1e30}
    assert dump_json(message) == b'{"x":1e+30}'


def test_half_a_surrogate_pair_is_mended_and_the_numbers_beside_it_stay() -> None:
    message = load_message(r'{"x": "\ud83d", "y": 1.5}', CoreSettings())
    assert message == {"x": "\ufffd", "y": 1.5}


def test_a_message_of_too_many_values_is_refused_unread() -> None:
    raw = '{"type": "session.update", "session": [' + "0," * MOST_VALUES + "0]}"
    with pytest.raises(ClientError, match=f"more than {MOST_VALUES} values") as refused:
        load_message(raw, CoreSettings())
    assert refused.value.code == "message_too_large"


def test_a_message_beyond_the_limit_is_refused_unread() -> None:
    error = the_error(Talk(max_message_bytes=100).raw("x" * 101))
    assert error["code"] == "message_too_large"


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ({}, "missing_required_parameter", "type"),
        ({"type": 3}, "invalid_type", "type"),
        ({"type": "session.delete"}, "invalid_value", "type"),
        ({"type": "response.cancel", "event_id": 3}, "invalid_type", "event_id"),
        ({"type": "response.cancel", "event_id": "x" * 513}, "string_above_max_length", "event_id"),
        ({"type": "response.cancel", "response_id": 3}, "invalid_type", "response_id"),
        ({"type": "conversation.item.delete"}, "missing_required_parameter", "item_id"),
        ({"type": "conversation.item.retrieve", "item_id": 1}, "invalid_type", "item_id"),
        ({"type": "response.create", "response": []}, "invalid_type", "response"),
    ],
)
def test_a_wrong_event_is_refused_by_field(message: dict[str, Any], code: str, param: str) -> None:
    error = the_error(Talk().raw(json.dumps(message)))
    assert (error["code"], error["param"]) == (code, param)


def test_the_session_goes_on_after_every_error() -> None:
    talk = Talk()
    talk.raw("{")
    assert kinds(talk.say("hola")) == ["conversation.item.added", "conversation.item.done"]


def test_text_bytes_and_objects_are_the_same_message() -> None:
    message = {"type": "input_audio_buffer.clear"}
    text = json.dumps(message)
    talk = Talk()
    for outputs in (talk.raw(text), talk.raw(text.encode()), talk.send(message["type"])):
        assert kinds(outputs) == ["input_audio_buffer.cleared"]


KEYS = st.sampled_from(
    [
        *("type", "id", "role", "content", "text", "audio", "input", "output", "format", "voice"),
        *("speed", "turn_detection", "tools", "name", "transcription", "arguments", "call_id"),
        *("instructions", "metadata", "conversation", "tracing", "truncation", "tool_choice"),
        *("output_modalities", "max_output_tokens", "include", "prompt", "model"),
    ]
)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5000)
    | st.floats(allow_nan=False, width=16)
    | st.text(max_size=8)
    | st.sampled_from(["realtime", "message", "user", "input_text", "root", "item_1", "auto"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)
FIELDS = st.sampled_from(
    [
        *("session", "item", "item_id", "previous_item_id", "content_index", "audio_end_ms"),
        *("audio", "response", "response_id", "event_id"),
    ]
)
MESSAGES = st.builds(
    lambda kind, fields: {**fields, "type": kind},
    st.sampled_from(sorted(EVENTS)),
    st.dictionaries(FIELDS, JSON_VALUES, max_size=4),
)


@settings(max_examples=settings().max_examples * 5 // 2, deadline=None)  # by profile
@given(st.lists(MESSAGES | JSON_VALUES, min_size=1, max_size=8))
def test_garbage_raises_nothing_and_gets_only_documented_errors(messages: list[Any]) -> None:
    talk = Talk()
    for message in messages:
        for event in talk.raw(json.dumps(message)):
            if event["type"] == "error":
                assert event["error"]["code"] in DOCUMENTED


@settings(max_examples=settings().max_examples * 3 // 2, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_noise_is_answered_with_one_error(raw: str | bytes) -> None:
    assert the_error(Talk().raw(raw))["code"] in DOCUMENTED


def test_every_error_code_in_the_source_is_documented() -> None:
    source = "".join(path.read_text() for path in Path(penny.realtime.__path__[0]).glob("*.py"))
    raised = set(re.findall(r'ClientError\(\s*"([a-z_]+)"', source))
    assert raised
    assert raised <= DOCUMENTED


def test_half_an_emoji_in_a_tools_result_is_taken_as_what_can_be_written() -> None:
    item = {"type": "function_call_output", "call_id": "c", "output": "ok \ud83d \ud83d\ude00"}
    events = Talk().raw(json.dumps({"type": "conversation.item.create", "item": item}))
    assert the(events, "conversation.item.done")["item"]["output"] == "ok \ufffd 😀"
