"""What watches every session of a gateway: turn timing, cost, the brain's summary, hand-off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from config.schema import Config
from penny.gateway.metrics import Metrics
from penny.metering.observer import CostObserver
from penny.session.broker import Broker
from penny.session.handoff import HandoffEnd
from penny.session.limits import LimitWatch
from penny.session.observers import Observer
from penny.session.session import Session
from penny.session.turn_recorder import TurnRecorder
from penny.session.turn_timing import TurnTiming
from penny.trust.admission import Admission


Json = dict[str, Any]


class PlaceRelease(Observer):
    """Observer that gives a session's place back when it ends, before the goodbye is said."""

    listens_to = ()

    def __init__(self, session_id: str, release: Callable[[str], None]) -> None:
        self._session_id = session_id
        self._release = release

    def ended(self, reason: str, at_s: float) -> None:
        self._release(self._session_id)


class BrainSummary(Observer):
    """Observer that puts the newest ``penny.effectiveness`` into a session's totals."""

    listens_to = ("penny.effectiveness",)

    def __init__(self, totals: Json) -> None:
        self._totals = totals

    def speaker_event(self, event: Json, at_s: float) -> None:
        self._totals.setdefault("details", {})["brain"] = event["effectiveness"]


def attach_observers(
    broker: Broker,
    config: Config,
    metrics: Metrics,
    spending_of: Callable[[str], Callable[[], float | None]],
    admission: Admission,
) -> None:
    """Let them see every session that opens from now on.

    Args:
        spending_of: by session id, what rented workers have cost it so far in US dollars.
        admission: charges what a session costs as it costs it, and gets its place back.
    """
    call_later = asyncio.get_running_loop().call_later

    def time_turns(session: Session, turns: TurnRecorder) -> None:
        turns.add_reader(TurnTiming(session.tell_caller, metrics.record_stage))

    def meter(session: Session, turns: TurnRecorder) -> CostObserver:
        return CostObserver(
            session,
            session.state.totals,
            config.models.prices,
            config.costs,
            call_later,
            turns.left_s,
            spending_of(session.id),
            session.state.started_s,
            admission.charge_soon,
        )

    broker.add_observer(time_turns)
    broker.add_observer(meter)
    broker.add_observer(lambda session, _turns: BrainSummary(session.state.totals))
    broker.add_observer(lambda session, turns: LimitWatch(session, session.limits, turns.left_s))
    if config.actions.handoff_ends_session:
        broker.add_observer(lambda session, turns: HandoffEnd(session, call_later, turns.left_s))
    broker.add_observer(lambda session, _turns: PlaceRelease(session.id, admission.session_ended))
