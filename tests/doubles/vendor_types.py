"""What OpenAI's own types refuse: the SDK's models, strict, with unknown fields forbidden."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

from openai.types.live import client_event as live_client_event
from openai.types.realtime import realtime_client_event
from pydantic import BaseModel, ValidationError


Json = dict[str, Any]
Refusal = tuple[str, str, str]
"""(code, message, parameter)"""

FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
VOICES = frozenset(
    ["alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"]
)


def _models(module: ModuleType) -> dict[str, type[BaseModel]]:
    found: dict[str, type[BaseModel]] = {}
    for model in vars(module).values():
        if (
            isinstance(model, type)
            and issubclass(model, BaseModel)
            and "type" in model.model_fields
        ):
            for kind in getattr(model.model_fields["type"].annotation, "__args__", ()):
                found[kind] = model
    return found


REALTIME = _models(realtime_client_event)
LIVE = _models(live_client_event)


def refuse(event: Json, models: dict[str, type[BaseModel]]) -> Refusal | None:
    """Why the vendor's types refuse a client event; None where they take it."""
    model = models.get(event.get("type", ""))
    if model is None:
        return "invalid_value", f"unknown event {event.get('type')}", "type"
    try:
        read = model.model_validate(event, strict=True)
    except ValidationError as error:
        fault = max(error.errors(include_url=False), key=lambda each: len(each["loc"]))
        param = ".".join(str(part) for part in fault["loc"])
        return "invalid_value", fault["msg"], param
    unknown = _find_unknown(read, "")
    return ("unknown_parameter", f"Unknown parameter: '{unknown}'.", unknown) if unknown else None


def _find_unknown(value: object, path: str) -> str:
    if isinstance(value, BaseModel):
        for name in value.model_extra or ():
            return f"{path}{name}"
        fields = [(name, getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, list):
        fields = [(str(number), each) for number, each in enumerate(value)]
    else:
        return ""
    return next((hit for n, each in fields if (hit := _find_unknown(each, f"{path}{n}."))), "")


def refuse_session(session: Json, *, model: str, has_spoken: bool, before: Json) -> Refusal | None:
    """What the documents of ``session.update`` say beside the types."""
    output = (session.get("audio") or {}).get("output") or {}
    speed, voice = output.get("speed"), output.get("voice")
    if speed is not None and not 0.25 <= speed <= 1.5:
        return "decimal_above_max_value", "speed: 0.25 to 1.5", "session.audio.output.speed"
    if isinstance(voice, str) and voice not in VOICES:
        return "invalid_value", f"Invalid voice '{voice}'", "session.audio.output.voice"
    known = before["audio"]["output"].get("voice")
    if voice is not None and has_spoken and voice != known:
        return (
            "cannot_update_voice",
            "the voice has been heard already",
            "session.audio.output.voice",
        )
    if session.get("model", model) != model:
        return "invalid_value", "the model cannot be changed", "session.model"
    return refuse_tools(session.get("tools"))


def refuse_tools(tools: list[Json] | None) -> Refusal | None:
    names = [tool.get("name") for tool in tools or () if tool.get("type") == "function"]
    for name in names:
        if name is None or not FUNCTION_NAME.fullmatch(name):
            return "invalid_value", f"Invalid function name '{name}'", "session.tools"
    if len(set(names)) < len(names):
        return "invalid_value", "Duplicate function names", "session.tools"
    return None


def refuse_response(response: Json | None) -> Refusal | None:
    """What the documents of ``response.create`` say beside the types."""
    metadata = (response or {}).get("metadata") or {}
    if len(metadata) > 16:
        return "object_above_max_properties", "at most 16 pairs", "response.metadata"
    for name, value in metadata.items():
        if len(name) > 64 or len(value) > 512:
            return "string_above_max_length", "metadata is too long", f"response.metadata.{name}"
    return refuse_tools((response or {}).get("tools"))


def refuse_item(item: Json, known: dict[str, Json]) -> Refusal | None:
    """What the documents of ``conversation.item.create`` say beside the types."""
    if item.get("id") in known:
        return "invalid_value", f"Item '{item['id']}' exists already", "item.id"
    if item["type"] == "function_call_output":
        calls = {i.get("call_id") for i in known.values() if i["type"] == "function_call"}
        if item["call_id"] not in calls:
            return "invalid_tool_call_id", "there is no such call", "item.call_id"
    if item["type"] == "message":
        takes = {"assistant": {"output_text"}, "system": {"input_text"}}.get(
            item["role"], {"input_text", "input_audio", "input_image"}
        )
        if any(part.get("type") not in takes for part in item["content"]):
            return "invalid_value", f"content of {item['role']}", "item.content"
    return None
