"""One EXTERNAL call as a pure function: an event and the time in, effects out.

``step`` is all that changes a ``CallState``. Timers are deadlines in the state: the call's owner
sends ``tick`` when the earliest has come. After every event but audio the state is settled: the
speaker's context is brought up to date and the next response is asked for, if there may be one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modes.answers import OpenItem
from modes.external import open_calls, requests, responses, turns
from modes.external.speaker import Capabilities
from modes.external.state import CallState, Effect, Json, Slot, What, Wish


def step(s: CallState, what: What, about: Any, now_s: float) -> list[Effect]:
    """Take what happened; returns what follows from it, in order."""
    s.now_s = now_s
    if what == "upstream" and about["type"] == "response.output_audio.delta":
        hear_audio(s, about, now_s)
        return [("tell", about)]
    s.effects = []
    _HAPPENS[what](s, about)
    responses.settle(s)
    for outcome in s.context.drain(s.turn, s.now_s):
        s.do("outcome", outcome)
        if outcome.state == "in_force" and outcome.folio.kind == "speakable" and s.able is not None:
            s.wish(Wish("say"))
            responses.settle(s)
    return s.effects


def hear_audio(s: CallState, event: Json, now_s: float) -> None:
    """A piece of an answer's audio, of which there are fifty a second: nothing follows from it
    but that it is told."""
    if event["response_id"] == s.slot.response_id:
        s.slot.heard_from_s = now_s
    lasts_ms = s.view.output_format.ms_of_base64(event["delta"])
    s.conversation.add_audio(event["item_id"], lasts_ms, now_s)


def next_deadline_s(s: CallState) -> float | None:
    """When a ``tick`` is due; None while nothing waits."""
    due = [each for each, _ in s.deadlines.values()]
    acknowledgement = s.context.due_s
    if acknowledgement is not None:
        due.append(acknowledgement)
    return min(due, default=None)


def _tick(s: CallState, _: None) -> None:
    for name in [name for name, (due_s, _) in s.deadlines.items() if due_s <= s.now_s]:
        due = s.deadlines.pop(name, None)
        if due is not None and due[1] is not None:
            due[1](s)
    for given_up in s.context.tick(s.now_s):
        s.do("refusal", ("given_up", {"what": given_up.act, "folios": given_up.folios}))


def _attach(s: CallState, able: Capabilities) -> None:
    _lose(s, None)  # of a planned replacement: what the old one had begun ends here
    s.able = able
    s.conversation.mark_seeded()
    s.context.attach(able)
    requests.attached(s)
    turns.attached(s)


def _lose(s: CallState, _: None) -> None:
    if s.able is None:
        return
    responses.lost(s)
    requests.lost(s)
    open_calls.upstream_lost(s)
    turns.lost(s)
    s.able = None
    s.context.attach(None)


def _heard_from_upstream(s: CallState, event: Json) -> None:
    handler = _UPSTREAM.get(event["type"])
    shown = event if handler is None else handler(s, event)
    if shown is not None:
        responses.show(s, shown)
        s.do("tell", shown)


def _spoken(s: CallState, event: Json) -> Json:
    responses.running(s, event)
    s.conversation.reply(event["item_id"]).spoken.text(event["delta"])
    return event


def _written(s: CallState, event: Json) -> Json:
    responses.running(s, event)
    s.conversation.reply(event["item_id"]).words += event["delta"]
    return event


def _arguments(s: CallState, event: Json) -> Json | None:
    responses.running(s, event)
    return None if s.conversation.is_hidden(event["item_id"]) else event


def _part_added(s: CallState, event: Json) -> Json:
    responses.running(s, event)
    item = _slot_of(s, event).items.get(event["item_id"])
    if item is not None:
        item.parts[event["content_index"]] = event["part"]["type"]
    return event


def _output_added(s: CallState, event: Json) -> Json | None:
    responses.running(s, event)
    raw, slot = event["item"], _slot_of(s, event)
    if event["response_id"] == slot.response_id:
        slot.items[raw["id"]] = OpenItem(event["output_index"], raw)
    if slot is s.slot:
        _take_in(s, raw, None)
    else:
        s.conversation.add(raw).role = "aside"
    return None if s.conversation.is_hidden(raw["id"]) else event


def _output_done(s: CallState, event: Json) -> Json | None:
    responses.running(s, event)
    raw, slot = event["item"], _slot_of(s, event)
    if slot.items.pop(raw["id"], None) is not None:
        slot.output.append(raw)
    if slot is not s.slot:
        return event
    _take_in(s, raw, None)
    if not s.conversation.is_hidden(raw["id"]):
        return event
    # Arguments come in two events; this one alone is acted on.
    if raw["type"] == "function_call" and raw.get("status", "completed") == "completed":
        open_calls.called(s, raw, event["response_id"])
    return None


def _slot_of(s: CallState, event: Json) -> Slot:
    return s.asides.get(event["response_id"], s.slot)


def _take_in(s: CallState, raw: Json, place: str | None) -> None:
    item = s.conversation.add(raw, place)
    if raw["type"] == "function_call" and raw.get("name") in s.view.own_tools:
        item.is_hidden = True
    elif raw["type"] == "function_call_output":
        asked = s.conversation.find_call(raw.get("call_id") or "")
        item.is_hidden = item.is_hidden or (asked is not None and asked.is_hidden)


def _item_added(s: CallState, event: Json) -> Json | None:
    raw, before = event["item"], s.turn
    _take_in(s, raw, event.get("previous_item_id"))
    requests.answered(s, requests.CREATE, raw["id"])
    s.unconfirmed.discard(raw["id"])
    if s.turn != before:  # a user's item that somebody else wrote
        s.context.turn_began(s.turn)
        item = s.conversation.get(raw["id"])
        if item is not None and item.is_final:
            turns.turn_known(s, item)
    return _placed_as_seen(s, event)


def _item_done(s: CallState, event: Json) -> Json | None:
    _take_in(s, event["item"], None)
    return _placed_as_seen(s, event)


def _placed_as_seen(s: CallState, event: Json) -> Json | None:
    """With the nearest item before it that the caller's side knows; None for a hidden one."""
    item_id = event["item"]["id"]
    if s.conversation.is_hidden(item_id):
        return None
    return {**event, "previous_item_id": s.conversation.visible_before(item_id)}


def _item_deleted(s: CallState, event: Json) -> Json | None:
    item_id = event["item_id"]
    requests.answered(s, requests.DELETE, item_id)
    hidden = s.conversation.is_hidden(item_id)
    s.conversation.delete(item_id)
    return None if hidden else event


def _item_truncated(s: CallState, event: Json) -> Json:
    requests.answered(s, requests.TRUNCATE, event["item_id"])
    s.conversation.cut(event["item_id"], event["audio_end_ms"], s.now_s)
    return event


def _response_done(s: CallState, event: Json) -> Json | None:
    response = event["response"]
    details = response.get("status_details") or {}
    stopped = details.get("reason") == "client_cancelled" and not s.slot.is_forced
    shown = responses.done(s, event)
    open_calls.response_ended(s, response["id"], interrupted=stopped)
    return shown


def _placement_refused(s: CallState, event: Json) -> None:
    refused = s.context.refused(event["step_id"])
    if refused is not None:
        about = {"folios": refused.folios, "act": refused.act, "code": event.get("code")}
        s.do("refusal", ("placement_refused", about))


_UPSTREAM: dict[str, Callable[[CallState, Json], Json | None]] = {
    "input_audio_buffer.speech_started": turns.speech_started,
    "input_audio_buffer.speech_stopped": turns.speech_stopped,
    "input_audio_buffer.committed": requests.committed,
    "input_audio_buffer.cleared": requests.cleared,
    "conversation.item.input_audio_transcription.delta": turns.words_so_far,
    "conversation.item.input_audio_transcription.completed": turns.words_final,
    "conversation.item.input_audio_transcription.failed": turns.words_final,
    "conversation.item.added": _item_added,
    "conversation.item.done": _item_done,
    "conversation.item.retrieved": requests.retrieved,
    "conversation.item.deleted": _item_deleted,
    "conversation.item.truncated": _item_truncated,
    "response.created": responses.created,
    "response.output_item.added": _output_added,
    "response.output_item.done": _output_done,
    "response.content_part.added": _part_added,
    "response.function_call_arguments.delta": _arguments,
    "response.function_call_arguments.done": _arguments,
    "response.output_audio_transcript.delta": _spoken,
    "response.output_text.delta": _written,
    "response.done": _response_done,
    "session.updated": requests.session_updated,
    "penny.not_understood": lambda s, event: s.do("not_understood", event["event_type"]),
    "penny.placed": lambda s, event: s.context.placed(event["step_id"]),
    "penny.placement_refused": _placement_refused,
    "error": requests.refused,
}

_HAPPENS: dict[What, Callable[[CallState, Any], None]] = {
    "caller": requests.take,
    "upstream": _heard_from_upstream,
    "tick": _tick,
    "lost": _lose,
    "attached": _attach,
    "facts": turns.facts_found,
    "tool": open_calls.ended,
    "offered": lambda s, folio: s.context.offer(folio),
    "withdrawn": lambda s, about: s.context.withdraw(*about),
}
