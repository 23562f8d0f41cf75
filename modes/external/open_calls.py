"""Calls of Penny's own tools: run once, answered all at once, delivered exactly once. Pure.

A result belongs to the conversation, not to a connection: it is an item there from the moment it
goes up, so an upstream that comes later is seeded with it and none is told it twice.
"""

from __future__ import annotations

from modes.external.state import Batch, CallState, Json, Run, ToolCall, ToolEnded, Wish


def called(s: CallState, raw: Json, response_id: str) -> None:
    """A finished function call; the same one counts once."""
    call_id = raw["call_id"]
    if call_id in s.calls:
        s.journal("tool_repeated", call_id=call_id)
        return
    s.calls[call_id] = ToolCall(call_id, response_id)
    s.batches.setdefault(response_id, Batch()).calls.append(call_id)
    s.after(f"filler {response_id}", s.timing.filler_s)
    s.after(f"reply {response_id}", s.timing.reply_s)
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
    call = s.calls.get(event.call_id)
    if call is None or call.output is not None:
        return
    call.output = event.output
    if not call.is_delivered:
        _deliver(s, call.response_id)
    elif event.late is not None:
        s.context.offer(event.late, s.turn, s.now_s)


def overdue(s: CallState, name: str) -> None:
    """A tool takes its time: a filler, then an answer without its result."""
    what, _, response_id = name.partition(" ")
    batch = s.batches.get(response_id)
    if batch is None:
        return
    if what == "reply":
        batch.is_due = True
        batch.is_whole |= s.slot.response_id != response_id  # its end was lost
        _deliver(s, response_id)
    elif s.is_quiet and not batch.is_interrupted and s.fillers and s.able is not None:
        phrase = s.fillers.pop(0)
        params = {
            "instructions": f"Di exactamente esta frase y nada más: «{phrase}»",
            "tool_choice": "none",
            "metadata": {"penny_say": phrase},
        }
        s.journal("filler", phrase=phrase)
        s.wishes["filler"] = Wish("filler", params)


def _deliver(s: CallState, response_id: str) -> None:
    """Once the response has ended: every output, then one answer."""
    batch = s.batches[response_id]
    calls = [s.calls[each] for each in batch.calls]
    if not batch.is_whole or not (batch.is_due or all(c.output is not None for c in calls)):
        return
    del s.batches[response_id]
    s.deadlines.pop(f"filler {response_id}", None)
    s.deadlines.pop(f"reply {response_id}", None)
    for call in calls:
        _send_output(s, call)
    if not batch.is_interrupted:
        s.wishes.setdefault("answer", Wish("answer"))


def _send_output(s: CallState, call: ToolCall) -> None:
    output = s.pending_output if call.output is None else call.output
    call.is_delivered = True
    item = {
        "id": s.new_id("item"),
        "type": "function_call_output",
        "call_id": call.call_id,
        "output": output,
    }
    asked = s.conversation.find_call(call.call_id)
    s.conversation.add(item).is_hidden = True
    if s.able is None or asked is None:
        return  # the seed of the next upstream has both
    event_id = s.new_id("event")
    s.unconfirmed.add(item["id"])
    s.send({"type": "conversation.item.create", "event_id": event_id, "item": item})
