"""Another mode's speaker as an upstream: where a call goes when its own speaker is dead."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from modes.external.speaker import Capabilities, Json, Step, UpstreamSink
from penny.errors import PennyError, SpeakerLost
from penny.ids import new_id
from penny.session.mode import Mode, SessionSpec, Speaker


class PlainSpeaker:
    """Keeps the context in its instructions: what else goes on here is that mode's business."""

    able = Capabilities(appends=False, calls_tools=False)

    def __init__(self, speaker: Speaker, seed: Sequence[Json] = ()) -> None:
        self._speaker = speaker
        self._known = {item["id"] for item in seed}
        self._updates: deque[tuple[str, str]] = deque()
        """Session updates without an answer: (event id, the step it is for or "")."""
        self.info = speaker.info

    @property
    def is_full(self) -> bool:
        return self._speaker.is_full

    async def drain(self) -> None:
        await self._speaker.drain()

    def send(self, event: Json) -> None:
        if event["type"] == "session.update":
            event = {**event, "event_id": event.get("event_id") or new_id("event")}
            self._updates.append((event["event_id"], ""))
        self._speaker.send(event)

    def change(self, step: Step) -> None:
        """Raises PennyError for a note: ``able`` takes none."""
        if step.act != "rewrite":
            raise PennyError("this speaker takes no notes", code="placement_unsupported")
        event_id = new_id("event")
        self._updates.append((event_id, step.id))
        session = {"type": "realtime", "instructions": step.text}
        self._speaker.send({"type": "session.update", "event_id": event_id, "session": session})

    def seed(self, item: Json) -> None:
        if item["id"] not in self._known:  # it takes an item once, as it was then
            self._known.add(item["id"])
            self._speaker.send({"type": "conversation.item.create", "item": item})

    def start(self, sink: UpstreamSink) -> None:
        self._sink = sink
        self._speaker.start(self)

    def on_event(self, event: Json, /) -> None:
        """Take an event of the inner speaker: answers to own changes stay here."""
        fault = event.get("error") or {}
        if event["type"] == "session.updated" and self._updates:
            step_id = self._updates.popleft()[1]
            if step_id:
                event = {"type": "penny.placed", "step_id": step_id}
        elif event["type"] == "error":
            for update in [each for each in self._updates if each[0] == fault.get("event_id")]:
                self._updates.remove(update)
                if update[1]:
                    event = {"type": "penny.placement_refused", "step_id": update[1]}
        self._sink.on_event(event)

    def on_closed(self, error: SpeakerLost | None, /) -> None:
        self._sink.on_closed(error)

    async def aclose(self) -> None:
        await self._speaker.aclose()


async def open_plain(mode: Mode, spec: SessionSpec, seed: Sequence[Json]) -> PlainSpeaker:
    """Open ``mode`` with the conversation so far. Raises ModeUnavailable."""
    return PlainSpeaker(await mode.open(replace(spec, voice="", history=tuple(seed))), seed)
