"""Meters a session as it goes by: live costs, totals, and the ceiling's graceful end.

It counts what passes: ``response.done`` and transcription usage, and ``penny.usage`` of the brain
behind the speaker. What it costs is charged to the day at once. At a ceiling, its own or the
day's, nothing is cut: the answer that passed it is heard to
its end, then the session ends with ``cost_limit``; if another answer begins before, at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from config.brain import CostsSection
from penny.metering.meter import Component, CostMeter
from penny.metering.usage import (
    Charge,
    Json,
    Prices,
    price_messages,
    price_response,
    price_transcription,
)


log = structlog.get_logger()

MAX_TAIL_S = 60.0
"""A ceiling that was passed ends the session after this even if the answer sounds longer."""
_TRANSCRIBED = frozenset(
    {
        "conversation.item.input_audio_transcription.completed",
        "penny.transcription_usage",  # of words that the caller's side did not ask for
    }
)
LISTENS_TO = (
    "input_audio_buffer.speech_started",
    "penny.speaker",
    "response.created",
    "response.done",
    "penny.usage",
    *_TRANSCRIBED,
)


class Session(Protocol):
    """The part of a session that the meter needs."""

    id: str

    def tell_caller(self, event: Json) -> None: ...
    def end(self, reason: str) -> None: ...


CallLater = Callable[[float, Callable[[], None]], asyncio.TimerHandle]


ChargeSoon = Callable[[str, Callable[[], None]], None]


def _spend_nothing() -> float | None:
    return None


def _charge_nobody(_session_id: str, _on_spent: Callable[[], None]) -> None:
    return None


class CostObserver:
    """Observer that meters one session, tells the caller its cost, and ends it at its ceiling.

    Args:
        totals: written into as the session costs more (``usd``, ``usd_by``).
        left_s: seconds until what was sent to the caller is played, by loop time.
        spent: what rented workers have cost this session so far, in USD; None when none are.
        started_s: when the session began, on the clock of its events.
        charge_soon: charges the day of its key and tenant; calls back once that is used up.
    """

    listens_to = LISTENS_TO

    def __init__(
        self,
        session: Session,
        totals: Json,
        prices: Prices,
        costs: CostsSection,
        call_later: CallLater,
        left_s: Callable[[float], float],
        spent: Callable[[], float | None] = _spend_nothing,
        started_s: float = 0.0,
        charge_soon: ChargeSoon = _charge_nobody,
    ) -> None:
        self._session = session
        self._totals = totals
        self._prices = prices
        self._costs = costs
        self._call_later = call_later
        self._spent = spent
        self._meter = CostMeter(costs.session_limit_usd, costs.warn_at)
        self._model = ""
        self._transcription_model = ""
        self._started_s = started_s
        self._left_s = left_s
        self._charge_soon = charge_soon
        self._at_s = started_s
        self._warned = False
        self._end: asyncio.TimerHandle | None = None

    # -- what passes --------------------------------------------------------------------------

    def caller_event(self, event: Json, at_s: float) -> None:
        """No event of the caller's costs anything by itself."""

    def speaker_event(self, event: Json, at_s: float) -> None:
        kind, self._at_s = event["type"], at_s
        if kind == "input_audio_buffer.speech_started":
            self._meter.turn_began()
        elif kind == "penny.speaker":
            self._model = event["model"]
            self._transcription_model = event.get("transcription_model", "")
        elif kind == "response.created":
            if self._end is not None:  # another answer, past the ceiling
                self._session.end("cost_limit")
        elif kind == "response.done":
            response = event["response"]
            usage = response.get("usage") or {}
            charges = price_response(usage, self._model, self._prices)
            # An aside is no turn: what the worker cost meanwhile is told with the next answer.
            is_turn = response.get("conversation_id", "") is not None
            worker = is_turn and self._count_worker()
            self._count(charges, "portavoz", at_s, worker=worker)
        elif kind in _TRANSCRIBED:
            usage = event.get("usage") or {}
            charges = price_transcription(usage, self._transcription_model, self._prices)
            self._count(charges, "transcription", at_s)
        elif kind == "penny.usage" and event.get("component") == "portavoz":
            # A speaker that is billed by the second.
            charges = price_transcription(event["usage"], self._model, self._prices)
            self._count(charges, "portavoz", at_s)
        elif kind == "penny.usage":
            usage = event["usage"]
            self._count(price_messages(usage, usage["model"], self._prices), "cerebro", at_s)

    def ended(self, reason: str, at_s: float) -> None:
        if self._end is not None:
            self._end.cancel()
        self._count_worker()
        self._publish()
        if self._meter.metered:
            log.info("session_cost", session_id=self._session.id, usd=round(self._meter.usd, 6))

    # -- counting -----------------------------------------------------------------------------

    def _count_worker(self) -> bool:
        """Take in what rented workers have cost; returns whether they are billed."""
        usd = self._spent()
        if usd is not None:
            self._meter.reach("worker", usd)
        return usd is not None

    def _count(
        self, charges: list[Charge], component: Component, at_s: float, *, worker: bool = False
    ) -> None:
        if not charges and not worker:
            return
        self._meter.add(component, charges)
        self._publish()
        duration_ms = round((at_s - self._started_s) * 1000)
        self._session.tell_caller(self._meter.event(duration_ms))
        self._watch_ceiling()
        self._charge_soon(self._session.id, self._end_with_answer)

    def _publish(self) -> None:
        if self._meter.metered:
            self._totals["usd"] = round(self._meter.usd, 6)
            self._totals["usd_by"] = self._meter.by_component

    def _watch_ceiling(self) -> None:
        level = self._meter.level
        if level != "under" and not self._warned:
            self._warned = True
            limit = self._costs.session_limit_usd or 0.0
            log.warning("session_nears_cost_limit", session_id=self._session.id, limit_usd=limit)
            message = f"the session nears its ceiling of {limit:g} USD"
            self._session.tell_caller(
                {"type": "penny.warning", "code": "cost_limit_near", "message": message}
            )
        if level == "over":
            self._end_with_answer()

    def _end_with_answer(self) -> None:
        """End the session once the answer that passed a ceiling has been heard."""
        if self._end is None:
            tail_s = min(self._left_s(self._at_s), MAX_TAIL_S)
            self._end = self._call_later(tail_s, lambda: self._session.end("cost_limit"))
