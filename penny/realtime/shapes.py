"""The shapes of client events: which fields are strings, numbers, arrays or objects of what.

Everything past the door may rely on them. At the door values are not judged (which voice, how
fast): that is for what answers, and what it does not know yet passes. What answers here judges them
too, by its ``CoreSettings``. A field that is null counts as absent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

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
from penny.realtime.formats import check_format
from penny.realtime.settings import CoreSettings


MAX_DEPTH = 100
"""Levels of nesting of an event; JSON writers give up not far beyond 200."""
MAX_OUTPUT_TOKENS = 4096
MAX_DURATION_MS = 600_000
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")

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


def _either(text: Shape, other: Shape) -> Shape:
    return lambda value, param: (text if isinstance(value, str) else other)(value, param)


_text: Shape = check_string


class _Judge:
    """Makes shapes: of types alone, or with the limits of a session that is answered here."""

    def __init__(self, settings: CoreSettings | None) -> None:
        self.judges = settings is not None
        self.settings = settings or CoreSettings()

    def text(self, most: int) -> Shape:
        return partial(check_string, max_chars=most) if self.judges else check_string

    def choice(self, *names: str) -> Shape:
        return partial(check_choice, choices=names) if self.judges else check_string

    def number(self, low: float, high: float) -> Shape:
        low, high = (low, high) if self.judges else (-math.inf, math.inf)
        return partial(check_number, low=low, high=high)

    def integer(self, low: int = 0, high: int = 2**53) -> Shape:
        low, high = (low, high) if self.judges else (-(2**53), 2**53)
        return partial(check_integer, low=low, high=high)

    def array(self, shape: Shape, most: int) -> Shape:
        def check(value: Any, param: str) -> None:
            given = check_array(value, param, most if self.judges else None)
            for index, each in enumerate(given):
                shape(each, f"{param}[{index}]")

        return check

    def also(self, shape: Shape, *more: Shape) -> Shape:
        """``shape``, and ``more`` where values are judged."""
        if not self.judges:
            return shape

        def check(value: Any, param: str) -> None:
            for each in (shape, *more):
                each(value, param)

        return check


def _check_modalities(value: object, param: str) -> None:
    """``["audio"]`` or ``["text"]``; audio always comes with its transcript."""
    if value not in (["audio"], ["text"]):
        raise ClientError(
            "invalid_value", f"Invalid '{param}': use ['audio'] or ['text'], never both.", param
        )


def _check_tool(tool: Json, param: str) -> None:
    if tool.get("type", "function") != "function":
        raise ClientError(
            "unsupported_tool",
            f"'{param}.type': only 'function' tools are served here; call others yourself and "
            "answer with function_call_output.",
            f"{param}.type",
        )
    if not need(tool, "name", f"{param}.name"):
        raise ClientError("invalid_value", f"Invalid '{param}.name': must not be empty.", param)


def _check_metadata(pairs: Json, param: str) -> None:
    """At most 16 pairs, keys to 64 and values to 512 characters: OpenAI's limits."""
    if len(pairs) > 16:
        raise ClientError(
            "object_above_max_properties",
            f"Invalid '{param}': send at most 16 pairs, not {len(pairs)}.",
            param,
        )
    for key, item in pairs.items():
        check_string(key, param, 64)
        check_string(item, f"{param}.{key}", 512)


def _unsupported(value: Any, param: str, sentence: str) -> None:
    raise ClientError("unsupported_value", f"'{param}': this recogniser {sentence}.", param)


def _common(judge: _Judge) -> dict[str, Shape]:
    """What the session and one response of it may both say."""
    tool = _object(type=_text, name=judge.text(64), description=_text, parameters=check_object)
    function = _object(type=judge.choice("function"), name=judge.text(64))
    tokens = judge.integer(1, MAX_OUTPUT_TOKENS)
    variable = _object("type", type=judge.choice("input_text", "input_image", "input_file"))
    return {
        "instructions": judge.text(judge.settings.max_instructions_chars),
        "tools": judge.array(judge.also(tool, _check_tool), judge.settings.max_tools),
        "tool_choice": _either(
            judge.choice("auto", "none", "required"),
            judge.also(function, _object("type", "name")),
        ),
        "output_modalities": judge.also(judge.array(_text, 2), _check_modalities),
        "max_output_tokens": _either(
            judge.also(_text, lambda value, param: value == "inf" or tokens(value, param)), tokens
        ),
        "parallel_tool_calls": check_bool,
        "reasoning": _object(effort=judge.choice(*EFFORTS)),
        "prompt": _object(
            "id",
            id=judge.text(512),
            version=judge.text(512),
            variables=_map(_either(_text, variable)),
        ),
    }


def _input(judge: _Judge) -> Shape:
    turn_detection = _object(
        type=judge.choice("server_vad", "semantic_vad"),
        create_response=check_bool,
        interrupt_response=check_bool,
        eagerness=judge.choice("low", "medium", "high", "auto"),
        threshold=judge.number(0.0, 1.0),
        prefix_padding_ms=judge.integer(0, MAX_DURATION_MS),
        silence_duration_ms=judge.integer(0, MAX_DURATION_MS),
        idle_timeout_ms=judge.integer(1, MAX_DURATION_MS),
    )

    def check_model(value: Json, param: str) -> None:
        if not judge.settings.tells_speakers and "diarize" in str(value.get("model")):
            sentence = "does not tell speakers apart; name another model"
            _unsupported(value, f"{param}.model", sentence)

    transcription = _object(
        model=judge.text(20_000),
        language=judge.text(20_000),
        prompt=judge.text(20_000),
        delay=judge.choice(*EFFORTS[1:]),
        languages=judge.array(judge.text(200), 1000),
        keywords=judge.array(judge.text(200), 1000),
    )
    noise = _object(type=judge.choice("near_field", "far_field"), strength=judge.number(0.0, 1.0))
    return _object(
        format=judge.also(_object(type=_text, rate=judge.integer()), check_format),
        transcription=judge.also(transcription, check_model),
        turn_detection=turn_detection,
        noise_reduction=judge.also(noise, _object("type")),
    )


def _output(judge: _Judge, **more: Shape) -> Shape:
    return _object(
        format=judge.also(_object(type=_text, rate=judge.integer()), check_format),
        voice=_either(judge.text(128), _object("id", id=judge.text(128))),
        **more,
    )


def _session(judge: _Judge) -> Shape:
    tracing = _object(
        workflow_name=judge.text(512), group_id=judge.text(512), metadata=check_object
    )
    ratio = _object(
        type=judge.choice("retention_ratio"),
        retention_ratio=judge.number(0.0, 1.0),
        token_limits=_object(post_instructions=judge.integer()),
    )

    def check_include(value: Any, param: str) -> None:
        if not judge.settings.tells_logprobs:
            _unsupported(value, param, "has no log probabilities; leave it out")

    included = judge.choice("item.input_audio_transcription.logprobs")
    output = _output(judge, speed=judge.number(0.25, 1.5))
    return _object(
        type=_text,
        model=_text,
        audio=_object(input=_input(judge), output=output),
        include=judge.array(judge.also(included, check_include), 16),
        tracing=_either(judge.choice("auto"), tracing),
        truncation=_either(
            judge.choice("auto", "disabled"), judge.also(ratio, _object("type", "retention_ratio"))
        ),
        **_common(judge),
    )


def _items(judge: _Judge) -> dict[str, Shape]:
    most, call_id = judge.settings.max_item_chars, judge.text(judge.settings.max_id_chars)
    long = judge.text(most)
    seen = {"id": _text, "status": _text}
    part = _object(
        type=_text, text=long, audio=_text, transcript=long, image_url=_text, detail=_text
    )
    call = {"call_id": call_id, "name": judge.text(64), "arguments": long}
    ours: dict[str, Shape] = {
        "message": _object(
            "role", "content", role=_text, content=judge.array(part, 256), phase=_text, **seen
        ),
        "function_call": _object("call_id", "name", "arguments", **call, **seen),
        "function_call_output": _object("call_id", "output", call_id=call_id, output=long, **seen),
    }
    if judge.judges:
        return ours
    approval = {"approval_request_id": _text, "approve": check_bool}
    kinds = ("mcp_approval_request", "mcp_list_tools", "mcp_call")
    return {
        **ours,
        "mcp_approval_response": _object(*approval, **approval, **seen),
        **dict.fromkeys(kinds, _object(**seen)),
    }


class Shapes(NamedTuple):
    """Shapes of what client events hold."""

    session: Shape
    response: Shape
    item: Shape
    events: dict[str, Shape]


@lru_cache(maxsize=16)
def make_shapes(settings: CoreSettings | None) -> Shapes:
    """Shapes with the limits of a session that is answered here; of types alone for None."""
    judge = _Judge(settings)
    items, session = _items(judge), _session(judge)
    item = _by_type(items)
    inputs = _by_type({**items, "item_reference": _object("id", id=_text)})
    response = _object(
        audio=_object(output=_output(judge)),
        conversation=judge.choice("auto", "none"),
        input=judge.array(check_object if judge.judges else inputs, 1024),
        metadata=judge.also(check_object, _check_metadata),
        **_common(judge),
    )
    cut = {"item_id": _text, "content_index": judge.integer(), "audio_end_ms": judge.integer()}
    events: dict[str, Shape] = {
        "session.update": _object("session", session=session),
        "input_audio_buffer.append": _object("audio", audio=_text),
        "input_audio_buffer.commit": _object(),
        "input_audio_buffer.clear": _object(),
        "conversation.item.create": _object("item", item=item, previous_item_id=_text),
        "conversation.item.retrieve": _object("item_id", item_id=_text),
        "conversation.item.truncate": _object(*cut, **cut),
        "conversation.item.delete": _object("item_id", item_id=_text),
        "response.create": _object(response=response),
        "response.cancel": _object(response_id=_text),
        "output_audio_buffer.clear": _object(),
    }
    return Shapes(session, response, item, events)


EVENTS = make_shapes(None).events
"""Every event that a client may send."""
