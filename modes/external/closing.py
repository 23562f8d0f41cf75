"""The end of a response: what the caller's side, the brain and the meter are told of it. Pure."""

from __future__ import annotations

from typing import Any

from brain.host import Reply
from modes.external import open_calls
from modes.external.placing import count_tokens
from modes.external.state import CallState, Json, OpenItem, Slot
from penny.realtime.usage import Usage, count_input_audio, count_output_audio


def end(s: CallState) -> None:
    """The slot is free."""
    s.slot = Slot()
    s.drop_due("request", "stall", "cancel")


def review(s: CallState, response: Json, output: list[Json]) -> None:
    """Have the brain look at what was said."""
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
        response = _end_whole(s, slot, {"type": "cancelled", "reason": "client_cancelled"})
        review(s, response, response["output"])
        s.tell("response.done", response=response)
    end(s)
    open_calls.response_ended(s, slot.response_id, interrupted=False)


def close_asides(s: CallState) -> None:
    """Responses outside the conversation have failed with the upstream that made them."""
    error = {"type": "server_error", "code": "speaker_lost"}
    for slot in s.asides.values():
        s.tell("response.done", response=_end_whole(s, slot, {"type": "failed", "error": error}))
    s.asides.clear()


def _end_whole(s: CallState, slot: Slot, details: Json) -> Json:
    """Close every item; returns the response as it ended."""
    s.finished.append(slot.response_id)
    usage = _estimate_usage(s, slot)
    hidden = s.conversation.is_hidden
    output = [raw for raw in slot.output if not hidden(raw["id"])]
    output += [_close_item(s, slot, *each) for each in slot.items.items() if not hidden(each[0])]
    response = {"conversation_id": None, "metadata": None, **slot.response}
    ended = {"status": details["type"], "status_details": details, "usage": usage}
    return {**response, **ended, "output": output}


def _close_item(s: CallState, slot: Slot, item_id: str, item: OpenItem) -> Json:
    text = s.conversation.reply(item_id).text if item.parts else ""
    where: Json = {"response_id": slot.response_id, "output_index": item.output_index}
    content = []
    for index, kind in item.parts.items():
        place: dict[str, Any] = {**where, "item_id": item_id, "content_index": index}
        if kind == "audio":
            s.tell("response.output_audio.done", **place)
            s.tell("response.output_audio_transcript.done", **place, transcript=text)
            part, whole = {"type": "audio", "transcript": text}, "output_audio"
        else:
            s.tell("response.output_text.done", **place, text=text)
            part, whole = {"type": "text", "text": text}, "output_text"
        s.tell("response.content_part.done", **place, part=part)
        content.append({**part, "type": whole})
    raw = {**item.raw, "status": "incomplete"}
    if raw.get("type") == "message":
        raw["content"] = content
    if slot is s.slot:
        s.conversation.add(raw)
        before = s.conversation.visible_before(item_id)
        s.tell("conversation.item.done", item=raw, previous_item_id=before)
    s.tell("response.output_item.done", **where, item=raw)
    return raw


def _estimate_usage(s: CallState, slot: Slot) -> Json:
    """What the provider bills for a response whose own usage never came: all that it wrote, items
    that ended before included, behind a history that was cached."""
    written = [raw["id"] for raw in slot.output] + list(slot.items)
    items = [item for each in written if (item := s.conversation.get(each)) is not None]
    asked = s.conversation.get(s.conversation.newest_turn_id())
    heard_ms = max(0.0, asked.until_ms - asked.from_ms) if asked is not None else 0.0
    text, audio = s.placer.text_tokens, s.placer.audio_tokens
    usage = Usage(
        input_text=text,
        input_audio=audio + count_input_audio(round(heard_ms)),
        cached_text=text,
        output_text=sum(
            count_tokens(item.text or str(item.raw.get("arguments") or "")) for item in items
        ),
        output_audio=sum(count_output_audio(round(item.audio_ms)) for item in items),
    ).to_json()
    heard: Json = usage["input_token_details"]
    heard["cached_tokens"] += audio
    heard["cached_tokens_details"]["audio_tokens"] = audio
    return usage
