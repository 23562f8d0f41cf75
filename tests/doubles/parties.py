"""The two parties of a session, scripted in memory: an edge and a speaker of a test's own."""

from __future__ import annotations

import asyncio
from typing import Any

from penny.aio.channel import Channel
from penny.errors import ModeUnavailable, SpeakerLost
from penny.session.edge import EdgeSink
from penny.session.mode import Availability, SessionSpec, SpeakerSink


Json = dict[str, Any]


class ScriptedEdge:
    """A caller whose events a test puts in and whose deliveries it reads."""

    name = "scripted"

    def __init__(self) -> None:
        self.end_reason = "client_gone"
        self.said: Channel[Json] = Channel(1000)
        self.delivered: list[Json] = []
        self.closed: tuple[str, Json] | None = None
        self.reads = asyncio.Event()
        """Cleared while the session has paused this edge."""
        self.reads.set()
        self._reader: asyncio.Task[None] | None = None

    def start(self, sink: EdgeSink) -> None:
        self._reader = asyncio.create_task(self._read(sink))

    async def _read(self, sink: EdgeSink) -> None:
        async for event in self.said:
            await self.reads.wait()
            sink.on_event(event)
        sink.on_closed()

    def deliver(self, event: Json) -> None:
        self.delivered.append(event)

    def pause(self) -> None:
        self.reads.clear()

    def resume(self) -> None:
        self.reads.set()

    async def aclose(self, reason: str, totals: Json) -> None:
        self.closed = (reason, totals)
        await _end(self._reader)


class ScriptedSpeaker:
    """A speaker whose events a test puts in; ``break_off`` loses the connection.

    ``room`` cleared makes it full: it takes what is sent, and ``drain`` waits.
    """

    def __init__(self) -> None:
        self.info: Json = {"model": "scripted"}
        self.sent: list[Json] = []
        self.says: Channel[Json] = Channel(1000)
        self.closed = False
        self.room = asyncio.Event()
        self.room.set()
        self._broken = False
        self._reader: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        return not self.room.is_set()

    def start(self, sink: SpeakerSink) -> None:
        self.sink = sink
        self._reader = asyncio.create_task(self._read(sink))

    async def _read(self, sink: SpeakerSink) -> None:
        async for event in self.says:
            sink.on_event(event)
        sink.on_closed(SpeakerLost("the connection broke") if self._broken else None)

    def send(self, event: Json) -> None:
        if self._broken:
            raise SpeakerLost("the connection broke")
        self.sent.append(event)

    async def drain(self) -> None:
        await self.room.wait()
        if self._broken:
            raise SpeakerLost("the connection broke")

    def break_off(self) -> None:
        self._broken = True
        self.room.set()
        self.says.close()

    async def aclose(self) -> None:
        self.closed = True
        await _end(self._reader)


async def _end(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


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
