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


def take(s: CallState, event: Json) -> None:
    """One Realtime client event."""
    handler = _HANDLERS.get(event["type"], forward)
    handler(s, event)


def forward(s: CallState, event: Json) -> None:
    """An event that is the upstream's own business, of this one or the next."""
    if s.able is not None:
        s.send(event)
        return
    s.outbox.append(event)
    del s.outbox[:-WAITING_EVENTS]


def _fit_metadata(event: Json) -> Json:
    """A ``response.create`` whose metadata is cut to what the vendor takes."""
    metadata = (event.get("response") or {}).get("metadata")
    if not metadata:
        return event
    fitting = {name[:64]: str(value)[:MAX_METADATA_CHARS] for name, value in metadata.items()}
    return {**event, "response": {**event["response"], "metadata": fitting}}


def _respond(s: CallState, event: Json) -> None:
    event = _fit_metadata(event)
    params = event.get("response")
    is_aside = (params or {}).get("conversation") == "none"
    if is_aside or (s.able is not None and s.able.answers_by_itself):
        forward(s, event)  # nothing else waits for it
        return
    wish = responses.create(s, event)
    if wish is None:
        return
    typed, s.typed = s.typed, None
    item = s.conversation.get(typed[0]) if typed is not None else None
    if item is None:
        s.wishes["client"] = wish
        return
    turns.answer(s, item, Wish("client", wish.params, wish.client_event_id, item.id))


def _update_session(s: CallState, event: Json) -> None:
    fields = event["session"]
    event_id = event.get("event_id") or s.new_id("event")
    s.updates.append((event_id, fields))
    if s.able is not None:
        send_update(s, event_id, fields)


def send_update(s: CallState, event_id: str, fields: Json) -> None:
    """Ask the upstream for a client's fields."""
    asked = fields.get("instructions")
    base = asked if isinstance(asked, str) else None
    session = {"type": "realtime", **s.view.outward(fields, s.context.render(base=base))}
    s.send({"type": "session.update", "event_id": event_id, "session": session})


def _create_item(s: CallState, event: Json) -> None:
    raw = {**event["item"], "id": event["item"].get("id") or s.new_id("item")}
    event_id, place = s.new_id("event"), event.get("previous_item_id")
    is_new = s.conversation.get(raw["id"]) is None
    if is_new:
        s.created[event_id] = (raw["id"], event.get("event_id"))
        while len(s.created) > KEPT_REQUESTS:
            del s.created[next(iter(s.created))]
        _note_item(s, raw, place)
    if s.able is not None:
        sent = {"type": "conversation.item.create", "event_id": event_id, "item": raw}
        s.send(sent if place is None else {**sent, "previous_item_id": place})


def _note_item(s: CallState, raw: Json, place: str | None) -> None:
    before = s.turn
    item = s.conversation.add(raw, place)
    if s.turn == before:
        return
    s.context.turn_began(s.turn, s.now_s)
    if item.is_final:
        s.typed = (item.id, item.words)
        turns.turn_known(s, item)


def _retrieve(s: CallState, event: Json) -> None:
    event = {**event, "event_id": event.get("event_id") or s.new_id("event")}
    s.retrieves[event["event_id"]] = event
    while len(s.retrieves) > KEPT_REQUESTS:
        del s.retrieves[next(iter(s.retrieves))]
    if s.able is not None:
        s.send(event)


def _delete_item(s: CallState, event: Json) -> None:
    item_id = event["item_id"]
    s.conversation.cut(item_id, 0.0, s.now_s)
    if s.able is not None:
        s.send(event)
        return
    s.conversation.delete(item_id)
    s.tell(s.make("conversation.item.deleted", item_id=item_id))


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
        s.send(event)
        return
    if item is not None and is_text and s.able is not None:
        # The present upstream never spoke it: it knows the item as text and is told less of it.
        nothing = {"id": item_id, "type": "message", "role": "assistant", "content": []}
        s.do("seed", item.seed(s.now_s) or nothing)
    s.tell(
        s.make(
            "conversation.item.truncated",
            item_id=item_id,
            content_index=event["content_index"],
            audio_end_ms=event["audio_end_ms"],
        )
    )


_HANDLERS: dict[str, Callable[[CallState, Json], None]] = {
    "response.create": _respond,
    "response.cancel": responses.cancel,
    "session.update": _update_session,
    "conversation.item.create": _create_item,
    "conversation.item.retrieve": _retrieve,
    "conversation.item.delete": _delete_item,
    "conversation.item.truncate": _truncate,
}


# -- what comes back ------------------------------------------------------------------------------


def session_updated(s: CallState, event: Json) -> Json:
    """The upstream agreed: the oldest update that waits holds from now on."""
    if s.updates:
        _, fields = s.updates.popleft()
        if isinstance(fields.get("instructions"), str):
            s.context.base = fields["instructions"]
        s.view.accept(fields)
    return {**event, "session": s.view.inward(event["session"], s.context.base)}


def refused(s: CallState, event: Json) -> Json | None:
    """An error about an item or an update of the caller's side, told with their own event id."""
    event_id = event["error"].get("event_id") or ""
    s.retrieves.pop(event_id, None)
    for update in list(s.updates):
        if update[0] == event_id:
            s.updates.remove(update)
            return event
    if event_id not in s.created:
        return responses.error(s, event)
    item_id, client_event_id = s.created.pop(event_id)
    s.conversation.delete(item_id)
    if s.typed is not None and s.typed[0] == item_id:
        s.typed = None
    return {**event, "error": {**event["error"], "event_id": client_event_id}}


def retrieved(s: CallState, event: Json) -> Json:
    item_id = event["item"]["id"]
    asked = (name for name, each in s.retrieves.items() if each["item_id"] == item_id)
    s.retrieves.pop(next(asked, ""), None)
    return event


def item_arrived(s: CallState, item_id: str) -> None:
    """An item of the caller's side is in the upstream's conversation."""
    for event_id, (created, _) in list(s.created.items()):
        if created == item_id:
            del s.created[event_id]


def attached(s: CallState) -> None:
    """Another upstream: it was seeded with the items; the rest is asked for again."""
    for item_id, _ in s.created.values():
        item = s.conversation.get(item_id)
        if item is not None:
            before = s.conversation.visible_before(item_id)
            raw = {"object": "realtime.item", "status": "completed", **item.raw}
            for kind in ("conversation.item.added", "conversation.item.done"):
                s.tell(s.make(kind, item=raw, previous_item_id=before))
    s.created.clear()
    for event_id, fields in s.updates:
        send_update(s, event_id, fields)
    waiting, s.outbox = s.outbox, []
    for event in (*waiting, *s.retrieves.values()):
        s.send(event)
