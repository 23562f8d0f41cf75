"""A sign of life, once a day: RunPod takes workers away from endpoints without requests.

After 3 days without a request it leaves two workers, after 7 none. A canary job counts as a
request; that it is answered shows that the endpoint still starts workers, before a caller finds
out that it does not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from modes.self_hosted.runpod.api import FINAL, RunpodApi
from penny.aio.files import write_whole
from penny.aio.tasks import TaskOwner
from penny.errors import ModeUnavailable


log = structlog.get_logger()

Json = dict[str, Any]

CHECK_EVERY_S = 600.0
POLL_S = 5.0
JOB: Json = {"kind": "canary"}


class Canary:
    """Periodic job that proves the endpoint still starts workers.

    Sends a job when the endpoint has had no request for ``every_s``.

    Args:
        is_leased: whether a worker is rented now, which is a request too.
        path: keeps when it was asked last, over restarts.
        answer_within_s: longest wait for a worker; then the endpoint is taken for dead.
        now_s: Unix time.
    """

    def __init__(
        self,
        api: RunpodApi,
        path: Path,
        *,
        is_leased: Callable[[], bool],
        every_s: float,
        answer_within_s: float,
        now_s: Callable[[], float],
    ) -> None:
        self._api = api
        self._path = path
        self._is_leased = is_leased
        self._every_s = every_s
        self._answer_within_s = answer_within_s
        self._now_s = now_s
        self._tasks = TaskOwner("runpod canary")
        self.reason = ""
        """Why the last canary failed; empty when it was answered, or none was needed."""

    def start(self) -> None:
        self._tasks.spawn(self._watch(), name="canary")

    async def aclose(self) -> None:
        await self._tasks.aclose()

    async def _watch(self) -> None:
        while True:
            if self._is_leased():
                await asyncio.to_thread(self._note)
            elif self._now_s() - await asyncio.to_thread(self._last_s) >= self._every_s:
                self.reason = await self._send()
                if self.reason:
                    log.error("canary_failed", reason=self.reason)
            await asyncio.sleep(CHECK_EVERY_S)

    async def _send(self) -> str:
        """Send one and wait for its answer; why there was none."""
        started_s = self._now_s()
        limit_s = self._answer_within_s
        try:
            job_id = await self._api.run(JOB, execution_timeout_s=60, ttl_s=limit_s)
            await asyncio.to_thread(self._note)
            status = "IN_QUEUE"
            while status not in FINAL and self._now_s() - started_s < limit_s:
                await asyncio.sleep(POLL_S)
                answer = await self._api.status(job_id)
                status = str(answer.get("status"))
            if status not in FINAL:
                await self._api.cancel(job_id)
        except ModeUnavailable as error:
            return error.message
        if status != "COMPLETED":
            return f"no worker answered within {limit_s:g} s: the job is {status}"
        log.info("canary_answered", took_s=round(self._now_s() - started_s, 1))
        return ""

    def _last_s(self) -> float:
        try:
            return float(json.loads(self._path.read_text(encoding="utf-8"))["asked"])
        except FileNotFoundError:
            self._note()  # an endpoint that is new here has its days from now on
            return self._now_s()
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("canary_unreadable", path=str(self._path), error=type(error).__name__)
            return 0.0

    def _note(self) -> None:
        try:
            write_whole(self._path, json.dumps({"asked": self._now_s()}))
        except OSError as error:
            log.warning("canary_not_kept", path=str(self._path), error=type(error).__name__)
