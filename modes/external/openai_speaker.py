"""OpenAI Realtime (GA): the only file that knows how a context lives in its sessions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from modes.external.speaker import Capabilities, Json, Step, Translator
from modes.external.vendor import VendorProvider, end_if_terminal
from modes.realtime import configure, set_up
from penny.ids import new_id
from penny.session.mode import Speaker


OWN_EVENTS = 512
"""Remembered ids of our own events, whose errors concern nobody outside."""


class OpenAIProvider(VendorProvider):
    """OpenAI's Realtime servers, or others that speak its protocol, such as Penny's own."""

    name = "openai"
    default_model = "gpt-realtime-2.1"
    able = Capabilities()

    async def open(self, model: str, session: Json, seed: Sequence[Json]) -> RealtimeUpstream:
        speaker = await self.connect("realtime", {"model": model}, model)
        upstream = RealtimeUpstream(speaker, self.able)

        async def steps() -> None:
            await configure(speaker, session)
            for item in seed:
                upstream.seed(item)

        await set_up(speaker, steps())
        return upstream


class RealtimeUpstream(Translator):
    """A speaker that takes Realtime events. Answers to changes of the context stay inside.

    Args:
        seeded: ids of items that it was opened with.
    """

    def __init__(self, speaker: Speaker, able: Capabilities, seeded: Sequence[str] = ()) -> None:
        super().__init__(speaker, able)
        self._updates: deque[tuple[str, str]] = deque()
        """Session updates without an answer: (event id, the step it is for or "")."""
        self._steps: dict[str, str] = {}
        """Event id of an item's creation or deletion -> the step it is for."""
        self._notes: dict[str, str] = {}
        """Folio -> the item that carries it."""
        self._answers: dict[tuple[str, str], str] = {}
        """(kind of event, item) that answers a step -> the step."""
        self._quiet = set(seeded)
        """Items whose events stay here: seeds and notes."""
        self._own_events: deque[str] = deque(maxlen=OWN_EVENTS)

    # -- writing ------------------------------------------------------------------------------

    def send(self, event: Json) -> None:
        if event["type"] == "session.update":
            event = {**event, "event_id": event.get("event_id") or new_id("event")}
            self._updates.append((event["event_id"], ""))
        self._speaker.send(event)

    def change(self, step: Step) -> None:
        event_id = new_id("event")
        if step.act == "rewrite":
            self._updates.append((event_id, step.id))
            session = {"type": "realtime", "instructions": step.text}
            self._speaker.send({"type": "session.update", "event_id": event_id, "session": session})
            return
        self._steps[event_id] = step.id
        if step.act == "append":
            item_id = self._notes[step.folios[0]] = new_id("item")
            content = [{"type": "input_text", "text": step.text}]
            self._answers[_ADDED, item_id] = step.id
            item = {"id": item_id, "type": "message", "role": "system", "content": content}
            self._create(item, event_id)
        else:
            item_id = self._notes.pop(step.folios[0], "")
            self._answers[_DELETED, item_id] = step.id
            self._delete(item_id, event_id)

    def seed(self, item: Json) -> None:
        """Add an item that the conversation already has; its events are reported to no listener."""
        if item["id"] in self._quiet:
            self._delete(item["id"], self._own_event())
        if item.get("content") != []:
            self._create(item, self._own_event())

    def _create(self, item: Json, event_id: str) -> None:
        self._quiet.add(item["id"])
        event = {"type": "conversation.item.create", "event_id": event_id, "item": item}
        self._speaker.send(event)

    def _delete(self, item_id: str, event_id: str) -> None:
        self._answers.setdefault((_DELETED, item_id), "")
        event = {"type": "conversation.item.delete", "event_id": event_id, "item_id": item_id}
        self._speaker.send(event)

    def _own_event(self) -> str:
        event_id = new_id("event")
        self._own_events.append(event_id)
        return event_id

    # -- reading ------------------------------------------------------------------------------

    def translate(self, event: Json) -> Iterator[Json]:
        kind = event["type"]
        if kind == "conversation.item.created":  # as some servers still name it
            kind, event = _ADDED, {**event, "type": _ADDED}
        if kind == "session.updated":
            _, step_id = self._updates.popleft() if self._updates else ("", "")
            yield _placed(step_id) if step_id else event
        elif kind in _ITEM_EVENTS:
            yield from self._translate_item(event)
        elif kind == "error":
            yield from self._translate_error(event)
        else:
            yield event

    def _translate_item(self, event: Json) -> Iterator[Json]:
        kind, item_id = event["type"], event.get("item_id") or event["item"]["id"]
        step_id = self._answers.pop((kind, item_id), None)
        if step_id:
            self._steps = {e: s for e, s in self._steps.items() if s != step_id}
            yield _placed(step_id)
        elif item_id not in self._quiet:
            yield event
        elif kind == _DELETED and step_id is None:
            self._quiet.discard(item_id)  # the caller's side took a seeded item out
            yield event

    def _translate_error(self, event: Json) -> Iterator[Json]:
        fault = event["error"]
        end_if_terminal(fault)
        event_id = fault.get("event_id") or ""
        if event_id in self._own_events:
            return
        step_id = self._steps.pop(event_id, "")
        for update in [each for each in self._updates if each[0] == event_id]:
            self._updates.remove(update)
            step_id = update[1]
        if step_id:
            refused = {"type": "penny.placement_refused", "step_id": step_id}
            yield {**refused, "code": fault.get("code"), "message": fault.get("message")}
        else:
            yield event


_ADDED, _DELETED = "conversation.item.added", "conversation.item.deleted"
_ITEM_EVENTS = frozenset({_ADDED, "conversation.item.done", _DELETED})


def _placed(step_id: str) -> Json:
    return {"type": "penny.placed", "step_id": step_id}
