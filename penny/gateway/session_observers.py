"""What watches every session of a gateway: turn timing, cost, the brain's summary, hand-off."""

from __future__ import annotations

from collections.abc import Callable

from config.schema import Config
from penny.gateway.metrics import Metrics
from penny.session.broker import Broker, BrokerSettings
from penny.session.cost import CostObserver
from penny.session.endings import GRACE_S, HandoffEnd
from penny.session.observers import Json, Observer
from penny.session.session import Session, SessionLimits
from penny.session.turn_recorder import TurnRecorder
from penny.session.turn_timing import TurnTiming
from penny.trust.admission import Admission


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

    def time_turns(session: Session, turns: TurnRecorder) -> None:
        turns.add_reader(TurnTiming(session.tell_caller, metrics.record_stage))

    def meter(session: Session, turns: TurnRecorder) -> CostObserver:
        prices, spent = config.models.prices, spending_of(session.id)
        return CostObserver(session, turns, prices, config.costs, spent, admission.charge_soon)

    broker.add_observer(time_turns)
    broker.add_observer(meter)
    broker.add_observer(lambda session, _turns: BrainSummary(session.state.totals))
    if config.actions.handoff_ends_session:
        broker.add_observer(HandoffEnd)
    broker.add_observer(lambda session, _turns: PlaceRelease(session.id, admission.session_ended))


def broker_settings(config: Config) -> BrokerSettings:
    """How many sessions of which length, as the configuration says."""
    return BrokerSettings(
        default_mode=config.penny.default_mode,
        allow_user_selection=config.penny.allow_user_selection,
        max_sessions=config.gateway.max_sessions,
        limits=SessionLimits(config.gateway.session_max_s, config.gateway.idle_timeout_s, GRACE_S),
        silence_ms=config.worker.turns.silence_duration_ms,
    )
