"""Checks of the session's and a response's settings: whole value in, whole value out."""

from __future__ import annotations

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
)
from penny.realtime.settings import CoreSettings


MAX_OUTPUT_TOKENS = 4096
SPEED_RANGE = (0.25, 1.5)
MAX_DURATION_MS = 600_000
EAGERNESS = ("low", "medium", "high", "auto")
NOISE_REDUCTION = ("near_field", "far_field")
PROMPT_VARIABLES = ("input_text", "input_image", "input_file")
INCLUDE = ("item.input_audio_transcription.logprobs",)


def check_modalities(value: object, param: str) -> list[str]:
    """Accept ``["audio"]`` or ``["text"]``; audio always comes with its transcript."""
    for allowed in (["audio"], ["text"]):
        if value == allowed:
            return allowed
    raise ClientError(
        "invalid_value", f"Invalid '{param}': use ['audio'] or ['text'], never both.", param
    )


def check_max_tokens(value: object, param: str) -> int | str:
    if value == "inf":
        return "inf"
    return check_integer(value, param, 1, MAX_OUTPUT_TOKENS)


def check_voice(value: object, param: str) -> str | Json:
    if isinstance(value, dict):
        check_string(value.get("id"), f"{param}.id", 128)
        return value
    return check_string(value, param, 128)


def check_tools(value: object, param: str, settings: CoreSettings) -> list[Json]:
    tools = check_array(value, param, settings.max_tools)
    for index, tool in enumerate(tools):
        at = f"{param}[{index}]"
        tool = check_object(tool, at)
        if tool.get("type", "function") != "function":
            raise ClientError(
                "unsupported_tool",
                f"'{at}.type': only 'function' tools are served here; call others yourself and "
                "answer with function_call_output.",
                f"{at}.type",
            )
        if not check_string(tool.get("name"), f"{at}.name", 64):
            raise ClientError("invalid_value", f"Invalid '{at}.name': must not be empty.", at)
        if tool.get("description") is not None:
            check_string(tool["description"], f"{at}.description")
        if tool.get("parameters") is not None:
            check_object(tool["parameters"], f"{at}.parameters")
    return [{"type": "function", **tool} for tool in tools]


def check_tool_choice(value: object, param: str) -> str | Json:
    if isinstance(value, dict):
        check_choice(value.get("type"), f"{param}.type", ("function",))
        check_string(value.get("name"), f"{param}.name", 64)
        return value
    return check_choice(value, param, ("auto", "none", "required"))


def check_metadata(value: object, param: str) -> Json:
    """At most 16 pairs, keys to 64 and values to 512 characters: OpenAI's limits."""
    pairs = check_object(value, param)
    if len(pairs) > 16:
        raise ClientError(
            "object_above_max_properties",
            f"Invalid '{param}': send at most 16 pairs, not {len(pairs)}.",
            param,
        )
    for key, item in pairs.items():
        check_string(key, param, 64)
        check_string(item, f"{param}.{key}", 512)
    return pairs


def check_turn_detection(value: Json, param: str) -> Json:
    check_choice(value.get("type"), f"{param}.type", ("server_vad", "semantic_vad"))
    for key in ("create_response", "interrupt_response"):
        check_bool(value.get(key), f"{param}.{key}")
    if value["type"] == "semantic_vad":
        check_choice(value.get("eagerness"), f"{param}.eagerness", EAGERNESS)
        return value
    check_number(value.get("threshold"), f"{param}.threshold", 0.0, 1.0)
    for key in ("prefix_padding_ms", "silence_duration_ms"):
        check_integer(value.get(key), f"{param}.{key}", 0, MAX_DURATION_MS)
    if value.get("idle_timeout_ms") is not None:
        check_integer(value["idle_timeout_ms"], f"{param}.idle_timeout_ms", 1, MAX_DURATION_MS)
    return value


def check_transcription(value: Json, param: str, settings: CoreSettings) -> Json:
    for key in ("model", "language", "prompt"):
        if value.get(key) is not None:
            check_string(value[key], f"{param}.{key}", 20_000)
    for key in ("languages", "keywords"):
        if value.get(key) is not None:
            for index, word in enumerate(check_array(value[key], f"{param}.{key}", 1000)):
                check_string(word, f"{param}.{key}[{index}]", 200)
    if value.get("delay") is not None:
        delays = ("minimal", "low", "medium", "high", "xhigh")
        check_choice(value["delay"], f"{param}.delay", delays)
    if not settings.tells_speakers and "diarize" in str(value.get("model")):
        raise ClientError(
            "unsupported_value",
            f"'{param}.model': this recogniser does not tell speakers apart; name another model.",
            f"{param}.model",
        )
    return value


def check_noise_reduction(value: object, param: str) -> Json:
    given = check_object(value, param)
    check_choice(given.get("type"), f"{param}.type", NOISE_REDUCTION)
    if given.get("strength") is not None:
        check_number(given["strength"], f"{param}.strength", 0.0, 1.0)
    return given


def check_truncation(value: object, param: str) -> str | Json:
    if not isinstance(value, dict):
        return check_choice(value, param, ("auto", "disabled"))
    check_choice(value.get("type"), f"{param}.type", ("retention_ratio",))
    check_number(value.get("retention_ratio"), f"{param}.retention_ratio", 0.0, 1.0)
    if value.get("token_limits") is not None:
        limits = check_object(value["token_limits"], f"{param}.token_limits")
        if limits.get("post_instructions") is not None:
            check_integer(limits["post_instructions"], f"{param}.token_limits.post_instructions")
    return value


def check_tracing(value: object, param: str) -> str | Json:
    if not isinstance(value, dict):
        return check_choice(value, param, ("auto",))
    for key in ("workflow_name", "group_id"):
        if value.get(key) is not None:
            check_string(value[key], f"{param}.{key}", 512)
    return value


def check_include(value: object, param: str, settings: CoreSettings) -> list[Any]:
    names = check_array(value, param, 16)
    for index, name in enumerate(names):
        check_choice(name, f"{param}[{index}]", INCLUDE)
        if not settings.tells_logprobs:
            raise ClientError(
                "unsupported_value",
                f"'{param}[{index}]': this recogniser has no log probabilities; leave it out.",
                f"{param}[{index}]",
            )
    return names


def check_prompt(value: object, param: str) -> Json:
    given = check_object(value, param)
    check_string(given.get("id"), f"{param}.id", 512)
    if given.get("version") is not None:
        check_string(given["version"], f"{param}.version", 512)
    for name, value in check_object(given.get("variables") or {}, f"{param}.variables").items():
        if not isinstance(value, str):
            at = f"{param}.variables.{name}"
            check_choice(check_object(value, at).get("type"), f"{at}.type", PROMPT_VARIABLES)
    return given


def check_reasoning(value: object, param: str) -> Json:
    given = check_object(value, param)
    if given.get("effort") is not None:
        efforts = ("none", "minimal", "low", "medium", "high", "xhigh")
        check_choice(given["effort"], f"{param}.effort", efforts)
    return given
