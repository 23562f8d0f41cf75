"""Checks of one field of a client message; each raises ``ClientError`` naming the field."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from penny.realtime.commands import Json
from penny.realtime.errors import ClientError


_NAMES = {
    str: "a string",
    bool: "a boolean",
    dict: "an object",
    list: "an array",
    int: "an integer",
    float: "a decimal number",
    type(None): "null",
}


def _wrong_type(param: str, expected: str, value: object) -> ClientError:
    got = _NAMES.get(type(value), type(value).__name__)
    return ClientError(
        "invalid_type", f"Invalid type for '{param}': expected {expected}, but got {got}.", param
    )


def is_deeper(value: object, levels: int) -> bool:
    """Whether ``value`` is nested more than so many levels deep."""
    level: list[Any] = [value]
    for _ in range(levels):
        below = [each.values() if isinstance(each, dict) else each for each in level]
        level = [inner for each in below for inner in each if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def need(message: Json, key: str, param: str) -> Any:
    """Return ``message[key]``; a missing or null one is an error."""
    value = message.get(key)
    if value is None:
        raise ClientError(
            "missing_required_parameter", f"Missing required parameter: '{param}'.", param
        )
    return value


def check_object(value: object, param: str) -> Json:
    if not isinstance(value, dict):
        raise _wrong_type(param, "an object", value)
    return value


def check_array(value: object, param: str, max_length: int | None = None) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong_type(param, "an array", value)
    if max_length is not None and len(value) > max_length:
        raise ClientError(
            "array_above_max_length",
            f"Invalid '{param}': array too long. Send at most {max_length} elements, "
            f"not {len(value)}.",
            param,
        )
    return value


def check_string(value: object, param: str, max_chars: int | None = None) -> str:
    if not isinstance(value, str):
        raise _wrong_type(param, "a string", value)
    if max_chars is not None and len(value) > max_chars:
        raise ClientError(
            "string_above_max_length",
            f"Invalid '{param}': string too long. Send at most {max_chars} characters, "
            f"not {len(value)}.",
            param,
        )
    return value


def check_id(value: object, param: str, max_chars: int) -> str:
    text = check_string(value, param, max_chars)
    if not text:
        raise ClientError("invalid_value", f"Invalid '{param}': must not be empty.", param)
    return text


def check_bool(value: object, param: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong_type(param, "a boolean", value)
    return value


def check_number(value: object, param: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong_type(param, "a number", value)
    if not low <= value <= high:
        raise ClientError(
            "invalid_value",
            f"Invalid '{param}': must be between {low:g} and {high:g}, not {value:.12g}.",
            param,
        )
    return float(value)


def check_integer(value: object, param: str, low: int = 0, high: int = 2**53) -> int:
    """Accept an integer, also one written ``5.0``."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(param, "an integer", value)
    if not low <= value <= high:
        raise ClientError(
            "invalid_value", f"Invalid '{param}': must be between {low} and {high}.", param
        )
    return value


def check_choice(value: object, param: str, choices: Collection[str]) -> str:
    if not isinstance(value, str) or value not in choices:
        names = ", ".join(f"'{choice}'" for choice in choices)
        shown = f"'{value[:64]}'" if isinstance(value, str) else _NAMES.get(type(value), "that")
        raise ClientError(
            "invalid_value", f"Invalid value: {shown}. '{param}' must be one of {names}.", param
        )
    return value
