"""One response at a time: when ``response.create`` goes out, and what ends a response. Pure.

Servers refuse a second response while one is active, and one right behind a cancellation: what else
is wished for waits. Each phase has its watchdog.
"""

from __future__ import annotations

from modes.external import closing
from modes.external.state import CallState, Json, Slot, Wish


REQUEST_S = 5.0
"""A request that is neither confirmed nor refused in this time is made again."""
STALL_S = 12.0
"""A response without any event for this long is cancelled; models that reason take 2.5 s."""
END_S = 5.0
"""The same of one whose items are all done: its end follows at once, or was lost."""
CANCEL_S = 3.0
ANSWER_S = 4.0
"""A turn that the server should answer itself is asked for after this."""
RETRY_S = 1.0
MOST_REFUSALS = 4
ACTIVE, NOT_ACTIVE = "conversation_already_has_active_response", "response_cancel_not_active"


def settle(s: CallState) -> None:
    """Whatever just happened: bring the context up to date, then ask for what is wished."""
    able = s.able
    if able is None:
        return
    if s.is_safe or able.answers_by_itself:
        for step in s.context.steps(s.now_s):
            s.do("apply", step)
            if step.act == "append":
                s.placer.noted(step.folios[0])
    if able.answers_by_itself:
        s.wishes.clear()
        return
    if s.is_safe and not s.waiting and "retry" not in s.deadlines:
        _ask_next(s)
    if not s.unanswered or not s.is_safe or s.is_speaking or s.waiting or s.wishes:
        s.drop_due("answer")
    elif "answer" not in s.deadlines:
        s.set_due("answer", ANSWER_S, lambda s: s.wish(Wish("answer")))


def _ask_next(s: CallState) -> None:
    for kind in ("client", "answer", "say", "filler"):
        wish = s.wishes.get(kind)
        if wish is None or (s.is_speaking and kind != "client"):
            continue
        sounds_s = s.conversation.sounds_until_s - s.now_s
        if kind in ("say", "filler") and sounds_s > 0:
            s.set_due("quiet", sounds_s)
            continue
        if kind == "filler":
            del s.wishes["filler"]
        else:
            s.wishes.clear()  # one answer says it all
        event: Json = {"type": "response.create", "event_id": s.new_id("event")}
        if wish.params is not None:
            event["response"] = wish.params
        s.slot = Slot("requested", wish, event["event_id"], heard_from_s=s.now_s)
        s.set_due("request", REQUEST_S, _unanswered)
        s.send(event)
        return


def create(s: CallState, event: Json) -> Wish | None:
    """The caller's side asks for a response; None where it is refused."""
    if s.slot.phase in ("requested", "active") or s.waiting or "client" in s.wishes:
        _refuse(s, event, ACTIVE, "Conversation already has an active response")
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
    other = wanted is not None and slot.response_id not in ("", wanted)
    nothing = slot.phase in ("idle", "cancelling") and not (s.waiting or s.wishes)
    if other or nothing:
        _refuse(s, event, NOT_ACTIVE, "Cancellation failed: no active response found")
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
    s.drop_due("stall")
    s.set_due("cancel", CANCEL_S, _not_cancelled)
    s.send(event)


def _refuse(s: CallState, event: Json, code: str, message: str) -> None:
    fault = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
    s.tell("error", error={**fault, "event_id": event.get("event_id")})


def created(s: CallState, event: Json) -> Json | None:
    response, response_id = event["response"], event["response"]["id"]
    if "conversation_id" in response and response["conversation_id"] is None:
        s.asides[response_id] = Slot("active", response_id=response_id, response=response)
        return event
    if s.slot.phase in ("active", "cancelling") and s.slot.response_id not in ("", response_id):
        closing.close(s)  # its end was lost
    slot = s.slot
    # What begins after another turn has ended answers that one, whatever was cancelled before.
    is_unwanted = slot.phase == "cancelling" and not s.unanswered
    slot.phase, slot.response_id, slot.response = "active", response_id, response
    s.refusals = 0
    s.drop_due("request")
    _watch(s)
    if slot.wish is None or slot.wish.kind != "filler":
        s.unanswered = ""
        slot.in_force = s.context.response_created(response_id)
    if slot.wish is None and not s.unconfirmed:
        s.wishes.pop("answer", None)  # the server's own answer knows all of it
    if is_unwanted:
        _cancel_active(s)
    if not s.view.own_tools:
        return event
    slot.untold = event
    return None


def show(s: CallState, event: Json) -> None:
    """Tell that a response began, before its first event that shows. One that only calls Penny's
    own tools does not: a client would take its end for the answer's."""
    if s.slot.untold is not None and event.get("response_id") == s.slot.response_id:
        s.do("tell", s.slot.untold)
        s.slot.untold = None


def running(s: CallState, event: Json) -> None:
    """An event of a response came: it runs, whatever was lost before."""
    response_id = event["response_id"]
    if s.slot.phase == "requested" and response_id not in (*s.asides, *s.finished):
        response: Json = {"id": response_id, "object": "realtime.response", "output": []}
        response |= {"status": "in_progress", "status_details": None, "usage": None}
        s.tell("response.created", response=response)
        created(s, {"response": response})
        s.slot.untold = None
    if response_id == s.slot.response_id:
        s.slot.heard_from_s = s.now_s


def done(s: CallState, event: Json) -> Json | None:
    response, slot = event["response"], s.slot
    response_id = response["id"]
    if response_id in s.asides:
        del s.asides[response_id]
        return event
    if response_id in s.finished:
        return None
    s.finished.append(response_id)
    if slot.phase == "idle" or slot.response_id not in ("", response_id):
        return event
    hidden = s.conversation.is_hidden
    output = [raw for raw in response.get("output") or () if not hidden(raw["id"])]
    s.placer.measure(response.get("usage") or {})
    closing.review(s, response, output)
    closing.end(s)
    if slot.is_forced:
        owe(s, slot)
    elif response.get("status") == "failed" and s.retried != s.conversation.newest_turn_id():
        s.retried = s.conversation.newest_turn_id()
        owe(s, slot)
        s.set_due("retry", RETRY_S)
    if slot.untold is not None:
        batch = s.batches.get(response_id)
        if batch is not None and response.get("status") == "completed":
            if slot.wish is not None and slot.wish.kind in ("client", "answer"):
                batch.wish = slot.wish  # the answer with its result is the one that was asked for
            s.tell("penny.usage", component="portavoz", usage=response.get("usage") or {})
            return None
        s.do("tell", slot.untold)
    return {**event, "response": {**response, "output": output}}


def owe(s: CallState, slot: Slot) -> None:
    """The answer that did not come is wished for again; a filler is not missed."""
    wish = slot.wish or Wish("answer")
    if wish.kind != "filler":
        s.wish(Wish("answer") if wish.kind == "client" and wish.params is None else wish)


def error(s: CallState, event: Json) -> Json | None:
    """An error of the upstream's; returns it where it concerns the caller's side."""
    fault, slot = event["error"], s.slot
    code, event_id = fault.get("code") or "", fault.get("event_id") or ""
    is_ours = bool(event_id) and event_id == slot.event_id
    is_open = slot.phase in ("requested", "cancelling") and not slot.response_id
    if is_open and (is_ours or not event_id):
        _refused(s, fault, code)
    elif is_ours and code == ACTIVE:
        # What was taken for the answer to our request is one that the server began itself.
        wish, slot.wish = slot.wish, None
        _after_it(s, wish or Wish("answer"), fault)
    elif code != NOT_ACTIVE:
        return event
    elif slot.phase == "cancelling":
        closing.close(s)  # it has ended, and its end was lost
        if slot.is_forced and not slot.is_whole:
            owe(s, slot)
    return None


def _refused(s: CallState, fault: Json, code: str) -> None:
    wish, is_cancelled = s.slot.wish or Wish("answer"), s.slot.phase == "cancelling"
    closing.end(s)
    if code == ACTIVE:
        s.slot = Slot("active")
        _watch(s)
        if not is_cancelled:
            _after_it(s, wish, fault)
    elif is_cancelled or wish.kind in ("say", "filler"):
        return
    elif wish.kind == "client":
        s.tell("error", error={**fault, "event_id": wish.client_event_id})
    else:
        s.wish(wish)
        _count_refusal(s, "refused")


def _after_it(s: CallState, wish: Wish, fault: Json) -> None:
    """The server is answering already: after that, unless the client only met the same race."""
    if wish.kind == "client" and not wish.item_id:
        s.tell("error", error={**fault, "event_id": wish.client_event_id})
    else:
        s.wish(wish)


def _count_refusal(s: CallState, why: str) -> None:
    """No response comes of our requests: wait, then another upstream, then say so."""
    s.refusals += 1
    if s.refusals == 2:
        s.do("abandon", why)
    elif s.refusals >= MOST_REFUSALS:
        s.refusals, s.unanswered = 0, ""
        s.wishes.clear()
        s.do("refusal", ("given_up", {"what": "response", "reason": why}))
        s.tell("penny.warning", code="degraded", message="the speaker did not answer this turn")
    s.set_due("retry", RETRY_S)


def _unanswered(s: CallState) -> None:
    """A request was neither confirmed nor refused."""
    wish, is_cancelled = s.slot.wish, s.slot.phase == "cancelling"
    closing.end(s)
    if wish is not None and not is_cancelled and wish.kind != "filler":
        s.wish(wish)
        _count_refusal(s, "silent")


def _watch(s: CallState) -> None:
    s.slot.heard_from_s = s.now_s
    if s.able is None or not s.able.answers_by_itself:
        s.set_due("stall", END_S, _stalled)


def _stalled(s: CallState) -> None:
    left_s = s.slot.heard_from_s + (END_S if s.slot.is_whole else STALL_S) - s.now_s
    if left_s > 0:
        s.set_due("stall", min(left_s, END_S), _stalled)
    elif s.slot.phase == "active":
        s.slot.is_forced = True
        _cancel_active(s)


def _not_cancelled(s: CallState) -> None:
    if s.slot.phase == "cancelling":
        s.do("abandon", "stalled")


def lost(s: CallState) -> None:
    """The upstream went: close for the caller's side what hangs in the air, and owe the answer."""
    slot = s.slot
    is_owed = slot.phase in ("requested", "active") or slot.is_forced
    closing.close(s)
    if is_owed:
        owe(s, slot)
    closing.close_asides(s)
    s.drop_due("retry")
