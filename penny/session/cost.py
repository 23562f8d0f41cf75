"""Meters a session as it goes by: live costs, totals, and the ceiling's graceful end.

It counts what passes: ``response.done`` and transcription usage, and ``penny.usage`` of the brain
behind the speaker. What it costs is charged to the day at once. At a ceiling, its own or the
day's, nothing is cut: the answer that passed it is heard to its end, then the session ends with
``cost_limit``; if the caller's next turn ends or another answer begins before, at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from config.brain import CostsSection
from penny.metering.meter import Component, CostMeter
from penny.metering.usage import (
    Charge,
    Prices,
    price_messages,
    price_response,
    price_transcription,
)
from penny.session.observers import Json, Observer
from penny.session.session import Session
from penny.session.turn_recorder import TurnRecorder


log = structlog.get_logger()

MAX_TAIL_S = 60.0
"""A ceiling that was passed ends the session after this even if the answer sounds longer."""
_ANSWERED = frozenset({"input_audio_buffer.committed", "response.created"})
_TRANSCRIBED = frozenset(
    {
        "conversation.item.input_audio_transcription.completed",
        "penny.transcription_usage",  # of words that the caller's side did not ask for
    }
)


class CostObserver(Observer):
    """Observer that meters one session, tells the caller its cost, and ends it at its ceiling.

    ``usd`` and ``usd_by`` of the session's totals are written as it costs more.

    Args:
        spent: what rented workers have cost this session so far, in USD; None when none are.
        charge_soon: charges the day of its key and tenant; calls back once that is used up.
    """

    listens_to = (
        "input_audio_buffer.speech_started",
        "penny.speaker",
        "response.done",
        "penny.usage",
        *_ANSWERED,
        *_TRANSCRIBED,
    )

    def __init__(
        self,
        session: Session,
        turns: TurnRecorder,
        prices: Prices,
        costs: CostsSection,
        spent: Callable[[], float | None],
        charge_soon: Callable[[str, Callable[[], None]], None],
    ) -> None:
        self._session = session
        self._turns = turns
        self._prices = prices
        self._costs = costs
        self._spent = spent
        self._charge_soon = charge_soon
        self._meter = CostMeter(costs.session_limit_usd, costs.warn_at)
        self._model = ""
        self._transcription_model = ""
        self._at_s = session.state.started_s
        self._warned = False
        self._end: asyncio.TimerHandle | None = None

    # -- what passes --------------------------------------------------------------------------

    def speaker_event(self, event: Json, at_s: float) -> None:
        kind, self._at_s = event["type"], at_s
        if kind == "input_audio_buffer.speech_started":
            self._meter.turn_began()
        elif kind == "penny.speaker":
            self._model = event["model"]
            self._transcription_model = event.get("transcription_model", "")
        elif kind in _ANSWERED:
            if self._end is not None:  # another answer, past the ceiling, or a turn that gets one
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
        duration_ms = round((at_s - self._session.state.started_s) * 1000)
        self._session.tell_caller(self._meter.event(duration_ms))
        self._watch_ceiling()
        self._charge_soon(self._session.id, self._end_with_answer)

    def _publish(self) -> None:
        if self._meter.metered:
            totals = self._session.state.totals
            totals["usd"] = round(self._meter.usd, 6)
            totals["usd_by"] = self._meter.by_component

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
            tail_s = min(self._turns.left_s(self._at_s), MAX_TAIL_S)
            loop = asyncio.get_running_loop()
            self._end = loop.call_later(tail_s, self._session.end, "cost_limit")
