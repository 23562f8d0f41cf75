"""Text to client message, server event to text, and the limits of both."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from penny.errors import ProtocolError
from penny.writable import dump_json

from .message import ClientMessage, Part, ServerEvent
from .registry import CLIENT_MESSAGES
from .session import StreamFormat


MAX_TEXT_BYTES = 64 * 1024
"""Largest JSON message a client may send, in bytes of UTF-8."""
MAX_AUDIO_BYTES = 192_000
"""Largest binary message a client may send: two seconds of PCM16 at 48 000 Hz."""

_MAX_SHOWN = 40


def parse_client_message(text: str | bytes) -> ClientMessage:
    """Return the message in ``text``; its ``ignored`` names the fields that are unknown.

    Raises:
        ProtocolError: ``message_too_large`` above :data:`MAX_TEXT_BYTES`, else
            ``invalid_message``; the text names the field and the fix.
    """
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if len(raw) > MAX_TEXT_BYTES:
        raise ProtocolError(
            f"a JSON message holds at most {MAX_TEXT_BYTES} bytes; got {len(raw)}",
            code="message_too_large",
        )
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ProtocolError(f"the message is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ProtocolError('the message must be a JSON object such as {"type":"ping"}')
    model = _model_of(fields.get("type"))
    try:
        message = model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise _translate(error) from error
    if unknown := _unknown(fields, model, ""):
        message.__dict__["ignored"] = tuple(unknown)  # a frozen model
    return message


def check_audio(n_bytes: int, stream: StreamFormat) -> None:
    """Refuse a binary message that is too large or ends inside a sample.

    Raises:
        ProtocolError: ``message_too_large`` or ``audio_invalid``.
    """
    if n_bytes > MAX_AUDIO_BYTES:
        raise ProtocolError(
            f"a binary message holds at most {MAX_AUDIO_BYTES} bytes; got {n_bytes}",
            code="message_too_large",
        )
    if stream.encoding == "pcm16" and n_bytes % 2:
        raise ProtocolError(
            f"a binary message holds whole 16-bit samples; got {n_bytes} bytes",
            code="audio_invalid",
        )


def dump(event: ServerEvent) -> str:
    """Return the event as JSON text; unknown values are null, half a surrogate pair is U+FFFD."""
    try:
        return event.model_dump_json()
    except PydanticSerializationError:
        return dump_json(event.model_dump()).decode()


def _model_of(kind: Any) -> type[ClientMessage]:
    model = CLIENT_MESSAGES.get(kind) if isinstance(kind, str) else None
    if model is None:
        known = ", ".join(CLIENT_MESSAGES)
        if kind is None:
            raise ProtocolError(f"type: is missing; known: {known}", field="type")
        raise ProtocolError(
            f"type: {_show(kind)} is not a client message; known: {known}", field="type"
        )
    return model


def _unknown(fields: dict[str, Any], model: type[Part], prefix: str) -> list[str]:
    """Dotted names of the fields that ``model`` does not have, in its inner objects too."""
    known = _known(model)
    if known is None:
        return []
    names: list[str] = []
    for name, value in fields.items():
        if name not in known:
            names.append(f"{prefix}{name}"[:200])
            continue
        inner = known[name]
        if inner is not None and isinstance(value, dict):
            names += _unknown(value, inner, f"{prefix}{name}.")
    return names[:32]


@cache
def _known(model: type[Part]) -> dict[str, type[Part] | None] | None:
    """The model's fields with the object type inside them; None where any field may stand."""
    if model.model_config.get("extra") == "allow":
        return None
    return {name: _inner_model(field.annotation) for name, field in model.model_fields.items()}


def _inner_model(annotation: Any) -> type[Part] | None:
    """The object type inside ``T`` or ``T | None``."""
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate if issubclass(candidate, Part) else None
    return None


def _translate(error: ValidationError) -> ProtocolError:
    faults = error.errors(include_url=False)
    field = _dotted(faults[0]["loc"])
    sentences = [f"{_dotted(fault['loc'])}: {_sentence(fault)}" for fault in faults[:3]]
    if len(faults) > 3:
        sentences.append(f"and {len(faults) - 3} more")
    return ProtocolError("; ".join(sentences), field=field)


def _dotted(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc) or "message"


def _sentence(fault: Any) -> str:
    """Say one pydantic fault in the words of this protocol."""
    context = fault.get("ctx", {})
    match fault["type"]:
        case "missing":
            return "is required"
        case "literal_error":
            return f"{_show(fault['input'])} is not available; available: {_plain(context)}"
        case "string_type":
            return f"must be text; got {_show(fault['input'])}"
        case "string_too_long":
            return f"is longer than {context['max_length']} characters"
        case "string_too_short":
            return "must not be empty"
        case "string_pattern_mismatch":
            return _PATTERN_WORDS.get(context["pattern"], f"must match {context['pattern']}")
        case "too_long":
            return f"holds more than {context['max_length']} entries"
        case "value_error":
            return str(context["error"])
        case _:
            return f"{fault['msg'][0].lower()}{fault['msg'][1:]}"


_PATTERN_WORDS = {
    r"^kb://\S+$": "must look like kb://company/collection",
    r"\S": "must not be empty",
    r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$": "must be a language tag such as es or en-GB",
}


def _plain(context: dict[str, Any]) -> str:
    return str(context["expected"]).replace(" or ", ", ").replace("'", "")


def _show(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}…"
