"""Every session of a gateway is kept: who is recorded, and how a live recording is paused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from config.calls import Policy
from config.schema import Config
from penny import __version__
from penny.calls.keeper import CallKeeper, Retention
from penny.calls.last_words import LastWords
from penny.calls.notice import Answer, Consent, write_notice
from penny.calls.recorder import CallRecorder
from penny.calls.shelf import Shelf
from penny.calls.store import CallStore
from penny.edges.telephone.edge import PhoneEdge
from penny.gateway.session_watch import SessionWatches
from penny.session.broker import Broker
from penny.session.edge import Edge
from penny.session.mode import SessionSpec
from penny.session.session import Session
from penny.session.turn_recorder import TurnRecorder


log = structlog.get_logger()

Json = dict[str, Any]


class KeptCalls:
    """Attaches a recorder to each session, and knows the live ones.

    Args:
        watches: what was admitted: whose key and by which edge a session came.
        is_open: whether callers on this machine need no key.
        wall_clock: Unix time in seconds.
        read_answer: an answer to "may this call be recorded?".
    """

    def __init__(
        self,
        config: Config,
        watches: SessionWatches,
        wall_clock: Callable[[], float],
        read_answer: Callable[[str], Answer],
        *,
        is_open: bool,
    ) -> None:
        self._config = config
        self._watches = watches
        self._wall_clock = wall_clock
        self._read_answer = read_answer
        self._is_open = is_open
        self._live: dict[str, CallRecorder] = {}
        self._asked: SessionSpec | None = None
        self._asked_by = ""
        self.exposures: Callable[[str], Json] = lambda _session_id: {}
        """The experiments that a session takes part in (``record.Exposure`` by name)."""
        self.keeper = open_keeper(config, wall_clock)

    def attach(self, broker: Broker) -> None:
        """Keep every session that opens from now on. Call it after those who write the totals."""
        broker.add_observer(self._record)
        broker.wrap_edge = self._wrap

    def _wrap(self, spec: SessionSpec, edge: Edge) -> Edge:
        """What stands between a session and its caller; the session begins in the same step."""
        self._asked, self._asked_by = spec, edge.name
        return LastWords(edge, asyncio.get_running_loop())

    def notice(self, tenant: str, language: str, number: str) -> str:
        """What callers of this tenant, on that number of the house ('' for none), are told first;
        '' where they are told nothing."""
        own = self._config.tenant_calls(tenant)
        told = own.notice or self._config.calls.notice
        days = retention_of(self._config, tenant).sound_days
        policy = self._config.calls.policy(own, number)
        return write_notice(
            policy.recording, told.controller, told.purpose, told.contact, days, language
        )

    def zone(self, tenant: str) -> ZoneInfo:
        """In which a tenant's days begin and end."""
        return ZoneInfo(zone_of(self._config, tenant))

    def recorder_of(self, call_id: str) -> CallRecorder:
        """The recorder of a live call. Raises KeyError."""
        return self._live[call_id]

    def find_live(self, tenant: str | None, call_id: str) -> CallRecorder | None:
        """The recorder of a live call of this tenant; of any where it is None."""
        watch = self._watches.live.get(call_id)
        if watch is None or (tenant is not None and watch.record.get("tenant") != tenant):
            return None
        return self._live.get(call_id)

    def _record(self, session: Session, turns: TurnRecorder) -> CallRecorder:
        spec = self._asked
        assert spec is not None
        # Of a session that no door of the gateway admitted (docs/extending.md): its own.
        own = {"tenant": spec.tenant, "edge": self._asked_by}
        record = {**own, **self._watches.live[session.id].record}
        tenant = record["tenant"]
        is_phone = record["edge"] == PhoneEdge.name  # from the public network, wherever we listen
        line = spec.context if is_phone else {}
        number = line.get("caller" if line.get("direction") == "outbound" else "callee") or ""
        may_be_local = not is_phone and not record.get("key_id")
        policy = self._policy(tenant, number, may_be_local=may_be_local)
        header = {
            "id": session.id,
            "tenant": tenant,
            "key_id": record.get("key_id") or "",
            "edge": record["edge"],
            "mode": session.mode,
            "caller": str(spec.context.get("caller") or "")[:128],
            "callee": str(line.get("callee") or "")[:128],
            "caller_e164": str(line.get("caller_e164") or ""),
            "callee_e164": str(line.get("callee_e164") or ""),
            "direction": line.get("direction") or "inbound",
            "attempt": line.get("attempt") or 1,
            "parent": str(line.get("parent_call") or "")[:64],
            "pbx_recording": str(line.get("pbx_recording") or "")[:256],
            "user_id": str(spec.context.get("user_id") or "")[:256],
            "experiments": self.exposures(session.id),
            "is_test": spec.context.get("test") is True,
            "language": spec.language,
            "versions": {"penny": __version__},
            "consent": {"policy": policy.recording, "text": policy.text},
        }
        recorder = CallRecorder(
            self.keeper.spool.begin(session.id),
            header,
            session.state.started_s,
            session.state.totals,
            self._wall_clock,
            consent=Consent(policy.recording, self._read_answer, keeps_text=policy.text),
            on_ended=lambda: self._live.pop(session.id, None),
        )
        self._live[session.id] = recorder
        turns.add_reader(recorder)
        return recorder

    def _policy(self, tenant: str, number: str, *, may_be_local: bool) -> Policy:
        policy = self._config.calls.policy(self._config.tenant_calls(tenant), number)
        if policy.recording != "auto":
            return policy
        return policy._replace(recording="on" if self._is_open and may_be_local else "off")


def open_keeper(config: Config, wall_clock: Callable[[], float]) -> CallKeeper:
    """What keeps the calls of this configuration; it is not started."""
    section = config.calls
    folder = config.resolve(section.folder)
    shelf = Shelf(folder / "sound", section.bucket, keeps_local=section.storage != "s3")
    store = CallStore(config.resolve_url(section.url), partial(zone_of, config))
    retention = partial(retention_of, config)
    return CallKeeper(store, shelf, folder, retention, wall_clock)


def zone_of(config: Config, tenant: str) -> str:
    """The time zone of a tenant's days."""
    return config.calls.timezone_of(config.tenant_calls(tenant))


def retention_of(config: Config, tenant: str) -> Retention:
    """How long a tenant's calls are kept."""
    house, own = config.calls, config.tenant_calls(tenant)
    sound, record = own.keep_sound_days, own.keep_record_days
    return Retention(
        house.keep_sound_days if sound is None else sound,
        house.keep_record_days if record is None else record,
    )
