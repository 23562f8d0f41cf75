"""Name -> mode, built once from the configuration."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import aiohttp

from brain.actions import Consent, read_consent
from config.credentials import REDIS_PASSWORD, RUNPOD_API_KEY, read_secret
from config.schema import Config
from config.worker import AUTO
from kb import KnowledgeBase
from modes.external.mode import ExternalMode
from modes.self_hosted.canary import Canary
from modes.self_hosted.house import HouseSettings, PrivateHouse
from modes.self_hosted.local import WORKER_COMMAND, LocalWorker
from modes.self_hosted.mcp.opening import McpHouse
from modes.self_hosted.mode import SelfHostedMode, WaitSettings
from modes.self_hosted.natural import NaturalProfile
from modes.self_hosted.private_http import hosts_of, open_private_http
from modes.self_hosted.remote import RemoteWorker
from modes.self_hosted.runpod.api import RunpodApi
from modes.self_hosted.runpod.book import LeaseBook
from modes.self_hosted.runpod.cold_starts import ColdStarts
from modes.self_hosted.runpod.pool import LeasePool
from modes.self_hosted.runpod.registry import LeaseRegistry
from modes.self_hosted.runpod.source import RunpodWorkers
from modes.self_hosted.source import WorkerSource
from modes.self_hosted.waiting.sentences import Recordings
from penny.aio.allow_list import AllowList
from penny.session.mode import Mode
from penny.trust.redis_store import connect_redis
from runpod_worker.machine import measure_machine


def build_modes(
    config: Config,
    kb: Callable[[], Awaitable[KnowledgeBase | None]] | None = None,
) -> dict[str, Mode]:
    """Every enabled mode by name, in the file's order, not yet started.

    ``kb`` tells the knowledge base that the house shares.
    """
    modes: dict[str, Mode] = {}
    for name, _ in config.penny.modes.enabled():
        if name == "SELF_HOSTED":
            hosts = hosts_of(config)
            private = open_private_http(hosts)
            source = _worker_source(config, private, hosts)
            modes[name] = SelfHostedMode(
                source,
                http=private,
                hosts=hosts,
                detection=config.worker.turns.detection,
                noise_reduction=config.noise_reduction,
                excuse=config.worker.spoken.replaced,
                replace_within_s=config.worker.replace_timeout_s,
                wait=_wait_settings(config),
                canary=_canary(config, private, source),
                house=_house(config, kb, hosts),
                mcp=McpHouse(config.privacy.mcp_servers) if config.privacy.mcp_servers else None,
                bills=config.runpod.endpoint_id is not None and config.runpod.usd_per_hour > 0,
            )
        else:
            modes[name] = ExternalMode(config, fallback=modes.get("SELF_HOSTED"), kb=kb)
    return modes


def read_answer(words: str) -> Consent:
    """Whether what a caller said agrees to their call being recorded."""
    return read_consent(words, "grabar grabación llamada record recording call")


def find_lease_registry(modes: Mapping[str, Mode]) -> LeaseRegistry | None:
    """Where rented workers dial in; None when none are rented."""
    for mode in modes.values():
        if isinstance(mode, SelfHostedMode) and isinstance(mode.source, RunpodWorkers):
            return mode.source.registry
    return None


def find_hosts(modes: Mapping[str, Mode]) -> AllowList | None:
    """The hosts that private sessions may reach; it counts what they were kept from."""
    for mode in modes.values():
        if isinstance(mode, SelfHostedMode):
            return mode.hosts
    return None


def describe_engines(modes: Mapping[str, Mode]) -> str:
    """Which engines the local worker runs and why, in a line; '' where the file names them."""
    for mode in modes.values():
        if isinstance(mode, SelfHostedMode) and isinstance(mode.source, LocalWorker):
            return mode.source.describe_engines()
    return ""


def find_spending(modes: Mapping[str, Mode], session_id: str) -> Callable[[], float | None]:
    """Tells what rented workers have cost one session, wherever it began; None: not billed."""

    def spent() -> float | None:
        for mode in modes.values():
            if isinstance(mode, SelfHostedMode):
                return mode.spent_usd(session_id)
        return None

    return spent


def _wait_settings(config: Config) -> WaitSettings | None:
    section = config.waiting
    if not section.enabled:
        return None
    own = config.resolve(section.recordings) if section.recordings is not None else None
    return WaitSettings(section.after_s, section.every_s, Recordings(own))


def _house(
    config: Config, kb: Callable[[], Awaitable[KnowledgeBase | None]] | None, hosts: AllowList
) -> PrivateHouse:
    section = config.kb
    settings = HouseSettings(
        kb, section.default_ref, config.actions.table, section.timezone, lambda: datetime.now(UTC)
    )
    return PrivateHouse(settings, hosts)


def _canary(config: Config, http: aiohttp.ClientSession, source: WorkerSource) -> Canary | None:
    section, key = config.runpod, read_secret(RUNPOD_API_KEY, os.environ)
    if not isinstance(source, RunpodWorkers) or key is None or not section.sign_of_life_h:
        return None
    api = RunpodApi(
        http,
        api_url=section.api_url,
        rest_url=section.rest_url,
        endpoint_id=section.endpoint_id or "",
        key=key,
    )
    return Canary(
        api,
        config.resolve(section.state) / "canary.json",
        is_leased=lambda: bool(source.workers()),
        every_s=section.sign_of_life_h * 3600,
        answer_within_s=section.cold_limit_s,
        now_s=time.time,
    )


def _worker_source(config: Config, http: aiohttp.ClientSession, hosts: AllowList) -> WorkerSource:
    if config.runpod.endpoint_id is not None:
        return _leased_workers(config, http, config.runpod.endpoint_id)
    endpoint = config.penny.modes.SELF_HOSTED.endpoint
    missing = [v for v in config.origin.missing if v.key.startswith("penny.modes.SELF_HOSTED")]
    if endpoint is not None or missing:
        return RemoteWorker(
            endpoint or "",
            hosts,
            os.environ,
            missing_variables=tuple(variable.name for variable in missing),
        )
    natural = None
    if config.penny.profile == AUTO:
        natural = NaturalProfile(config, os.environ, measure_machine())
    return LocalWorker(
        hosts,
        config.origin.path,
        start_timeout_s=config.worker.start_timeout_s,
        natural=natural,
        command=(*WORKER_COMMAND, "--sample") if config.actions.sample else WORKER_COMMAND,
    )


def _leased_workers(config: Config, http: aiohttp.ClientSession, endpoint_id: str) -> RunpodWorkers:
    section, key = config.runpod, read_secret(RUNPOD_API_KEY, os.environ)
    api = None
    if key is not None:
        api = RunpodApi(
            http,
            api_url=section.api_url,
            rest_url=section.rest_url,
            endpoint_id=endpoint_id,
            key=key,
        )
    folder = config.resolve(section.state)
    clock = asyncio.get_running_loop().time
    return RunpodWorkers(
        section,
        api,
        LeaseBook(folder / "leases.json"),
        ColdStarts(folder / "cold_starts.json"),
        session_max_s=config.gateway.session_max_s,
        clock=clock,
        pool=_lease_pool(config, endpoint_id, clock),
    )


def _lease_pool(config: Config, endpoint_id: str, clock: Callable[[], float]) -> LeasePool | None:
    """Shared with the gateways that lease from the same endpoint; None without a Redis."""
    if config.redis.url is None:
        return None
    password = read_secret(REDIS_PASSWORD, os.environ)
    return LeasePool(
        connect_redis(
            config.redis.url,
            password.get_secret_value() if password else None,
            config.redis.timeout_s,
        ),
        prefix=f"{config.redis.prefix}:runpod:{endpoint_id}",
        lease_s=config.redis.lease_s,
        timeout_s=config.redis.timeout_s,
        usd_per_hour=config.runpod.usd_per_hour,
        clock=clock,
    )
