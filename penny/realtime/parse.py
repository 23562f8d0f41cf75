"""From the text of a WebSocket message to a client event with a known type."""

from __future__ import annotations

import binascii
import json
import math
from typing import Any, NoReturn

import orjson

from penny.dense import MOST_VALUES, is_dense
from penny.realtime.commands import Json
from penny.realtime.errors import ClientError
from penny.realtime.fields import check_string
from penny.realtime.settings import CoreSettings
from penny.realtime.shapes import EVENTS
from penny.writable import mend_json


MAX_EVENT_ID_CHARS = 512
"""OpenAI's limit for a client's ``event_id``."""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _read_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    return value


def load_message(raw: str | bytes | Json, settings: CoreSettings) -> Json:
    """Return the JSON object in ``raw``.

    Raises:
        ClientError: too large, of too many values, not UTF-8, not JSON, or not an object.
    """
    if isinstance(raw, dict):
        return raw
    if len(raw) > settings.max_message_bytes:
        raise ClientError(
            "message_too_large",
            f"The message has {len(raw)} bytes; send at most {settings.max_message_bytes}. "
            "Split audio into several input_audio_buffer.append events.",
        )
    if is_dense(raw):
        raise ClientError(
            "message_too_large", f"The message has more than {MOST_VALUES} values; send fewer."
        )
    try:
        message = _read_json(raw)
    except (ValueError, RecursionError) as error:
        raise ClientError(
            "invalid_json", "The message is not valid JSON in UTF-8; send one JSON object."
        ) from error
    if not isinstance(message, dict):
        raise ClientError("invalid_json", "The message is not a JSON object; send an object.")
    return message


def _read_json(raw: str | bytes) -> Any:
    """Raises ValueError, RecursionError."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        # It refuses half a surrogate pair, which is legal JSON and no UTF-8.
        text = raw.decode() if isinstance(raw, bytes) else raw
        message = json.loads(text, parse_constant=_refuse_constant, parse_float=_read_float)
        return mend_json(message)


def read_event_id(message: Json) -> str | None:
    """Return the client's ``event_id`` when it is one worth quoting back."""
    event_id = message.get("event_id")
    if isinstance(event_id, str) and len(event_id) <= MAX_EVENT_ID_CHARS:
        return event_id
    return None


def read_type(message: Json) -> str:
    """Return the event's type.

    Raises:
        ClientError: missing, not a string, or unknown; or ``event_id`` is not a short string.
    """
    kind = message.get("type")
    if kind is None:
        raise ClientError(
            "missing_required_parameter", "Missing required parameter: 'type'.", "type"
        )
    kind = check_string(kind, "type")
    if kind not in EVENTS:
        names = ", ".join(f"'{name}'" for name in EVENTS)
        raise ClientError(
            "invalid_value", f"Invalid value: '{kind[:64]}'. 'type' must be one of {names}.", "type"
        )
    if message.get("event_id") is not None:
        check_string(message["event_id"], "event_id", MAX_EVENT_ID_CHARS)
    return kind


def check_audio_length(encoded: str, param: str, max_bytes: int) -> None:
    """Raises ClientError: it is base64 of more than ``max_bytes``."""
    if len(encoded) > (max_bytes + 2) // 3 * 4:
        raise ClientError(
            "audio_too_large", f"'{param}' holds more than {max_bytes} bytes; split it.", param
        )


def decode_audio(value: object, param: str, max_bytes: int) -> bytes:
    """Return the bytes of strict base64 ``value``.

    Raises:
        ClientError: not a string, not base64, or more than ``max_bytes``.
    """
    encoded = check_string(value, param)
    check_audio_length(encoded, param, max_bytes)
    try:
        return binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError as error:
        raise ClientError(
            "invalid_value",
            f"Invalid '{param}'. Expected base64-encoded audio bytes in the session's input "
            "format.",
            param,
        ) from error
