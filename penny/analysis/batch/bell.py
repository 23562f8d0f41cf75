"""Wakes workers on other machines, by taskiq and Redis. What is to be done stands in the database.

A ring that is lost or comes twice costs nothing: who hears it looks for calls that are due, and a
worker looks now and then by itself.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import Any, Literal

import redis
import structlog
from redis.exceptions import RedisError
from taskiq.api import run_receiver_task
from taskiq.exceptions import SendTaskError
from taskiq_redis import RedisStreamBroker

from config.credentials import REDIS_PASSWORD, read_secret
from config.schema import Config


log = structlog.get_logger()

MOST_RINGS = 1000
"""Entries that the stream keeps, heard or not."""
LOCK_S = 10.0
"""How long a listener that died may hold what it was taking back."""
IDLE_MS = 30_000
ASK_S = 3.0


class Bell:
    """One end of the bell: a gateway rings it, a worker listens.

    Args:
        url: of the Redis that gateways share; not of a cluster.
        prefix: of its keys.
    """

    def __init__(self, url: str, prefix: str, password: str | None = None) -> None:
        secret: dict[str, Any] = {"password": password} if password else {}
        self._broker = RedisStreamBroker(
            url,
            queue_name=f"{prefix}:analysis",
            consumer_group_name=f"{prefix}:analysis",
            maxlen=MOST_RINGS,
            approximate=False,
            idle_timeout=IDLE_MS,
            unacknowledged_lock_timeout=LOCK_S,
            **secret,
        )
        self._rung = asyncio.Event()
        self._is_open = False

        async def hear() -> None:
            self._rung.set()

        self._task = self._broker.register_task(hear, "penny.analysis:look")

    async def ring(self) -> bool:
        """Wake those who listen; False where Redis is away."""
        try:
            if not self._is_open:
                await self._broker.startup()
                self._is_open = True
            await self._task.kiq()
        except (RedisError, SendTaskError, OSError) as error:
            log.warning("analysis_bell_away", reason=type(error).__name__)
            return False
        return True

    async def listen(self) -> None:
        """Hear rings until cancelled; where Redis is away, try again now and then."""
        while True:
            try:
                self._broker.is_worker_process = True
                await run_receiver_task(self._broker, run_startup=True)
            except (RedisError, OSError) as error:
                log.warning("analysis_bell_away", reason=type(error).__name__)
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # taskiq returns as if nothing had been
                raise asyncio.CancelledError
            await asyncio.sleep(LOCK_S)

    async def wait(self, at_most_s: float) -> None:
        """Wait for a ring, but no longer than that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._rung.wait()
        self._rung.clear()

    async def aclose(self) -> None:
        """Let go of Redis."""
        with suppress(RedisError, OSError):
            await self._broker.shutdown()


def find_fault(config: Config) -> tuple[Literal["error", "warning"], str] | None:
    """What keeps workers on other machines from being woken; None where nothing does.

    taskiq's cluster broker never takes back what a listener that died had in hand, and its other
    one fails in a cluster at the first key of another node.
    """
    if not config.analysis.enabled or config.redis.url is None:
        return None
    try:
        with redis.Redis.from_url(
            config.redis.url, socket_timeout=ASK_S, socket_connect_timeout=ASK_S, **_secret()
        ) as client:
            is_cluster = bool(client.info("cluster").get("cluster_enabled"))
    except RedisError as error:
        return "warning", f"workers of analysis are not woken: {type(error).__name__}"
    if is_cluster:
        return "error", "a Redis cluster cannot wake workers of analysis: name a single server"
    return None


def _secret() -> dict[str, Any]:
    password = read_secret(REDIS_PASSWORD, os.environ)
    return {} if password is None else {"password": password.get_secret_value()}


def open_bell(config: Config) -> Bell | None:
    """The bell of workers on several machines; None where gateways share nothing."""
    if config.redis.url is None:
        return None
    return Bell(config.redis.url, config.redis.prefix, **_secret())
