"""The session object: defaults, deep-merged updates, and what may no longer change.

A field that is null: cleared where GA lets it be null, otherwise as if it were not given. Fields
unknown here are kept and echoed. An update is all or nothing.
"""

from __future__ import annotations

import json

from penny.realtime.commands import Json
from penny.realtime.errors import ClientError
from penny.realtime.fields import check_object, check_string, is_deeper, need
from penny.realtime.formats import check_format
from penny.realtime.settings import CoreSettings
from penny.realtime.shapes import make_shapes


TRANSCRIPTION = "transcription"
"""The type of a session that hears and answers nothing."""
_NO_ANSWERS = {"create_response": False, "interrupt_response": False}
READ_ONLY = ("id", "object", "expires_at", "model")
"""Left alone whatever an update says: SDKs write a ``model`` of their own into each of theirs."""
_CLEARED: Json = {
    "include": None,
    "tracing": None,
    "prompt": None,
    "reasoning": None,
    "instructions": "",
    "tools": [],
}
"""What null makes of a field; any other is as if it were not given."""
_OF_ANSWERS = (
    "output_modalities",
    "tool_choice",
    "max_output_tokens",
    "truncation",
    "parallel_tool_calls",
    "tracing",
    "prompt",
    "reasoning",
    "instructions",
    "tools",
    "audio.output",
)


def describe_session(settings: CoreSettings, session_id: str, expires_at: int) -> Json:
    """Return the session object of ``session.created``."""
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": settings.model,
        "output_modalities": ["audio"],
        "instructions": settings.instructions,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": expires_at,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": _default_turn_detection("server_vad", settings),
            },
            "output": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "voice": settings.voice or next(iter(settings.voices), "alloy"),
                "speed": 1.0,
            },
        },
        "include": None,
    }


def describe_transcription(settings: CoreSettings, session_id: str, expires_at: int) -> Json:
    """Return the session object of a session that hears and answers nothing."""
    heard: Json = describe_session(settings, session_id, expires_at)["audio"]["input"]
    heard["transcription"] = {"model": settings.model, "language": None, "prompt": None}
    heard["turn_detection"] = {**heard["turn_detection"], **_NO_ANSWERS}
    return {
        "type": TRANSCRIPTION,
        "object": "realtime.transcription_session",
        "id": session_id,
        "expires_at": expires_at,
        "audio": {"input": heard},
        "include": None,
    }


def _default_turn_detection(kind: str, settings: CoreSettings) -> Json:
    if kind == "semantic_vad":
        detail: Json = {"eagerness": "auto"}
    else:
        detail = {
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": settings.silence_duration_ms,
            "idle_timeout_ms": None,
        }
    return {"type": kind, **detail, "create_response": True, "interrupt_response": True}


def update_session(session: Json, patch: object, settings: CoreSettings, *, spoke: bool) -> Json:
    """Return the session with ``patch`` merged in; ``session`` itself stays as it is.

    Args:
        spoke: whether the session has sent audio, after which the voice is frozen.

    Raises:
        ClientError: a wrong value, an immutable or a frozen field.
    """
    given = check_object(patch, "session")
    kind = check_string(need(given, "type", "session.type"), "session.type")
    if kind != session["type"]:
        raise ClientError(
            "unsupported_session_type",
            f"'session.type' '{kind[:64]}' is not this session's, which is of the type "
            f"'{session['type']}'; the type is chosen by the address or the first update.",
            "session.type",
        )
    if kind == TRANSCRIPTION:
        _refuse_answers(given)
    make_shapes(settings).session(given, "session")
    merged = dict(session)
    for key, value in given.items():
        if key in READ_ONLY:
            continue
        if value is None:
            merged[key] = _CLEARED.get(key, merged.get(key))
        elif key == "tools":
            merged[key] = with_types(value)
        elif key == "audio":
            merged[key] = _update_audio(session["audio"], value, settings)
        else:
            merged[key] = value
    _refuse_frozen(session, merged, spoke=spoke)
    _refuse_oversize(merged, settings)
    return merged


def with_types(tools: list[Json]) -> list[Json]:
    """A client's tools, each with its ``type``."""
    return [{"type": "function", **tool} for tool in tools]


def _refuse_oversize(session: Json, settings: CoreSettings) -> None:
    if is_deeper(session, settings.max_session_depth):
        raise ClientError(
            "session_too_large",
            f"'session' is nested more than {settings.max_session_depth} levels deep; flatten it.",
            "session",
        )
    if len(json.dumps(session)) > settings.max_session_chars:
        raise ClientError(
            "session_too_large",
            f"'session' is larger than {settings.max_session_chars} characters as JSON; shorten "
            "'session.tools' or 'session.instructions'.",
            "session",
        )


def _refuse_answers(given: Json) -> None:
    """Of a transcription session: what only answers have."""
    output = check_object(given.get("audio") or {}, "session.audio").get("output")
    wanted = {**given, "audio.output": output}
    for name in _OF_ANSWERS:
        if wanted.get(name) is not None:
            raise ClientError(
                "unknown_parameter",
                f"Unknown parameter: 'session.{name}'. A transcription session has no answers; "
                "leave it out.",
                f"session.{name}",
            )


def _refuse_frozen(old: Json, new: Json, *, spoke: bool) -> None:
    if new["type"] == TRANSCRIPTION:
        return
    if spoke and new["audio"]["output"]["voice"] != old["audio"]["output"]["voice"]:
        raise ClientError(
            "cannot_update_voice",
            "Cannot update a conversation's voice if assistant audio is present; leave "
            "'session.audio.output.voice' out.",
            "session.audio.output.voice",
        )
    if old["tracing"] is not None and new["tracing"] != old["tracing"]:
        raise ClientError(
            "cannot_update_tracing",
            "'session.tracing' cannot change once it is on; leave it out.",
            "session.tracing",
        )


def _update_audio(current: Json, given: Json, settings: CoreSettings) -> Json:
    merged = {**current, **{key: value for key, value in given.items() if value is not None}}
    if given.get("input") is not None:
        merged["input"] = _update_input(current["input"], given["input"], settings)
        if "output" not in current:
            _answer_nothing(current["input"], merged["input"])
    if given.get("output") is not None:
        merged["output"] = _over(current["output"], given["output"], "session.audio.output")
    return merged


def _over(current: Json, given: Json, param: str) -> Json:
    """``current`` with what is given in its place, a format whole."""
    merged = {**current, **{key: value for key, value in given.items() if value is not None}}
    if given.get("format") is not None:
        merged["format"] = check_format(given["format"], f"{param}.format")
    return merged


def _update_input(current: Json, given: Json, settings: CoreSettings) -> Json:
    merged = _over(current, given, "session.audio.input")
    for key, value in given.items():
        if value is None and key != "format":
            merged[key] = None
        elif key == "turn_detection":
            merged[key] = _update_turn_detection(current[key], value, settings)
        elif key == "transcription":
            base = current[key] or {"model": None, "language": None, "prompt": None}
            merged[key] = {**base, **value}
    return merged


def _answer_nothing(old: Json, new: Json) -> None:
    """A transcription session cannot do without its transcription, and no turn is answered."""
    new["transcription"] = new["transcription"] or old["transcription"]
    if new["turn_detection"] is not None:
        new["turn_detection"] = {**new["turn_detection"], **_NO_ANSWERS}


def _update_turn_detection(current: Json | None, given: Json, settings: CoreSettings) -> Json:
    # Fields of one kind of detection mean nothing to the other, so a new kind starts afresh.
    kind = given.get("type") or (current or {}).get("type") or "server_vad"
    same = current is not None and current["type"] == kind
    base = current if same and current else _default_turn_detection(kind, settings)
    kept = {
        key: value for key, value in given.items() if value is not None or key == "idle_timeout_ms"
    }
    return {**base, **kept}
