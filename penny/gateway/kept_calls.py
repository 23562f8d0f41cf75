"""Every session of a gateway is kept: who is recorded, and how a live recording is paused."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from config.calls import CallsSection, TenantCallsSection
from config.schema import Config
from penny import __version__
from penny.calls.keeper import CallKeeper, Retention
from penny.calls.recorder import CallRecorder
from penny.calls.store import CallStore
from penny.gateway.session_watch import SessionWatches
from penny.session.broker import Broker
from penny.session.session import Session
from penny.session.turn_recorder import TurnRecorder


log = structlog.get_logger()


class KeptCalls:
    """Attaches a recorder to each session, and knows the live ones.

    Args:
        watches: what was admitted: whose key and by which edge a session came.
        is_open: whether callers on this machine need no key.
        wall_clock: Unix time in seconds.
    """

    def __init__(
        self,
        config: Config,
        watches: SessionWatches,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        *,
        is_open: bool,
    ) -> None:
        self._config = config
        self._watches = watches
        self._clock = clock
        self._wall_clock = wall_clock
        self._is_open = is_open
        self._live: dict[str, CallRecorder] = {}
        section = config.calls
        store = CallStore(config.resolve_url(section.url))
        folder = config.resolve(section.folder)
        self.keeper = CallKeeper(store, folder, self.retention, clock, wall_clock)

    def attach(self, broker: Broker) -> None:
        """Keep every session that opens from now on. Call it after those who write the totals."""
        broker.add_observer(self._record)

    def retention(self, tenant: str) -> Retention:
        """How long a tenant's calls are kept."""
        house, own = self._config.calls, self._of(tenant)
        sound, record = own.keep_sound_days, own.keep_record_days
        return Retention(
            house.keep_sound_days if sound is None else sound,
            house.keep_record_days if record is None else record,
        )

    def find_live(self, tenant: str | None, call_id: str) -> CallRecorder | None:
        """The recorder of a live call of this tenant; of any where it is None."""
        watch = self._watches.live.get(call_id)
        if watch is None or (tenant is not None and watch.record.get("tenant") != tenant):
            return None
        return self._live.get(call_id)

    def _record(self, session: Session, turns: TurnRecorder) -> CallRecorder:
        record = self._watches.live[session.id].record
        tenant = record["tenant"]
        policy = self._policy(tenant, keyed=bool(record.get("key_id")))
        header = {
            "id": session.id,
            "tenant": tenant,
            "key_id": record.get("key_id") or "",
            "edge": record["edge"],
            "mode": session.mode,
            "language": self._config.session.language,
            "versions": {"penny": __version__},
            "consent": {"policy": policy},
        }
        recorder = CallRecorder(
            self.keeper.spool.begin(session.id),
            header,
            session.state.started_s,
            session.state.totals,
            self._wall_clock,
            keeps_sound=policy == "on",
            on_ended=lambda: self._live.pop(session.id, None),
        )
        self._live[session.id] = recorder
        turns.add_reader(recorder)
        return recorder

    def _policy(self, tenant: str, *, keyed: bool) -> str:
        house: CallsSection = self._config.calls
        own = self._of(tenant).recording
        if own is not None:
            return own
        if house.recording != "auto":
            return house.recording
        return "on" if self._is_open and not keyed else "off"

    def _of(self, tenant: str) -> TenantCallsSection:
        section = self._config.tenants.get(tenant)
        return section.calls if section is not None else TenantCallsSection()
