"""The end of a response, and the calls that it made. Pure.

A call is run once, its result is delivered exactly once: it is an item of the conversation from
the moment it goes up, so an upstream that comes later is seeded with it and none is told twice.
"""

from __future__ import annotations

from functools import partial

from brain.analysis import Reply
from modes.answers import OpenItem, close_item
from modes.external.placing import count_tokens
from modes.external.state import Batch, CallState, Json, Run, Slot, ToolEnded, Wish
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
        response = _end_whole(s, slot, {"type": "cancelled", "reason": "client_cancelled"})
        review(s, response, response["output"])
        s.tell("response.done", response=response)
    end(s)
    response_ended(s, slot.response_id, interrupted=False)


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


def called(s: CallState, raw: Json, response_id: str) -> None:
    """A finished function call; the same one counts once."""
    call_id = raw["call_id"]
    if call_id in s.calls:
        return
    s.calls[call_id] = response_id
    if response_id not in s.batches:
        s.batches[response_id] = Batch()
        s.set_due(f"filler {response_id}", s.filler_s, partial(_fill, response_id))
        s.set_due(f"reply {response_id}", s.reply_s, partial(_go_on, response_id))
    s.batches[response_id].outputs[call_id] = None
    words = s.conversation.words_of(s.turn)
    arguments = raw.get("arguments") or ""
    s.do("run", Run(call_id, raw["id"], raw["name"], arguments, s.turn, words))


def response_ended(s: CallState, response_id: str, *, interrupted: bool) -> None:
    """No more calls of this response come. ``interrupted``: by the caller's side, on purpose."""
    batch = s.batches.get(response_id)
    if batch is not None:
        batch.is_whole, batch.is_interrupted = True, interrupted
        _deliver(s, response_id)


def upstream_lost(s: CallState) -> None:
    """What was called before the drop is answered on the next upstream."""
    for response_id in list(s.batches):
        response_ended(s, response_id, interrupted=False)
    s.unconfirmed.clear()


def ended(s: CallState, event: ToolEnded) -> None:
    call_id = event.call_id
    if call_id in s.promised:
        s.promised.discard(call_id)
        if event.late is not None:
            s.context.offer(event.late)
        return
    batch = s.batches.get(s.calls.get(call_id, ""))
    if batch is not None and batch.outputs[call_id] is None:
        batch.outputs[call_id] = event.output
        _deliver(s, s.calls[call_id])


def _fill(response_id: str, s: CallState) -> None:
    """A tool takes its time: a filler."""
    batch = s.batches.get(response_id)
    if batch is None or batch.is_interrupted or not (s.is_quiet and s.fillers and s.able):
        return
    phrase = s.fillers.pop(0)
    params = {
        "instructions": f"Di exactamente esta frase y nada más: «{phrase}»",
        "tool_choice": "none",
        "metadata": {"penny_say": phrase},
    }
    s.wishes["filler"] = Wish("filler", params)


def _go_on(response_id: str, s: CallState) -> None:
    """A tool takes its time: an answer without its result."""
    batch = s.batches.get(response_id)
    if batch is not None:
        batch.is_due = True
        batch.is_whole |= s.slot.response_id != response_id  # its end was lost
        _deliver(s, response_id)


def _deliver(s: CallState, response_id: str) -> None:
    """Once the response has ended: every output, then one answer."""
    batch = s.batches[response_id]
    all_there = batch.is_due or None not in batch.outputs.values()
    if not batch.is_whole or not all_there:
        return
    del s.batches[response_id]
    s.drop_due(f"filler {response_id}", f"reply {response_id}")
    for call_id, output in batch.outputs.items():
        if output is None:
            s.promised.add(call_id)
        _send_output(s, call_id, s.pending_output if output is None else output)
    if not batch.is_interrupted:
        s.wishes.setdefault("answer", Wish("answer"))


def _send_output(s: CallState, call_id: str, output: str) -> None:
    item_id, kind = s.new_id("item"), "function_call_output"
    item = {"id": item_id, "type": kind, "call_id": call_id, "output": output}
    asked = s.conversation.find_call(call_id)
    s.conversation.add(item).is_hidden = True
    if s.able is None or asked is None:
        return  # the seed of the next upstream has both
    s.unconfirmed.add(item_id)
    event_id = s.new_id("event")
    s.send({"type": "conversation.item.create", "event_id": event_id, "item": item})
