"""What the caller's side asks for: items, truncations, the session's own fields. Pure."""

from __future__ import annotations

from collections.abc import Callable

from modes.external import responses, turns
from modes.external.state import CallState, Json, Wish


KEPT_REQUESTS = 256
MAX_METADATA_CHARS = 512
"""Of each value of a response's ``metadata``; 16 of them, with keys of 64 characters at most."""
WAITING_EVENTS = 64
"""Client events (not audio) that wait for the next upstream; past that the oldest go."""
UPDATE = "session.update"
COMMIT, CLEAR = "input_audio_buffer.commit", "input_audio_buffer.clear"
CREATE, RETRIEVE = "conversation.item.create", "conversation.item.retrieve"
DELETE, TRUNCATE = "conversation.item.delete", "conversation.item.truncate"


def take(s: CallState, event: Json) -> None:
    """One Realtime client event."""
    _HANDLERS.get(event["type"], _forward)(s, event)


def _forward(s: CallState, event: Json) -> None:
    """An event that is the upstream's own business, of this one or the next."""
    if s.able is not None:
        s.send(event)
        return
    s.outbox.append(event)
    del s.outbox[:-WAITING_EVENTS]


def _respond(s: CallState, event: Json) -> None:
    asked = event.get("response") or {}
    if asked.get("metadata"):
        fit = {name[:64]: str(v)[:MAX_METADATA_CHARS] for name, v in asked["metadata"].items()}
        asked = {**asked, "metadata": fit}
        event = {**event, "response": asked}
    if asked.get("conversation") == "none" or (s.able is not None and s.able.answers_by_itself):
        _forward(s, event)  # nothing else waits for it
        return
    wish = responses.create(s, event)
    if wish is None:
        return
    item_id, s.typed = s.typed, ""
    item = s.conversation.get(item_id)
    if item is None:
        s.wishes["client"] = wish
    else:
        turns.answer(s, item, Wish("client", wish.params, wish.client_event_id, item.id))


def _ask(s: CallState, event: Json) -> str:
    """Ask the upstream, this one or the next, for something that it answers; by which id."""
    event_id = event.get("event_id") or s.new_id("event")
    s.pending[event_id] = event
    while len(s.pending) > KEPT_REQUESTS:
        del s.pending[next(iter(s.pending))]
    if s.able is not None:
        _send(s, event_id, event)
    return event_id


def _send(s: CallState, event_id: str, event: Json) -> None:
    if event["type"] == UPDATE:
        fields = event["session"]
        asked = fields.get("instructions")
        whole = s.context.render(base=asked if isinstance(asked, str) else None)
        event = {**event, "session": {"type": "realtime", **s.view.outward(fields, whole)}}
    s.send({**event, "event_id": event_id})


def _create_item(s: CallState, event: Json) -> None:
    raw = {**event["item"], "id": event["item"].get("id") or s.new_id("item")}
    if s.conversation.get(raw["id"]) is None:
        before = s.turn
        item = s.conversation.add(raw, event.get("previous_item_id"))
        if s.turn != before:
            s.context.turn_began(s.turn)
            if item.is_final:
                s.typed = item.id
                turns.turn_known(s, item)
    _ask(s, {name: value for name, value in {**event, "item": raw}.items() if value is not None})


def _ask_about_audio(s: CallState, event: Json) -> None:
    s.asked_ms[_ask(s, event)] = s.position_ms


def _delete_item(s: CallState, event: Json) -> None:
    s.conversation.cut(event["item_id"], 0.0, s.now_s)
    if s.able is None:
        s.conversation.delete(event["item_id"])
    _ask(s, event)


def _truncate(s: CallState, event: Json) -> None:
    item_id = event["item_id"]
    item = s.conversation.get(item_id)
    if item is not None:
        if item.audio_ms:
            # A caller's clock may run ahead; the provider refuses what lies past the end.
            end_ms = min(event["audio_end_ms"], int(item.audio_ms))
            event = {**event, "audio_end_ms": end_ms}
        s.conversation.cut(item_id, float(event["audio_end_ms"]), s.now_s)
    is_text = item is not None and item.is_known_as_text
    if s.able is not None and s.able.truncates and not is_text:
        _ask(s, event)
        return
    if item is not None and is_text and s.able is not None:
        # The present upstream never spoke it: it knows the item as text and is told less of it.
        nothing = {"id": item_id, "type": "message", "role": "assistant", "content": []}
        s.do("seed", item.seed(s.now_s) or nothing)
    _tell_truncated(s, event)


def _tell_truncated(s: CallState, event: Json) -> None:
    place = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
    s.tell("conversation.item.truncated", **place)


_HANDLERS: dict[str, Callable[[CallState, Json], object]] = {
    "response.create": _respond,
    "response.cancel": responses.cancel,
    **dict.fromkeys((UPDATE, RETRIEVE), _ask),
    **dict.fromkeys((COMMIT, CLEAR), _ask_about_audio),
    CREATE: _create_item,
    DELETE: _delete_item,
    TRUNCATE: _truncate,
}


def answered(s: CallState, kind: str, item_id: str | None = None) -> Json | None:
    """The oldest request of a kind (about an item), which has its answer now."""
    for event_id, event in s.pending.items():
        about = event.get("item_id") or (event.get("item") or {}).get("id")
        if event["type"] == kind and about == item_id:
            s.buffer_from_ms = s.asked_ms.pop(event_id, s.buffer_from_ms)
            return s.pending.pop(event_id)
    return None


def session_updated(s: CallState, event: Json) -> Json:
    """The upstream agreed: the oldest update that waits holds from now on."""
    update = answered(s, UPDATE)
    if update is not None:
        fields = update["session"]
        if isinstance(fields.get("instructions"), str):
            s.context.base = fields["instructions"]
        s.view.accept(fields)
    return {**event, "session": s.view.inward(event["session"], s.context.base)}


def refused(s: CallState, event: Json) -> Json | None:
    """An error about a request of the caller's side, told with their own event id."""
    event_id = event["error"].get("event_id") or ""
    request = s.pending.pop(event_id, None)
    s.asked_ms.pop(event_id, None)
    if request is None:
        return responses.error(s, event)
    if request["type"] == DELETE and s.conversation.get(request["item_id"]) is not None:
        # Nothing of it was heard, so this upstream was not told of it.
        s.conversation.delete(request["item_id"])
        s.tell("conversation.item.deleted", item_id=request["item_id"])
        return None
    if request["type"] == CREATE:
        item = s.conversation.get(request["item"]["id"])
        if item is not None and item.raw is request["item"]:  # not another of that id
            s.conversation.delete(item.id)
            s.typed = "" if s.typed == item.id else s.typed
    return {**event, "error": {**event["error"], "event_id": request.get("event_id")}}


def retrieved(s: CallState, event: Json) -> Json:
    answered(s, RETRIEVE, event["item"]["id"])
    return event


def committed(s: CallState, event: Json) -> Json:
    shown = turns.committed(s, event)
    if answered(s, COMMIT) is None:
        s.buffer_from_ms = s.position_ms
    return shown


def cleared(s: CallState, event: Json) -> Json:
    answered(s, CLEAR)
    return event


def lost(s: CallState) -> None:
    """What was to be taken out of a conversation is not seeded again."""
    for request in s.pending.values():
        if request["type"] == DELETE:
            s.conversation.delete(request["item_id"])


def attached(s: CallState) -> None:
    """Another upstream: it was seeded with the items as they are now; the rest is asked again."""
    for event_id, request in list(s.pending.items()):
        kind = request["type"]
        if kind in (COMMIT, CLEAR):
            continue  # it goes with the audio that is heard again
        if kind in (UPDATE, RETRIEVE):
            _send(s, event_id, request)
            continue
        del s.pending[event_id]
        if kind == DELETE:
            s.tell("conversation.item.deleted", item_id=request["item_id"])
        elif kind == TRUNCATE:
            _tell_truncated(s, request)
        else:
            _tell_created(s, request["item"]["id"])
    waiting, s.outbox = s.outbox, []
    for event in waiting:
        s.send(event)


def _tell_created(s: CallState, item_id: str) -> None:
    item = s.conversation.get(item_id)
    if item is not None:
        before = s.conversation.visible_before(item_id)
        raw = {"object": "realtime.item", "status": "completed", **item.raw}
        for kind in ("conversation.item.added", "conversation.item.done"):
            s.tell(kind, item=raw, previous_item_id=before)
