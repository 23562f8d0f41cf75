"""Checks of single fields: what passes, and how what does not is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from penny.realtime.errors import ClientError
from penny.realtime.fields import (
    check_array,
    check_bool,
    check_choice,
    check_integer,
    check_number,
    check_string,
)
from penny.realtime.settings import CoreSettings
from penny.realtime.shapes import make_shapes


pytestmark = pytest.mark.pure


def judge(session: dict[str, Any]) -> None:
    """As a server whose session it is."""
    make_shapes(CoreSettings()).session(session, "f")


@pytest.mark.parametrize(
    ("check", "value", "code"),
    [
        (lambda v: check_array(v, "f", 2), [1, 2, 3], "array_above_max_length"),
        (lambda v: check_array(v, "f"), (), "invalid_type"),
        (lambda v: check_bool(v, "f"), 1, "invalid_type"),
        (lambda v: check_number(v, "f", 0, 1), True, "invalid_type"),
        (lambda v: check_number(v, "f", 0, 1), "1", "invalid_type"),
        (lambda v: check_number(v, "f", 0, 1), float("nan"), "invalid_value"),
        (lambda v: check_integer(v, "f"), 1.5, "invalid_type"),
        (lambda v: check_integer(v, "f"), False, "invalid_type"),
        (lambda v: check_integer(v, "f"), -1, "invalid_value"),
        (lambda v: check_integer(v, "f"), float("inf"), "invalid_type"),
        (lambda v: check_string(v, "f", 3), "abcd", "string_above_max_length"),
        (lambda v: check_string(v, "f"), None, "invalid_type"),
        (lambda v: check_choice(v, "f", ("a",)), ["a"], "invalid_value"),
        (judge, {"truncation": {"type": "x"}}, "invalid_value"),
        (judge, {"truncation": {"type": "retention_ratio"}}, "missing_required_parameter"),
        (judge, {"tools": ["x"]}, "invalid_type"),
        (judge, {"tools": [{"name": ""}]}, "invalid_value"),
        (judge, {"tools": [{"name": "a"}] * 129}, "array_above_max_length"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field(
    check: Callable[[Any], Any], value: Any, code: str
) -> None:
    with pytest.raises(ClientError) as raised:
        check(value)
    assert raised.value.code == code
    assert (raised.value.param or "").startswith("f")
    assert "f" in raised.value.message


def test_an_integer_written_as_a_decimal_is_an_integer() -> None:
    assert check_integer(5.0, "f") == 5


@pytest.mark.parametrize(
    "session",
    [
        {"tools": [{"name": "f", "description": "d", "parameters": {"type": "object"}}]},
        {"truncation": "disabled"},
        {"truncation": {"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {}}},
        {"truncation": {"type": "retention_ratio", "retention_ratio": 0.5}},
        {"reasoning": {}},
        {"reasoning": {"effort": "none"}},
        {"max_output_tokens": 5.0},
        {
            "audio": {
                "input": {
                    "transcription": {
                        "languages": ["es"],
                        "keywords": ["IBAN"],
                        "delay": "low",
                        "prompt": "x",
                    },
                    "noise_reduction": {"type": "far_field", "strength": 0.5},
                }
            }
        },
        {
            "prompt": {
                "id": "p",
                "version": "2",
                "variables": {
                    "a": "b",
                    "c": {"type": "input_text", "text": "d"},
                    "e": {"type": "input_image", "detail": "auto", "file_id": "file_1"},
                },
            }
        },
    ],
)
def test_what_openai_takes_is_taken(session: dict[str, Any]) -> None:
    judge(session)
