"""Builds the gateway's trust from its configuration: store, admission, gate, secrets."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from config.credentials import REDIS_PASSWORD, read_secret
from config.schema import Config
from penny.gateway.gate import Gate
from penny.gateway.session_watch import SessionWatches
from penny.session.broker import Broker
from penny.trust.admission import Admission
from penny.trust.client_secrets import ClientSecrets
from penny.trust.keys import KeyFile
from penny.trust.ledger import DayLedger
from penny.trust.memory_store import MemoryStore
from penny.trust.resilient_store import ResilientStore
from penny.trust.sign_ins import SignIns


@dataclass(frozen=True, slots=True)
class Trust:
    """The parts that decide which callers may talk, built together."""

    store: MemoryStore | ResilientStore
    ledger: DayLedger
    admission: Admission
    secrets: ClientSecrets
    sign_ins: SignIns
    watches: SessionWatches
    gate: Gate


def build_trust(config: Config, broker: Broker, host: str, clock: Callable[[], float]) -> Trust:
    """Nothing is connected or started yet."""
    file = config.resolve(config.keys.file)
    ledger = DayLedger(file.with_name("days.sqlite"))
    store = build_store(config, ledger)
    keys = KeyFile(file, time.time)
    secrets = ClientSecrets(store, time.time)
    sign_ins = SignIns(file.with_name("sign-ins.sqlite"), time.time)
    prices: dict[str, float] = {
        name: section.cost_per_minute_usd for name, section in config.penny.modes.enabled()
    }
    watches = SessionWatches(prices, clock)
    broker.add_observer(watches.watch)

    async def dead_keys(key_ids: frozenset[str]) -> frozenset[str]:
        return await gate.dead_keys(key_ids)

    admission = Admission(
        store,
        clock,
        end_session=broker.end_session,
        dead_keys=dead_keys,
        renew_s=config.redis.lease_s / 3,
        node=f"{socket.gethostname()}:{os.getpid()}",
    )
    gate = Gate(config, host, keys, secrets, sign_ins, admission, watches)
    return Trust(store, ledger, admission, secrets, sign_ins, watches, gate)


def build_store(config: Config, ledger: DayLedger) -> MemoryStore | ResilientStore:
    """The shared store when ``redis.url`` is set, else this process's own."""
    local = MemoryStore(time.time, ledger=ledger)
    if config.redis.url is None:
        return local
    # Here, not above: the client is large, and one gateway alone does not need it.
    from penny.trust.redis_store import RedisStore, connect_redis

    password = read_secret(REDIS_PASSWORD, os.environ)
    redis = connect_redis(
        config.redis.url,
        password.get_secret_value() if password else None,
        config.redis.timeout_s,
    )
    shared = RedisStore(
        redis,
        prefix=config.redis.prefix,
        lease_s=config.redis.lease_s,
        timeout_s=config.redis.timeout_s,
    )
    return ResilientStore(shared, local)
