"""What the operator's page shows of this gateway: series of the last hours, errors, live sessions.

Everything is bounded: one bucket a minute for six hours, the last 100 errors, 64 answer times a
session and 512 a bucket. Nothing here holds a word that was said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from penny.session.mode_change import MODE_CHANGED
from penny.session.session import Session


Json = dict[str, Any]

STEP_S = 60.0
KEPT_STEPS = 360
KEPT_ERRORS = 100
LATENCIES_A_STEP = 512
LATENCIES_A_SESSION = 64
MAX_GAP_STEPS = KEPT_STEPS

BENIGN_ERRORS = frozenset(
    {"response_cancel_not_active", "conversation_already_has_active_response"}
)
"""Races that every Realtime client meets (realtime-protocol.md, section 6): no fault of anyone."""
FAILED_ENDS = frozenset({"error", "speaker_lost"})
STATES = {
    "input_audio_buffer.speech_started": "hearing",
    "input_audio_buffer.speech_stopped": "thinking",
    "response.content_part.added": "speaking",
    "response.done": "listening",
}
LISTENS_TO = (
    *STATES,
    "conversation.item.create",
    "input_audio_buffer.committed",
    "error",
    MODE_CHANGED,
)


@dataclass(slots=True)
class Step:
    """One minute. ``started_at`` is seconds since the epoch."""

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
    """One per gateway; give ``observe`` to ``Broker.add_observer``.

    Args:
        wall_clock: seconds since the epoch; minutes on the page are the operator's own.
        usd_per_minute: a mode's price of a minute, for sessions that nobody meters.
    """

    def __init__(
        self, wall_clock: Callable[[], float], usd_per_minute: Callable[[str], float]
    ) -> None:
        self._wall_clock = wall_clock
        self._usd_per_minute = usd_per_minute
        self._steps: deque[Step] = deque(maxlen=KEPT_STEPS)
        self._errors: deque[Json] = deque(maxlen=KEPT_ERRORS)
        self.live: dict[str, SessionOverview] = {}

    def observe(self, session: Session) -> SessionOverview:
        """The observer of a session that is about to run."""
        seen = SessionOverview(self, session, self.price(session), self._wall_clock())
        self.live[session.id] = seen
        step = self._step()
        step.sessions = max(step.sessions, len(self.live))
        return seen

    def turn_measured(self, session_id: str, metrics: Json) -> None:
        """Take a turn's ``penny.turn_metrics``."""
        ms = metrics["latency_ms"].get("first_audio")
        if ms is None:
            return
        step = self._step()
        if len(step.latencies_ms) < LATENCIES_A_STEP:
            step.latencies_ms.append(ms)
        if (seen := self.live.get(session_id)) is not None:
            seen.latencies_ms.append(ms)
            del seen.latencies_ms[:-LATENCIES_A_SESSION]

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

    def price(self, session: Session) -> float:
        """A minute of the session's in US dollars, where nobody meters it."""
        return self._usd_per_minute(session.mode)

    def reprice(self, seen: SessionOverview, session: Session) -> None:
        """Another mode answers from now on."""
        seen.change_price(self.price(session), self._wall_clock())

    def settle(self, seen: SessionOverview) -> None:
        """Let a session pay what it has cost by now."""
        self._step().usd += seen.pay(self._wall_clock())

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


class SessionOverview:
    """Observes one session: what it is doing, how many turns, what it costs."""

    listens_to = LISTENS_TO

    def __init__(
        self, overview: Overview, session: Session, usd_per_minute: float, began_at: float
    ) -> None:
        self._overview = overview
        self._session = session
        self._usd_per_minute = usd_per_minute
        self._paid_usd = self._usd_before = 0.0
        self._began_at = began_at
        self.state = "listening"
        self.turns = 0
        self.latencies_ms: list[int] = []

    def caller_event(self, event: Json, at_s: float) -> None:
        item = event.get("item") if event["type"] == "conversation.item.create" else None
        if isinstance(item, dict) and item.get("role") == "user":
            self.turns += 1  # typed; a spoken one is told by the speaker

    def speaker_event(self, event: Json, at_s: float) -> None:
        kind = event["type"]
        if (event.get("part") or {}).get("type") != "text":  # what is written sounds nowhere
            self.state = STATES.get(kind, self.state)
        if kind == "input_audio_buffer.committed":
            self.turns += 1
        elif kind == "error":
            code = event["error"].get("code") or event["error"].get("type") or "error"
            if code not in BENIGN_ERRORS:
                self._overview.note_error(str(code), self._session)
        elif kind == "response.done":
            self._answered(event)
        elif kind == MODE_CHANGED:
            self._overview.reprice(self, self._session)

    def ended(self, reason: str, at_s: float) -> None:
        self._overview.settle(self)
        del self._overview.live[self._session.id]
        if reason in FAILED_ENDS:
            self._overview.note_error(reason, self._session)

    def change_price(self, usd_per_minute: float, now: float) -> None:
        """A minute costs this from ``now`` on."""
        self._usd_before += (now - self._began_at) / 60 * self._usd_per_minute
        self._began_at = now
        self._usd_per_minute = usd_per_minute

    def pay(self, now: float) -> float:
        """What it has cost since it was last asked, in US dollars."""
        owed = max(0.0, self._usd(now) - self._paid_usd)
        self._paid_usd += owed
        return owed

    def describe(self) -> Json:
        return {
            "state": self.state,
            "turns": self.turns,
            "usd": round(self._paid_usd, 6),
            "latency_ms": {
                "p50": percentile(self.latencies_ms, 50),
                "p95": percentile(self.latencies_ms, 95),
            },
        }

    def _answered(self, event: Json) -> None:
        self._overview.settle(self)
        if event["response"].get("status") == "failed":
            details = event["response"].get("status_details") or {}
            code = (details.get("error") or {}).get("code") or "response_failed"
            self._overview.note_error(str(code), self._session)

    def _usd(self, now: float) -> float:
        metered = self._session.state.totals.get("usd")
        if metered is not None:
            return float(metered)
        return self._usd_before + (now - self._began_at) / 60 * self._usd_per_minute


def percentile(values: Sequence[int], percent: int) -> int | None:
    """The nearest-rank percentile; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]
