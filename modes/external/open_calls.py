"""Calls of Penny's own tools: run once, answered all at once, delivered exactly once. Pure.

A result belongs to the conversation, not to a connection: it is an item there from the moment it
goes up, so an upstream that comes later is seeded with it and none is told it twice.
"""

from __future__ import annotations

from functools import partial

from modes.external.state import Batch, CallState, Json, Run, ToolEnded, Wish


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
        "instructions": s.say.format(phrase),
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
        s.wishes.setdefault("answer", batch.wish or Wish("answer"))


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
