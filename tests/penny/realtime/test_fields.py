"""Checks of single fields: what passes, and how what does not is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from penny.realtime import session_fields as session
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


pytestmark = pytest.mark.pure


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
        (lambda v: session.check_truncation(v, "f"), {"type": "x"}, "invalid_value"),
        (lambda v: session.check_tools(v, "f", CoreSettings()), ["x"], "invalid_type"),
        (
            lambda v: session.check_tools(v, "f", CoreSettings()),
            [{"name": ""}],
            "invalid_value",
        ),
        (
            lambda v: session.check_tools(v, "f", CoreSettings(max_tools=0)),
            [{"name": "a"}],
            "array_above_max_length",
        ),
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


def test_what_openai_takes_is_taken() -> None:
    tools = [{"name": "f", "description": "d", "parameters": {"type": "object"}}]
    assert session.check_tools(tools, "f", CoreSettings())[0]["type"] == "function"
    transcription = {"languages": ["es"], "keywords": ["IBAN"], "delay": "low", "prompt": "x"}
    assert session.check_transcription(transcription, "f", CoreSettings()) == transcription
    noise = {"type": "far_field", "strength": 0.5}
    assert session.check_noise_reduction(noise, "f") == noise
    assert session.check_truncation("disabled", "f") == "disabled"
    ratio = {"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {}}
    assert session.check_truncation(ratio, "f") == ratio
    del ratio["token_limits"]
    assert session.check_truncation(ratio, "f") == ratio
    assert session.check_reasoning({}, "f") == {}
    image = {"type": "input_image", "detail": "auto", "file_id": "file_1"}
    variables = {"a": "b", "c": {"type": "input_text", "text": "d"}, "e": image}
    assert session.check_prompt({"id": "p", "version": "2", "variables": variables}, "f")
    assert session.check_reasoning({"effort": "none"}, "f") == {"effort": "none"}
