"""The shapes of client events: what has one passes whatever its values, what has none is named."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from openai.types.realtime.realtime_client_event import RealtimeClientEvent

from penny.realtime.errors import ClientError
from penny.realtime.shapes import EVENTS, MAX_DEPTH, check_shape


pytestmark = pytest.mark.pure

Json = dict[str, Any]

TEXT = [{"type": "input_text", "text": "hola"}]
MESSAGE = {"id": "item_1", "type": "message", "role": "user", "content": TEXT}
CUT = {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 9}
TOOL = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}
SESSION: Json = {
    "type": "realtime",
    "tools": [TOOL, {"type": "mcp", "server_label": "x", "server_url": "https://x.example"}],
    "tool_choice": {"type": "function", "name": "f"},
    "truncation": {"type": "retention_ratio", "retention_ratio": 0.8},
    "tracing": "auto",
    "max_output_tokens": 200,
    "prompt": {"id": "p", "variables": {"a": "b", "c": TEXT[0]}},
    "temperature": 0.8,
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": {"model": "w", "languages": ["es"]},
            "turn_detection": {"type": "server_vad", "threshold": 1, "create_response": None},
            "noise_reduction": None,
        },
        "output": {"voice": {"id": "voice_1"}, "speed": 9},
    },
}


def update(**session: Any) -> Json:
    return {"type": "session.update", "session": session}


def create(**item: Any) -> Json:
    return {"type": "conversation.item.create", "item": {**MESSAGE, **item}}


def nested(levels: int) -> Any:
    return [] if levels == 0 else [nested(levels - 1)]


@pytest.mark.parametrize(
    "event",
    [
        update(**SESSION),
        {**create(), "previous_item_id": None},
        {**CUT, "audio_end_ms": 900.0},
        {"type": "conversation.item.create", "item": {"type": "mcp_list_tools", "tools": []}},
        {"type": "response.create"},
        {"type": "response.create", "response": {"input": [{"type": "item_reference", "id": "i"}]}},
        {"type": "input_audio_buffer.append", "audio": "no base64"},
        update(type="realtime", new_field=nested(MAX_DEPTH - 3)),
    ],
)
def test_what_has_the_shape_of_an_event_passes_whatever_its_values(event: Json) -> None:
    check_shape(event)


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        (create(content="hola"), "invalid_type", "item.content"),
        (create(content=["hola"]), "invalid_type", "item.content[0]"),
        (create(content=None), "missing_required_parameter", "item.content"),
        (create(type="postcard"), "invalid_value", "item.type"),
        (create(id=7), "invalid_type", "item.id"),
        ({**create(), "previous_item_id": ["i"]}, "invalid_type", "previous_item_id"),
        ({**CUT, "item_id": ["i"]}, "invalid_type", "item_id"),
        ({**CUT, "audio_end_ms": "9"}, "invalid_type", "audio_end_ms"),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        (
            update(audio={"input": {"format": "pcm16"}}),
            "invalid_type",
            "session.audio.input.format",
        ),
        (
            update(audio={"input": {"turn_detection": {"threshold": "x"}}}),
            "invalid_type",
            "session.audio.input.turn_detection.threshold",
        ),
        (update(tools={"0": TOOL}), "invalid_type", "session.tools"),
        (
            update(prompt={"id": "p", "variables": {"a": 5}}),
            "invalid_type",
            "session.prompt.variables.a",
        ),
        ({"type": "response.create", "response": []}, "invalid_type", "response"),
        (update(new_field=nested(MAX_DEPTH)), "invalid_value", None),
    ],
)
def test_what_has_another_shape_is_refused_by_its_field(
    event: Json, code: str, param: str | None
) -> None:
    with pytest.raises(ClientError) as refused:
        check_shape(event)
    assert (refused.value.code, refused.value.param) == (code, param)


def test_every_event_of_the_sdk_has_a_shape() -> None:
    models = get_args(get_args(RealtimeClientEvent)[0])
    kinds = [get_args(model.model_fields["type"].annotation)[0] for model in models]
    assert sorted(kinds) == sorted(EVENTS)
