"""One response at a time: when ``response.create`` goes out, and what ends a response. Pure.

Servers refuse a second response while one is active, and a creation right behind a cancellation:
a response is *requested* when it is asked for, not when it is confirmed, and whatever else is
wished for waits. Each phase has its watchdog, so no lost event leaves a call mute.
"""

from __future__ import annotations

from modes.external.closing import close, end, is_hidden, review
from modes.external.state import CallState, Json, Slot, Wish


REQUEST_S = 5.0
"""A request that is neither confirmed nor refused in this time is made again."""
STALL_S = 12.0
"""A response without any event for this long is cancelled; models that reason take 2.5 s."""
CANCEL_S = 3.0
ANSWER_S = 4.0
"""A turn that the server should answer by itself is asked for after this."""
RETRY_S = 1.0
MOST_REFUSALS = 4
ACTIVE = "conversation_already_has_active_response"
NOT_ACTIVE = "response_cancel_not_active"


# -- asking ---------------------------------------------------------------------------------------


def settle(s: CallState) -> None:
    """Whatever just happened: bring the context up to date, then ask for what is wished."""
    if s.able is None:
        return
    if s.is_safe or s.able.answers_by_itself:
        for step in s.context.steps(s.now_s):
            s.do("apply", step)
            if step.act == "append":
                s.history.noted(step.folios[0])
    if s.able.answers_by_itself:
        s.wishes.clear()
    elif s.is_safe and not s.waiting and "retry" not in s.deadlines:
        _ask_next(s)
    expects = s.unanswered and s.is_safe and not (s.is_speaking or s.waiting or s.wishes)
    if expects and not s.able.answers_by_itself:
        s.after("answer", ANSWER_S)
    else:
        s.deadlines.pop("answer", None)


def _ask_next(s: CallState) -> None:
    for kind in ("client", "answer", "say", "filler"):
        wish = s.wishes.get(kind)
        if wish is None or (s.is_speaking and kind != "client"):
            continue
        if kind in ("say", "filler") and s.now_s < s.conversation.sounds_until_s:
            s.deadlines["quiet"] = s.conversation.sounds_until_s
            continue
        if kind == "filler":
            del s.wishes["filler"]
        else:
            s.wishes.clear()  # one answer says it all
        _request(s, wish)
        return


def _request(s: CallState, wish: Wish) -> None:
    event: Json = {"type": "response.create", "event_id": s.new_id("event")}
    if wish.params is not None:
        event["response"] = wish.params
    s.slot = Slot("requested", wish, event["event_id"], heard_from_s=s.now_s)
    s.deadlines["request"] = s.now_s + REQUEST_S
    s.send(event)


def create(s: CallState, event: Json) -> Wish | None:
    """The caller's side asks for a response; returns the wish, None where it is refused."""
    if s.slot.phase in ("requested", "active") or s.waiting or "client" in s.wishes:
        refuse(s, event.get("event_id"), ACTIVE, "Conversation already has an active response")
        return None
    s.wishes.pop("answer", None)
    return Wish("client", event.get("response"), event.get("event_id"))


def cancel(s: CallState, event: Json) -> None:
    """The caller's side wants no answer, or not this one."""
    if s.able is not None and s.able.answers_by_itself:
        return  # it stops when it hears the caller
    wanted, slot = event.get("response_id"), s.slot
    if wanted is not None and wanted in s.asides:
        s.send({"type": "response.cancel", "response_id": wanted})
        return
    waits = bool(s.waiting or s.wishes)
    other = wanted is not None and slot.response_id not in ("", wanted)
    if other or (slot.phase in ("idle", "cancelling") and not waits):
        refuse(
            s, event.get("event_id"), NOT_ACTIVE, "Cancellation failed: no active response found"
        )
        return
    s.wishes.clear()
    s.waiting.clear()
    s.unanswered = ""
    if slot.phase == "requested":
        slot.phase = "cancelling"  # it is cancelled as soon as it has an id
    elif slot.phase == "active":
        _cancel_active(s)


def _cancel_active(s: CallState) -> None:
    event: Json = {"type": "response.cancel", "event_id": s.new_id("event")}
    if s.slot.response_id:
        event["response_id"] = s.slot.response_id
    s.slot.phase = "cancelling"
    s.deadlines.pop("stall", None)
    s.deadlines["cancel"] = s.now_s + CANCEL_S
    s.send(event)


def refuse(s: CallState, event_id: str | None, code: str, message: str) -> None:
    """An error event for the caller's side."""
    fault = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
    s.tell(s.make("error", error={**fault, "event_id": event_id}))


# -- what comes back ------------------------------------------------------------------------------


def created(s: CallState, event: Json) -> Json | None:
    response = event["response"]
    response_id = response["id"]
    if "conversation_id" in response and response["conversation_id"] is None:
        s.asides.add(response_id)
        return event
    if s.slot.phase in ("active", "cancelling") and s.slot.response_id not in ("", response_id):
        close(s)  # its end was lost
    slot = s.slot
    # What begins after another turn has ended answers that one, whatever was cancelled before.
    is_unwanted = slot.phase == "cancelling" and not s.unanswered
    slot.phase, slot.response_id, slot.heard_from_s = "active", response_id, s.now_s
    slot.response = response
    s.refusals = 0
    s.deadlines.pop("request", None)
    if s.able is None or not s.able.answers_by_itself:
        s.deadlines["stall"] = s.now_s + STALL_S
    if slot.wish is None or slot.wish.kind != "filler":
        s.unanswered = ""
        slot.in_force = s.context.response_created(response_id, s.turn, s.now_s)
    if slot.wish is None and not s.unconfirmed:
        s.wishes.pop("answer", None)  # the server's own answer knows all of it
    if is_unwanted:
        _cancel_active(s)
    return event


def done(s: CallState, event: Json) -> Json | None:
    response, slot = event["response"], s.slot
    response_id = response["id"]
    if response_id in s.asides:
        s.asides.discard(response_id)
        return event
    if response_id in s.finished:
        return None
    s.finished.append(response_id)
    if slot.phase == "idle" or slot.response_id not in ("", response_id):
        return event
    output = [raw for raw in response.get("output") or () if not is_hidden(s, raw["id"])]
    shown = {**event, "response": {**response, "output": output}}
    s.history.measure(response.get("usage") or {})
    review(s, response, output)
    end(s)
    if slot.is_forced:
        _owe(s, slot)
    elif response.get("status") == "failed" and s.retried != s.conversation.newest_turn_id():
        # Too busy, or broken: once more.
        s.retried = s.conversation.newest_turn_id()
        _owe(s, slot)
        s.after("retry", RETRY_S)
    return shown


def _owe(s: CallState, slot: Slot) -> None:
    """The answer that did not come is wished for again; a filler is not missed."""
    wish = slot.wish or Wish("answer")
    if wish.kind == "client" and wish.params is None:
        wish = Wish("answer")
    if wish.kind != "filler":
        s.wishes.setdefault(wish.kind, wish)


def error(s: CallState, event: Json) -> Json | None:
    """An error of the upstream's; returns it where it concerns the caller's side."""
    fault, slot = event["error"], s.slot
    code, event_id = fault.get("code") or "", fault.get("event_id") or ""
    is_ours = bool(event_id) and event_id == slot.event_id
    if slot.phase in ("requested", "cancelling") and not slot.response_id:
        if is_ours or not event_id:
            return _refused(s, fault, code)
    elif is_ours and code == ACTIVE:
        # What was taken for the answer to our request is one that the server began itself.
        wish, slot.wish = slot.wish, None
        return _again(s, wish or Wish("answer"), fault)
    if code == NOT_ACTIVE:
        if slot.phase == "cancelling":
            is_forced = slot.is_forced
            close(s)  # it has ended, and its end was lost
            if is_forced:
                _owe(s, slot)
        return None
    return event


def _refused(s: CallState, fault: Json, code: str) -> Json | None:
    wish, is_cancelled = s.slot.wish or Wish("answer"), s.slot.phase == "cancelling"
    end(s)
    if code == ACTIVE:
        s.slot = Slot("active", heard_from_s=s.now_s)
        s.deadlines["stall"] = s.now_s + STALL_S
        return None if is_cancelled else _again(s, wish, fault)
    if is_cancelled or wish.kind in ("say", "filler"):
        return None
    if wish.kind == "client":
        return s.make("error", error={**fault, "event_id": wish.client_event_id})
    s.wishes.setdefault(wish.kind, wish)
    count_refusal(s, "refused")
    return None


def _again(s: CallState, wish: Wish, fault: Json) -> Json | None:
    """The server is answering already: after that, unless the client only met the same race."""
    if wish.kind == "client" and not wish.item_id:
        return s.make("error", error={**fault, "event_id": wish.client_event_id})
    s.wishes.setdefault(wish.kind, wish)
    return None


def count_refusal(s: CallState, why: str) -> None:
    """No response comes of our requests: wait, then another upstream, then say so."""
    s.refusals += 1
    if s.refusals == 2:
        s.do("abandon", why)
    elif s.refusals >= MOST_REFUSALS:
        s.refusals, s.unanswered = 0, ""
        s.wishes.clear()
        s.do("refusal", ("given_up", {"what": "response", "reason": why}))
        message = "the speaker did not answer this turn"
        s.tell({"type": "penny.warning", "code": "degraded", "message": message})
    s.after("retry", RETRY_S)


# -- watchdogs ------------------------------------------------------------------------------------


def overdue(s: CallState, name: str) -> None:
    """One of this part's deadlines has come."""
    slot = s.slot
    if name == "request" and slot.phase in ("requested", "cancelling"):
        wish, is_cancelled = slot.wish, slot.phase == "cancelling"
        end(s)
        if wish is not None and not is_cancelled and wish.kind != "filler":
            s.wishes.setdefault(wish.kind, wish)
            count_refusal(s, "silent")
    elif name == "stall" and slot.phase == "active":
        if s.now_s < slot.heard_from_s + STALL_S:
            s.deadlines["stall"] = slot.heard_from_s + STALL_S
        else:
            slot.is_forced = True
            _cancel_active(s)
    elif name == "cancel" and slot.phase == "cancelling":
        s.do("abandon", "stalled")
    elif name == "answer":
        s.wishes.setdefault("answer", Wish("answer"))


def lost(s: CallState) -> None:
    """The upstream went: close for the caller's side what hangs in the air, and owe the answer."""
    slot = s.slot
    is_owed = slot.phase in ("requested", "active") or slot.is_forced
    close(s)
    if is_owed:
        _owe(s, slot)
    s.asides.clear()
    s.deadlines.pop("retry", None)
