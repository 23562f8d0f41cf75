"""The end of a response: what the caller's side, the brain and the meter are told of it. Pure."""

from __future__ import annotations

from brain.analysis import Reply
from modes.answers import OpenItem, close_item
from modes.external import open_calls
from modes.external.placing import count_tokens
from modes.external.state import CallState, Json, Slot
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
    reply = Reply(
        item_id=items[-1].id,
        response_id=response["id"],
        turn=s.turn,
        words=s.conversation.words_of(s.turn),
        text=" ".join(item.text.strip() for item in items),
        status=response.get("status") or "completed",
        in_force=s.slot.in_force,
        earlier=tuple(item.id for item in items[:-1]),
    )
    if s.slot.wish is None or s.slot.wish.kind != "filler":
        s.do("replied", reply)


def close(s: CallState) -> None:
    """End the running response with every event that a whole one has, and with its usage."""
    slot = s.slot
    if slot.response_id:
        if slot.untold is not None:
            s.do("tell", slot.untold)
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
    output += [_close_item(s, slot, i) for i in slot.items.values() if not hidden(i.raw["id"])]
    response = {"conversation_id": None, "metadata": None, **slot.response}
    ended = {"status": details["type"], "status_details": details, "usage": usage}
    return {**response, **ended, "output": output}


def _close_item(s: CallState, slot: Slot, item: OpenItem) -> Json:
    item_id = item.raw["id"]
    if item.parts:
        item.text = s.conversation.reply(item_id).text
    raw, told = close_item(slot.response_id, item, s.conversation.visible_before(item_id))
    if slot is s.slot:
        s.conversation.add(raw)
    for kind, fields in told:
        if slot is s.slot or kind != "conversation.item.done":
            s.tell(kind, **fields)
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
