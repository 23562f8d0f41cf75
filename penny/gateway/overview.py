"""The operator's page of this gateway: series of the last hours, errors, live sessions.

Everything is bounded: one bucket a minute for six hours, the last 100 errors, 64 answer times a
session and 512 a bucket. Nothing here holds a word that was said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from penny.edges.socket.translate import BENIGN_ERRORS
from penny.metering.price import SessionPrice
from penny.session.observers import Observer
from penny.session.session import Session
from penny.session.turn_record import TurnReader, TurnRecord
from penny.session.turn_recorder import TurnRecorder


Json = dict[str, Any]

STEP_S = 60.0
KEPT_STEPS = 360
KEPT_ERRORS = 100
LATENCIES_A_STEP = 512
LATENCIES_A_SESSION = 64
LATENCIES_A_MODE = 64
MAX_GAP_STEPS = KEPT_STEPS

FAILED_ENDS = frozenset({"error", "speaker_lost"})
STATES = {
    "input_audio_buffer.speech_started": "hearing",
    "input_audio_buffer.speech_stopped": "thinking",
    "response.content_part.added": "speaking",
    "response.done": "listening",
}


@dataclass(slots=True)
class Step:
    """One minute of the series. ``started_at`` is seconds since the epoch."""

    started_at: float
    sessions: int = 0
    errors: int = 0
    usd: float = 0.0
    latencies_ms: list[int] = field(default_factory=list)
    closed_ms: tuple[int | None, int | None] | None = None

    def latency_ms(self) -> tuple[int | None, int | None]:
        """p50 and p95."""
        if self.closed_ms is not None:
            return self.closed_ms
        return percentile(self.latencies_ms, 50), percentile(self.latencies_ms, 95)

    def close(self) -> None:
        """The minute is over: keep its figures alone."""
        self.closed_ms = self.latency_ms()
        self.latencies_ms = []


class Overview:
    """Series, errors and live sessions of one gateway; give ``observe`` to the broker.

    Args:
        wall_clock: seconds since the epoch; minutes on the page are the operator's own.
        price_of: what a session has cost.
    """

    def __init__(
        self, wall_clock: Callable[[], float], price_of: Callable[[Session], SessionPrice]
    ) -> None:
        self._wall_clock = wall_clock
        self._price_of = price_of
        self._steps: deque[Step] = deque(maxlen=KEPT_STEPS)
        self._errors: deque[Json] = deque(maxlen=KEPT_ERRORS)
        self._by_mode: dict[str, deque[int]] = {}
        self.live: dict[str, SessionOverview] = {}

    def observe(self, session: Session, turns: TurnRecorder) -> SessionOverview:
        """The observer of a session that is about to run."""
        seen = SessionOverview(self, session, turns, self._price_of(session))
        turns.add_reader(seen)
        self.live[session.id] = seen
        step = self._step()
        step.sessions = max(step.sessions, len(self.live))
        return seen

    def note_latency(self, ms: int, spoken_to: str = "") -> None:
        """A turn was answered ``ms`` after the end of the caller's speech.

        ``spoken_to``: the mode that answered a spoken turn; "" for a typed one.
        """
        step = self._step()
        if len(step.latencies_ms) < LATENCIES_A_STEP:
            step.latencies_ms.append(ms)
        if spoken_to:
            latest = self._by_mode.setdefault(spoken_to, deque(maxlen=LATENCIES_A_MODE))
            latest.append(ms)

    def measured(self, mode: str) -> Json | None:
        """How soon a mode answered what was last said to it, from the last sound of the caller to
        its first: ``{p50, p95, turns}`` in ms; None before the first spoken turn."""
        latest = self._by_mode.get(mode)
        if not latest:
            return None
        values = list(latest)
        return {
            "p50": percentile(values, 50),
            "p95": percentile(values, 95),
            "turns": len(values),
        }

    def note_alert(self, session_id: str, kind: str, turns: list[int]) -> None:
        """Something that a person should see was raised in a live session."""
        if (seen := self.live.get(session_id)) is not None:
            seen.alerts.append({"kind": kind, "turns": turns})

    def note_error(self, code: str, session: Session) -> None:
        self._step().errors += 1
        self._errors.appendleft(
            {
                "at": round(self._wall_clock(), 3),
                "code": code,
                "mode": session.mode,
                "session_id": session.id,
            }
        )

    def settle(self, seen: SessionOverview) -> None:
        """Add to this minute what a session has cost since the last time."""
        self._step().usd += seen.pay()

    def describe(self) -> Json:
        """``live``, ``errors`` (newest first) and ``series`` of ``GET /admin/v1/overview``."""
        for seen in self.live.values():
            self.settle(seen)
        self._step()
        steps = list(self._steps)
        latency_ms = [step.latency_ms() for step in steps]
        return {
            "live": {name: seen.describe() for name, seen in self.live.items()},
            "errors": list(self._errors),
            "series": {
                "step_s": STEP_S,
                "at": [step.started_at for step in steps],
                "sessions": [step.sessions for step in steps],
                "latency_p50_ms": [p50 for p50, _ in latency_ms],
                "latency_p95_ms": [p95 for _, p95 in latency_ms],
                "errors": [step.errors for step in steps],
                "usd": [round(step.usd, 6) for step in steps],
            },
        }

    def _step(self) -> Step:
        """The current minute; minutes in which nothing happened are filled in."""
        now = self._wall_clock()
        if not self._steps or now - self._steps[-1].started_at >= STEP_S * MAX_GAP_STEPS:
            self._steps.clear()
            self._steps.append(Step(now - now % STEP_S, len(self.live)))
        while now - self._steps[-1].started_at >= STEP_S:
            self._steps[-1].close()
            self._steps.append(Step(self._steps[-1].started_at + STEP_S, len(self.live)))
        return self._steps[-1]


class SessionOverview(TurnReader, Observer):
    """Observer of one session, and reader of its turns: state, turns, answer times, cost."""

    listens_to = (*STATES, "error")

    def __init__(
        self, overview: Overview, session: Session, turns: TurnRecorder, price: SessionPrice
    ) -> None:
        self._overview = overview
        self._session = session
        self._turns = turns
        self._price = price
        self._paid_usd = 0.0
        self.state = "listening"
        self.latencies_ms: deque[int] = deque(maxlen=LATENCIES_A_SESSION)
        self.alerts: list[Json] = []
        """Raised in it: ``kind`` and the ``turns`` it rests on."""

    def speaker_event(self, event: Json, at_s: float) -> None:
        kind = event["type"]
        if (event.get("part") or {}).get("type") != "text":  # what is written sounds nowhere
            self.state = STATES.get(kind, self.state)
        if kind == "error":
            code = event["error"].get("code") or event["error"].get("type") or "error"
            if code not in BENIGN_ERRORS:
                self._overview.note_error(str(code), self._session)
        elif kind == "response.done":
            self._response_done(event["response"])

    def ended(self, reason: str, at_s: float) -> None:
        self._overview.settle(self)
        del self._overview.live[self._session.id]
        if reason in FAILED_ENDS:
            self._overview.note_error(reason, self._session)

    def turn_answered(self, turn: TurnRecord) -> None:
        ms = turn.latency_ms()["first_audio"]
        if ms is not None and turn.item_id:
            self.latencies_ms.append(ms)
            spoken = turn.input == "speech"
            self._overview.note_latency(ms, self._session.mode if spoken else "")

    def pay(self) -> float:
        """What it has cost since it was last asked, in US dollars."""
        owed = max(0.0, self._price.usd() - self._paid_usd)
        self._paid_usd += owed
        return owed

    def describe(self) -> Json:
        """Its part of ``live``, as last settled."""
        return {
            "state": self.state,
            "turns": self._turns.count,
            "usd": round(self._paid_usd, 6),
            "alerts": self.alerts,
            "latency_ms": {
                "p50": percentile(self.latencies_ms, 50),
                "p95": percentile(self.latencies_ms, 95),
            },
        }

    def _response_done(self, response: Json) -> None:
        self._overview.settle(self)
        if response.get("status") == "failed":
            details = response.get("status_details") or {}
            code = (details.get("error") or {}).get("code") or "response_failed"
            self._overview.note_error(str(code), self._session)


def percentile(values: Collection[int], percent: int) -> int | None:
    """The nearest-rank percentile; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]
