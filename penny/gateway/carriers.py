"""The telephone carriers of a gateway: their doors, and the calls that it places."""

from __future__ import annotations

import os
import time
from asyncio import to_thread
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from aiohttp import web
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from config.credentials import read_secret
from config.schema import Config
from penny.edges.telephone.hold import read_music
from penny.errors import ConfigError, PennyError
from penny.gateway.asterisk import AsteriskDoor
from penny.gateway.asterisk_placed import AsteriskPlacer
from penny.gateway.callbacks import CallBacks
from penny.gateway.caller_ids import CallerIds
from penny.gateway.dial_routes import DialRoutes
from penny.gateway.dialer import Dialer
from penny.gateway.gate import Gate
from penny.gateway.line_forms import LineForms
from penny.gateway.live_phones import LivePhoneRoutes
from penny.gateway.metrics import Metrics
from penny.gateway.offered_calls import OfferedCalls
from penny.gateway.opening import Notice
from penny.gateway.phones import PhoneCall, Phones
from penny.gateway.reconciler import Reconciler
from penny.gateway.transfers import Transfers
from penny.gateway.trunks import TrunkRounds
from penny.gateway.twilio import TwilioDoor
from penny.session.broker import Broker
from penny.session.observers import Observer
from penny.session.session import Session
from penny.session.turn_recorder import TurnRecorder
from penny.telephony.probe import Probe
from penny.telephony.store import TelephonyStore


class Carriers:
    """Opens what ``telephony`` of the configuration names, and adds its routes to ``app``.

    Args:
        clock: the loop's, seconds.
        notice: what a tenant's callers are told first.

    Raises:
        ConfigError: a carrier's secret is not set, or the music cannot be read.
    """

    def __init__(
        self,
        broker: Broker,
        config: Config,
        gate: Gate,
        clock: Callable[[], float],
        notice: Notice,
        metrics: Metrics,
        app: web.Application,
    ) -> None:
        self.phones = Phones(broker, config, gate, clock, notice, metrics.phone_late.observe)
        self.twilio: TwilioDoor | None = None
        self.dialer = Dialer(config, self.phones.check, self.phones.keep_unconnected)
        DialRoutes(self.dialer).add_to(app)
        self._caller_ids = CallerIds(self.dialer.book, config.telephony, time.time)
        self._caller_ids.add_to(app)
        metrics.figures.append(self._caller_ids.collect)
        keep, most_s = self.phones.keep_unconnected, float(config.gateway.session_max_s)
        self.reconciler = Reconciler(self.dialer, self.dialer.owed, keep, most_s)
        metrics.figures.append(self.reconciler.collect)
        self.phones.never_call = self.dialer.never_call
        self.phones.answered_by = self.dialer.answered_by
        music = _music(config)
        LivePhoneRoutes(self.phones, broker, music, clock).add_to(app)
        metrics.figures.append(self.collect)
        transfers = Transfers()
        metrics.figures.append(transfers.collect)
        self._config = config
        section = config.telephony.twilio
        if section.enabled:
            key = "telephony.twilio.auth_token_env"
            token = _secret(section.auth_token_env, key, "the account's auth token")
            offers = OfferedCalls(self.dialer.owed, keep, most_s)
            self.twilio = TwilioDoor(
                self.phones, config, token, self.dialer.book, offers, transfers, time.time
            )
            self.reconciler.carrier = self.twilio.api
            metrics.figures.append(self.twilio.collect)
            self.twilio.add_to(app)
            self.twilio.placed, self.dialer.placer = self.dialer, self.twilio
        self.asterisk: AsteriskDoor | None = None
        self._ari: AsteriskPlacer | None = None
        self._trunks: TrunkRounds | None = None
        if config.telephony.asterisk.enabled:
            folder = config.resolve(config.telephony.folder)
            store = TelephonyStore(folder, config.telephony, os.environ)
            self.phones.country_of = partial(country_of_call, store)
            self.asterisk = AsteriskDoor(config, self.phones, store, transfers, clock)
            probe = Probe(time.monotonic, allow_loopback=config.telephony.probe_loopback)
            self._trunks = TrunkRounds(store, probe, time.monotonic)
            metrics.figures.append(self._trunks.collect)
            metrics.figures.append(self.asterisk.collect)
            self.asterisk.add_to(app)
            self._open_ari(self.asterisk, store, metrics)

        self._gate = gate
        self._call_backs = CallBacks(self.dialer, self._local_now, config.crm.region)
        if self.dialer.placer is not None:
            broker.add_observer(self._hear_call_backs)

    def _open_ari(self, door: AsteriskDoor, store: TelephonyStore, metrics: Metrics) -> None:
        section = self._config.telephony.asterisk.ari
        if not section.url:
            return
        key = "telephony.asterisk.ari.password_env"
        password = _secret(section.password_env, key, "the password of ari.conf")
        door.placed = self.dialer
        self._ari = AsteriskPlacer(
            section.url,
            section.user,
            password,
            store,
            self.dialer,
            self.dialer.placer,
            door.asterisk_is,
        )
        self.dialer.placer = LineForms(store, self._ari)
        metrics.figures.append(self._ari.collect)

    def _local_now(self, tenant: str) -> datetime:
        return datetime.now(ZoneInfo(self._config.telephony.dialing_of(tenant).timezone))

    def _hear_call_backs(self, session: Session, _turns: TurnRecorder) -> Observer:
        call = self.phones.calls.get(session.id)
        language = (call.language if call else "") or self._config.session.language
        theirs = ""
        if call is not None:
            theirs = call.caller if call.direction == "inbound" else call.callee
        tenant = call.tenant if call is not None else self._gate.tenant_of(session.id)
        return self._call_backs.watch(session.id, tenant, theirs, language)

    async def start(self) -> None:
        """Listen where HTTP is not the way. Raises ConfigError."""
        self.dialer.start()
        self._caller_ids.start()
        self.reconciler.start()
        if self.asterisk is not None:
            await self.asterisk.start()
        for each in (self._trunks, self._ari):
            if each is not None:
                each.start()

    def close(self) -> None:
        """Take no further call by those ways; live ones go on."""
        if self.asterisk is not None:
            self.asterisk.close()

    async def aclose(self) -> None:
        await self.phones.aclose()
        await self._call_backs.aclose()
        await self.reconciler.aclose()
        await self._caller_ids.aclose()
        await self.dialer.aclose()
        for door in (self.twilio, self.asterisk, self._trunks, self._ari):
            if door is not None:
                await door.aclose()

    def collect(self) -> Iterator[Metric]:
        """The calls under way, for the operator."""
        live = len(self.phones.edges)
        yield GaugeMetricFamily("penny_phone_calls", "Telephone calls under way", value=live)
        told = "Calls of whose caller no sound ever came"
        silent = CounterMetricFamily("penny_phone_calls_silent", told, labels=["line"])
        for line, count in self.phones.silent.items():
            silent.add_metric([line], count)
        yield silent
        told = "Calls that were asked for and that no rule allowed"
        refused = CounterMetricFamily("penny_dials_refused", told, labels=["reason"])
        for reason, count in self.dialer.refused.items():
            refused.add_metric([reason], count)
        yield refused


async def country_of_call(store: TelephonyStore, call: PhoneCall) -> str:
    """The country of the line that a call came by; '' where it is of none, or none is told."""
    line_id = call.context.get("line")
    if not line_id:
        return ""
    try:
        lines = await to_thread(store.read)
    except PennyError:  # the call goes on without
        return ""
    return next((line.home for line in lines.receiving() if line.id == line_id), "")


def _music(config: Config) -> bytes:
    """Raises ConfigError."""
    path = config.telephony.hold_music
    try:
        return read_music(config.resolve(path) if path is not None else None)
    except (OSError, ValueError, PennyError) as error:
        key = "telephony.hold_music"
        raise ConfigError(f"{key}: {error}; name a WAV file", key=key) from error


def _secret(variable: str, key: str, what: str) -> str:
    secret = read_secret(variable, os.environ)
    if secret is None:
        raise ConfigError(f"{key}: {variable} is not set; export {variable}=… with {what}", key=key)
    return secret.get_secret_value()
