"""The shapes of client events: which fields are strings, numbers, arrays or objects of what.

Everything past the door may rely on them. Values are not judged here (which voice, how fast): that
is for what answers, and what it does not know yet passes. A field that is null counts as absent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from penny.realtime.commands import Json
from penny.realtime.errors import ClientError
from penny.realtime.fields import (
    check_array,
    check_bool,
    check_choice,
    check_integer,
    check_number,
    check_object,
    check_string,
    is_deeper,
    need,
)


MAX_DEPTH = 100
"""Levels of nesting of an event; JSON writers give up not far beyond 200."""

Shape = Callable[[Any, str], object]
"""Raises ClientError for a value of another shape; its second argument is the field's path."""


def check_shape(event: Json) -> None:
    """Check an event whose type is known.

    Raises:
        ClientError: a field is missing or of another type, or the event is nested too deep.
    """
    if event["type"] != "input_audio_buffer.append" and is_deeper(event, MAX_DEPTH):
        raise ClientError(
            "invalid_value", f"The event is nested more than {MAX_DEPTH} levels deep; flatten it."
        )
    EVENTS[event["type"]](event, "")


def _object(*required: str, **fields: Shape) -> Shape:
    """An object; fields that are not named here may be anything."""

    def check(value: Any, param: str) -> None:
        given, prefix = check_object(value, param), f"{param}." if param else ""
        for name in required:
            need(given, name, f"{prefix}{name}")
        for name, shape in fields.items():
            if given.get(name) is not None:
                shape(given[name], f"{prefix}{name}")

    return check


def _array(shape: Shape) -> Shape:
    def check(value: Any, param: str) -> None:
        for index, each in enumerate(check_array(value, param)):
            shape(each, f"{param}[{index}]")

    return check


def _map(shape: Shape) -> Shape:
    """An object whose keys are the client's own."""

    def check(value: Any, param: str) -> None:
        for name, each in check_object(value, param).items():
            shape(each, f"{param}.{name}")

    return check


def _by_type(shapes: dict[str, Shape]) -> Shape:
    """One of several objects, told apart by their ``type``."""

    def check(value: Any, param: str) -> None:
        kind = need(check_object(value, param), "type", f"{param}.type")
        shapes[check_choice(kind, f"{param}.type", shapes)](value, param)

    return check


def _text(value: Any, param: str) -> None:
    check_string(value, param)


def _text_or(shape: Shape) -> Shape:
    return lambda value, param: None if isinstance(value, str) else shape(value, param)


def _number(value: Any, param: str) -> None:
    check_number(value, param, -math.inf, math.inf)


def _integer(value: Any, param: str) -> None:
    check_integer(value, param, low=-(2**53))


_ID = {"id": _text, "status": _text}
_PART = _object(
    type=_text, text=_text, audio=_text, transcript=_text, image_url=_text, detail=_text
)
_ITEMS: dict[str, Shape] = {
    "message": _object("role", "content", role=_text, content=_array(_PART), phase=_text, **_ID),
    "function_call": _object(
        "call_id", "name", "arguments", call_id=_text, name=_text, arguments=_text, **_ID
    ),
    "function_call_output": _object("call_id", "output", call_id=_text, output=_text, **_ID),
    "mcp_approval_response": _object(
        "approval_request_id", "approve", approval_request_id=_text, approve=check_bool, **_ID
    ),
    "mcp_approval_request": _object(**_ID),
    "mcp_list_tools": _object(**_ID),
    "mcp_call": _object(**_ID),
}
_REFERENCE = {"item_reference": _object("id", id=_text)}

_TOOLS = _array(_object(type=_text, name=_text, description=_text, parameters=check_object))
_VOICE = _text_or(_object("id", id=_text))
_FORMAT = _object(type=_text, rate=_integer)
_COMMON: dict[str, Shape] = {
    "instructions": _text,
    "tools": _TOOLS,
    "tool_choice": _text_or(_object(type=_text, name=_text)),
    "output_modalities": _array(_text),
    "max_output_tokens": _text_or(_integer),
    "parallel_tool_calls": check_bool,
    "reasoning": _object(effort=_text),
    "prompt": _object(
        "id", id=_text, version=_text, variables=_map(_text_or(_object("type", type=_text)))
    ),
}
"""What the session and one response of it may both say."""
_TURN_DETECTION = _object(
    type=_text,
    create_response=check_bool,
    interrupt_response=check_bool,
    eagerness=_text,
    threshold=_number,
    prefix_padding_ms=_integer,
    silence_duration_ms=_integer,
    idle_timeout_ms=_integer,
)
_TRANSCRIPTION = _object(
    model=_text,
    language=_text,
    prompt=_text,
    delay=_text,
    languages=_array(_text),
    keywords=_array(_text),
)
_INPUT = _object(
    format=_FORMAT,
    transcription=_TRANSCRIPTION,
    turn_detection=_TURN_DETECTION,
    noise_reduction=_object(type=_text, strength=_number),
)
_SESSION = _object(
    type=_text,
    model=_text,
    audio=_object(input=_INPUT, output=_object(format=_FORMAT, voice=_VOICE, speed=_number)),
    include=_array(_text),
    tracing=_text_or(_object(workflow_name=_text, group_id=_text, metadata=check_object)),
    truncation=_text_or(
        _object(
            type=_text, retention_ratio=_number, token_limits=_object(post_instructions=_integer)
        )
    ),
    **_COMMON,
)
_RESPONSE = _object(
    audio=_object(output=_object(format=_FORMAT, voice=_VOICE)),
    conversation=_text,
    input=_array(_by_type({**_ITEMS, **_REFERENCE})),
    metadata=check_object,
    **_COMMON,
)

EVENTS: dict[str, Shape] = {
    "session.update": _object("session", session=_SESSION),
    "input_audio_buffer.append": _object("audio", audio=_text),
    "input_audio_buffer.commit": _object(),
    "input_audio_buffer.clear": _object(),
    "conversation.item.create": _object("item", item=_by_type(_ITEMS), previous_item_id=_text),
    "conversation.item.retrieve": _object("item_id", item_id=_text),
    "conversation.item.truncate": _object(
        "item_id",
        "content_index",
        "audio_end_ms",
        item_id=_text,
        content_index=_integer,
        audio_end_ms=_integer,
    ),
    "conversation.item.delete": _object("item_id", item_id=_text),
    "response.create": _object(response=_RESPONSE),
    "response.cancel": _object(response_id=_text),
    "output_audio_buffer.clear": _object(),
}
"""Every event that a client may send."""
