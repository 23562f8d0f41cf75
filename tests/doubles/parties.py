"""The two parties of a session, scripted in memory: an edge and a speaker of a test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from penny.aio.channel import Channel
from penny.errors import ModeUnavailable, SpeakerLost
from penny.session.mode import Availability, SessionSpec


Json = dict[str, Any]


class ScriptedEdge:
    """A caller whose events a test puts in and whose deliveries it reads."""

    name = "scripted"

    def __init__(self) -> None:
        self.end_reason = "client_gone"
        self.said: Channel[Json] = Channel(1000)
        self.delivered: list[Json] = []
        self.closed: tuple[str, Json] | None = None

    async def events(self) -> AsyncIterator[Json]:
        async for event in self.said:
            yield event

    def deliver(self, event: Json) -> None:
        self.delivered.append(event)

    async def aclose(self, reason: str, totals: Json) -> None:
        self.closed = (reason, totals)
        self.said.close()


class ScriptedSpeaker:
    """A speaker whose events a test puts in; ``break_off`` loses the connection."""

    def __init__(self) -> None:
        self.info: Json = {"model": "scripted"}
        self.sent: list[Json] = []
        self.says: Channel[Json] = Channel(1000)
        self.closed = False
        self._broken = False

    async def send(self, event: Json) -> None:
        if self._broken:
            raise SpeakerLost("the connection broke")
        self.sent.append(event)

    def take_at_once(self, event: Json) -> bool:
        if self._broken:
            return False
        self.sent.append(event)
        return True

    async def receive(self) -> Json | None:
        async for event in self.says:
            return event
        if self._broken:
            raise SpeakerLost("the connection broke")
        return None

    async def events(self) -> AsyncIterator[Json]:
        while (event := await self.receive()) is not None:
            yield event

    def break_off(self) -> None:
        self._broken = True
        self.says.close()

    async def aclose(self) -> None:
        self.closed = True
        self.says.close()


class ScriptedMode:
    """A mode that opens scripted speakers, or is unavailable."""

    def __init__(self, name: str, availability: Availability | None = None) -> None:
        self.name = name
        self._availability = availability or Availability(True)
        self.speakers: list[ScriptedSpeaker] = []
        self.specs: list[SessionSpec] = []

    def availability(self) -> Availability:
        return self._availability

    async def start(self) -> None:
        return None

    async def open(self, spec: SessionSpec) -> ScriptedSpeaker:
        if not self._availability.available:
            raise ModeUnavailable(self._availability.reason, remedy=self._availability.remedy)
        self.specs.append(spec)
        self.speakers.append(ScriptedSpeaker())
        return self.speakers[-1]

    async def aclose(self) -> None:
        return None
