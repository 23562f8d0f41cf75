"""The far side of a telephone wire, on the loop's clock: it plays, and returns marks."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from penny.audio.format import AudioFormat
from penny.edges.telephone.edge import PhoneEdge
from penny.edges.telephone.ticker import Ticker


Json = dict[str, Any]

PCMU = AudioFormat("pcmu", 8000)
SILENCE = b"\xff" * 160
TONE_24K = b"\x10\x10" * 480
"""20 ms of a steady value at 24 000 Hz."""


class FarSide:
    """Buffers up to the whole of what it gets, plays 20 ms every 20 ms, as Twilio does.

    Args:
        returns_cleared: whether the marks of what is flushed come back, as Twilio's do.
        latency_s: of the way, each direction.
    """

    def __init__(
        self,
        *,
        lead_ms: int = 200,
        tells_played: bool = True,
        needs_audio: bool = False,
        dead_after_s: float | None = None,
        returns_cleared: bool = True,
        latency_s: float = 0.0,
    ) -> None:
        self.format = PCMU
        self.lead_ms, self.tells_played, self.needs_audio = lead_ms, tells_played, needs_audio
        self.dead_after_s = dead_after_s
        self.heard_within_s: float | None = None
        self._returns_cleared, self._latency_s = returns_cleared, latency_s
        self.edge: PhoneEdge
        self.sent: list[tuple[float, bytes]] = []
        self._free_s = 0.0
        self._marks: list[tuple[str, asyncio.TimerHandle]] = []
        self.flushes: list[float] = []
        self.keys = ""
        self.transfers: list[str] = []
        self.takes_transfers = True
        self.hung_up_s: float | None = None
        self.has_left = self.connects_anew = False
        self.played_until_s: list[tuple[float, float]] = []
        """(start, end) of each frame's playing."""

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    def play(self, frame: bytes) -> None:
        assert len(frame) == 160, "20 ms exactly"
        now_s = self._now_s()
        self.sent.append((now_s, frame))
        starts_s = max(self._free_s, now_s + self._latency_s)
        self._free_s = starts_s + 0.02
        self.played_until_s.append((starts_s, self._free_s))

    def mark(self, name: str) -> None:
        assert self.tells_played
        assert len(name) <= 20
        loop = asyncio.get_running_loop()
        at_s = max(self._free_s, self._now_s() + self._latency_s) + self._latency_s
        self._marks.append((name, loop.call_at(at_s, self._return, name)))

    def _return(self, name: str) -> None:
        self._marks = [(other, timer) for other, timer in self._marks if other != name]
        self.edge.marked(name)

    def flush(self) -> None:
        now_s = self._now_s()
        self.flushes.append(now_s)
        at_s = now_s + self._latency_s
        self.played_until_s = [
            (start, min(end, at_s)) for start, end in self.played_until_s if start < at_s
        ]
        self._free_s = min(self._free_s, at_s)
        pending, self._marks = self._marks, []
        for name, timer in pending:
            timer.cancel()
            if self._returns_cleared:
                asyncio.get_running_loop().call_later(2 * self._latency_s, self.edge.marked, name)

    def send_keys(self, digits: str) -> None:
        self.keys += digits

    def can_transfer(self, destination: str) -> bool:
        return self.takes_transfers and destination == "soporte"

    async def transfer(self, destination: str, summary: str) -> bool:
        self.transfers.append(destination)
        self.summary = summary
        return self.takes_transfers

    async def hang_up(self) -> None:
        if self.hung_up_s is None:
            self.hung_up_s = self._now_s()

    async def leave(self) -> None:
        self.has_left = True

    async def connect_anew(self) -> None:
        self.connects_anew = True

    def played_ms(self, until_s: float | None = None) -> float:
        """What the caller has heard in all."""
        until_s = self._now_s() if until_s is None else until_s
        return sum(
            (min(end, until_s) - start) * 1000
            for start, end in self.played_until_s
            if start < until_s
        )

    def loud(self) -> int:
        return sum(frame != SILENCE for _, frame in self.sent)


class Sink:
    """The session's end of an edge."""

    def __init__(self) -> None:
        self.events: list[Json] = []
        self.closed = 0

    def on_event(self, event: Json, /) -> None:
        self.events.append(event)

    def on_closed(self) -> None:
        self.closed += 1

    def of(self, kind: str) -> list[Json]:
        return [event for event in self.events if event["type"] == kind]

    def heard_ms(self) -> float:
        """Audio of the caller's, at 24 000 Hz."""
        audio = self.of("input_audio_buffer.append")
        return sum(len(base64.b64decode(event["audio"])) for event in audio) / 48


class PhoneCall:
    """A started edge with both its sides in a test's hands."""

    def __init__(self, far: Any, ticker: Ticker | None = None) -> None:
        clock = asyncio.get_running_loop().time
        self.far, self.sink = far, Sink()
        self.ticker = ticker or Ticker(clock)
        self.edge = far.edge = PhoneEdge(far, self.ticker, clock)
        self.edge.start(self.sink)

    def answer(self, ms: int, response_id: str = "resp_1", item_id: str = "item_1") -> None:
        """All of an answer at once, as a fast voice makes it."""
        self.edge.deliver({"type": "response.created", "response": {"id": response_id}})
        where = {"response_id": response_id, "item_id": item_id, "content_index": 0}
        delta = base64.b64encode(TONE_24K * (ms // 20)).decode()
        self.edge.deliver({"type": "response.output_audio.delta", **where, "delta": delta})
        self.edge.deliver({"type": "response.output_audio.done", **where})
        response = {"id": response_id, "status": "completed", "output": [{"id": item_id}]}
        self.edge.deliver({"type": "response.done", "response": response})

    def speech(self) -> None:
        started = {"audio_start_ms": 0, "item_id": "item_2", "event_id": "event_9"}
        self.edge.deliver({"type": "input_audio_buffer.speech_started", **started})
