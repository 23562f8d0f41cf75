"""The end of a response: what the caller's side, the brain and the meter are told of it. Pure."""

from __future__ import annotations

from typing import Any

from brain.host import Reply
from modes.external import open_calls
from modes.external.placing import count_tokens
from modes.external.state import CallState, Json, OpenItem, Slot


MS_PER_TOKEN_HEARD, MS_PER_TOKEN_SPOKEN = 100, 50
"""OpenAI's own rates of audio tokens."""


def is_hidden(s: CallState, item_id: str) -> bool:
    item = s.conversation.get(item_id)
    return item is not None and item.is_hidden


def end(s: CallState) -> None:
    s.slot = Slot()
    for name in ("request", "stall", "cancel"):
        s.deadlines.pop(name, None)


def review(s: CallState, response: Json, output: list[Json]) -> None:
    found = [s.conversation.get(raw["id"]) for raw in output]
    items = [item for item in found if item is not None and item.role == "assistant" and item.text]
    if not items:
        return
    wish = s.slot.wish
    reply = Reply(
        item_id=items[-1].id,
        response_id=response["id"],
        turn=s.turn,
        words=s.conversation.words_of(s.turn),
        text=" ".join(item.text.strip() for item in items),
        status=response.get("status") or "completed",
        in_force=s.slot.in_force,
    )
    s.do("reply", (reply, response.get("usage"), wish is not None and wish.kind == "filler"))


def close(s: CallState) -> None:
    """End the running response with every event that a whole one has, and with its usage."""
    slot = s.slot
    if slot.response_id:
        s.finished.append(slot.response_id)
        output = [*slot.output]
        for item_id, item in slot.items.items():
            if not is_hidden(s, item_id):
                output.append(_close_item(s, item_id, item))
        response = {
            "conversation_id": None,
            "metadata": None,
            **slot.response,
            "status": "cancelled",
            "status_details": {"type": "cancelled", "reason": "client_cancelled"},
            "output": output,
            "usage": _estimate_usage(s, slot),
        }
        review(s, response, output)
        s.tell(s.make("response.done", response=response))
    end(s)
    open_calls.response_ended(s, slot.response_id, interrupted=False)


def _close_item(s: CallState, item_id: str, item: OpenItem) -> Json:
    text = s.conversation.reply(item_id).text if item.parts else ""
    where: Json = {"response_id": s.slot.response_id, "item_id": item_id}
    where |= {"output_index": item.output_index}
    content = []
    for index, kind in item.parts.items():
        place: dict[str, Any] = {**where, "content_index": index}
        if kind == "audio":
            s.tell(s.make("response.output_audio.done", **place))
            s.tell(s.make("response.output_audio_transcript.done", **place, transcript=text))
            part, whole = {"type": "audio", "transcript": text}, "output_audio"
        else:
            s.tell(s.make("response.output_text.done", **place, text=text))
            part, whole = {"type": "text", "text": text}, "output_text"
        s.tell(s.make("response.content_part.done", **place, part=part))
        content.append({**part, "type": whole})
    raw = {**item.raw, "status": "incomplete"}
    if raw.get("type") == "message":
        raw["content"] = content
    s.conversation.add(raw)
    before = s.conversation.visible_before(item_id)
    s.tell(s.make("conversation.item.done", item=raw, previous_item_id=before))
    del where["item_id"]
    s.tell(s.make("response.output_item.done", **where, item=raw))
    return raw


def _estimate_usage(s: CallState, slot: Slot) -> Json:
    """What the provider bills for a response whose own usage never came."""
    items = [s.conversation.get(item_id) for item_id in slot.items]
    spoken = [item for item in items if item is not None and item.role == "assistant"]
    audio_out = round(sum(item.audio_ms for item in spoken) / MS_PER_TOKEN_SPOKEN)
    text_out = sum(count_tokens(item.text) for item in spoken)
    asked = s.conversation.get(s.conversation.newest_turn_id())
    heard_ms = max(0.0, asked.until_ms - asked.from_ms) if asked is not None else 0.0
    text, audio = s.history.text_tokens, s.history.audio_tokens
    cached = {"text_tokens": text, "audio_tokens": audio, "image_tokens": 0}
    audio_in = audio + round(heard_ms / MS_PER_TOKEN_HEARD)
    return {
        "total_tokens": text + audio_in + text_out + audio_out,
        "input_tokens": text + audio_in,
        "output_tokens": text_out + audio_out,
        "input_token_details": {
            "text_tokens": text,
            "audio_tokens": audio_in,
            "image_tokens": 0,
            "cached_tokens": text + audio,
            "cached_tokens_details": cached,
        },
        "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
    }
