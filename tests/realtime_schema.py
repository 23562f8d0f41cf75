"""Validates server events against the installed openai SDK's own types, strictly.

The SDK itself parses without validating, so a wrong event would pass unnoticed there. Here an
unknown type fails, a missing required field fails, and so does a value of the wrong type or a
string outside a literal, at every depth.
"""

from __future__ import annotations

import functools
import json
from typing import Any, get_args

import pydantic
from openai.types.realtime.realtime_server_event import RealtimeServerEvent


NOT_ON_A_WEBSOCKET = frozenset(
    {
        "conversation.created",
        "conversation.item.created",
    }
)
"""In the SDK's types, never sent here."""

OF_CALLS = frozenset(
    (
        "input_audio_buffer.dtmf_event_received",
        *(f"output_audio_buffer.{what}" for what in ("started", "stopped", "cleared")),
    )
)
"""Only on a call: on its data channel, and on a WebSocket that takes part in it."""


@functools.cache
def read_models() -> dict[str, Any]:
    """Return the SDK's model of each server event type."""
    union = get_args(RealtimeServerEvent)[0]
    models: dict[str, Any] = {}
    for model in get_args(union):
        (name,) = get_args(model.model_fields["type"].annotation)
        models[name] = pydantic.TypeAdapter(model)
    return models


def assert_server_event_valid(event: dict[str, Any], *, on_call: bool = False) -> None:
    """Fail unless ``event`` is one that the SDK's types describe and its carrier brings."""
    kind = event["type"]
    if kind.startswith("penny."):
        assert isinstance(event["event_id"], str)
        return
    assert kind in read_models(), f"{kind} is not a server event of the SDK"
    assert kind not in NOT_ON_A_WEBSOCKET, f"{kind} does not belong here"
    assert on_call or kind not in OF_CALLS, f"{kind} does not belong on a WebSocket"
    assert event["event_id"], f"{kind} has no event_id"
    # Through JSON, as it travels: a tuple or bytes would not survive.
    read_models()[kind].validate_json(json.dumps(event), strict=True)
    for item in _find_items(event):
        _assert_item_whole(item)
    if kind == "response.done":
        _assert_response_whole(event["response"])


def _find_items(event: dict[str, Any]) -> list[dict[str, Any]]:
    output = event.get("response", {}).get("output") or []
    return [*output, *([event["item"]] if "item" in event else [])]


def _assert_item_whole(item: dict[str, Any]) -> None:
    """What the types leave optional and every client reads."""
    assert item["id"]
    if item["type"].startswith("mcp_"):
        return  # whose types have neither
    assert item["object"] == "realtime.item"
    assert item["status"] in ("completed", "incomplete", "in_progress")
    if item["type"] == "message":
        assert item["role"] in ("user", "assistant", "system")
        assert isinstance(item["content"], list)


def _assert_response_whole(response: dict[str, Any]) -> None:
    usage = response["usage"]
    given, made = usage["input_token_details"], usage["output_token_details"]
    cached = given["cached_tokens_details"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert (
        usage["input_tokens"]
        == given["text_tokens"] + given["audio_tokens"] + given["image_tokens"]
    )
    assert usage["output_tokens"] == made["text_tokens"] + made["audio_tokens"]
    parts = cached["text_tokens"], cached["audio_tokens"], cached["image_tokens"]
    assert given["cached_tokens"] == sum(parts)
    assert {"metadata", "conversation_id", "status_details"} <= response.keys()
