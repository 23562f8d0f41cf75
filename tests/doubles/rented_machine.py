"""A machine at a fake RunPod: takes jobs over HTTP, serves leases with a worker in-process.

``python -m tests.doubles.rented_machine API_URL NAME`` is one in a process of its own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp

from runpod_worker.dialer import Dialer, LeaseRefused
from runpod_worker.engines.registry import Engines
from runpod_worker.handler import REFUSED, read_job
from runpod_worker.lease import LeaseJob
from runpod_worker.server import Worker
from runpod_worker.settings import WorkerSettings
from tests.doubles.engines import FixedStt, FixedTts
from tests.doubles.http import cut
from tests.doubles.loudness_vad import LoudnessVad
from tests.doubles.runpod_server import ENDPOINT, RunpodServer
from tests.doubles.worker_process import TellingLlm


Json = dict[str, Any]


class RentedMachine:
    """``boot_s`` passes before the first job is taken. ``crash`` breaks every socket it holds."""

    def __init__(
        self,
        server: RunpodServer | str,
        make_engines: Callable[[], Engines],
        *,
        boot_s: float = 0.0,
        settings: WorkerSettings | None = None,
    ) -> None:
        self._settings = settings or WorkerSettings()
        api_url = server if isinstance(server, str) else server.api_url
        self._at = f"{api_url}/{ENDPOINT}"
        self._dialling: dict[str, float] = {}
        self._make_engines = make_engines
        self._boot_s = boot_s
        self._task: asyncio.Task[None] | None = None
        self.taken: list[LeaseJob] = []
        self.returned: list[Json] = []
        self._live: set[aiohttp.ClientWebSocketResponse] = set()

    def start(self, name: str, dialling: dict[str, float] | None = None) -> None:
        self._dialling = {"redial_pause_s": 0.1, **(dialling or {})}
        self._task = asyncio.create_task(self._run(name), name=f"machine {name}")

    async def ended(self) -> None:
        assert self._task is not None
        await self._task

    async def crash(self) -> None:
        assert self._task is not None
        for live in self._live:
            cut(live)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self, name: str) -> None:
        await asyncio.sleep(self._boot_s)
        engines = self._make_engines()
        worker = Worker(self._settings, engines)
        at = self._at
        try:
            async with aiohttp.ClientSession() as http:
                while True:
                    async with http.get(f"{at}/job-take/{name}") as response:
                        if response.status != 200:
                            continue
                        job = await response.json()
                    output = await self._answer(http, worker, job)
                    # As the SDK has it: an error is no output.
                    answer = output if "error" in output else {"output": output}
                    async with http.post(f"{at}/job-done/{name}/{job['id']}", json=answer):
                        pass
        finally:
            await engines.aclose()
            await worker.aclose()

    async def _answer(self, http: aiohttp.ClientSession, worker: Worker, job: Json) -> Json:
        lease = read_job(job, worker.info())
        if not isinstance(lease, LeaseJob):
            return lease
        self.taken.append(lease)

        async def converse(live: aiohttp.ClientWebSocketResponse, traceparent: str) -> None:
            self._live.add(live)
            try:
                await worker.serve(
                    live, model="penny-worker", penny_events=True, traceparent=traceparent
                )
            finally:
                self._live.discard(live)

        dialer = Dialer(http, lease, converse, worker.info(), **self._dialling)
        try:
            served = await dialer.run()
        except LeaseRefused:
            return REFUSED
        self.returned.append(served)
        return served


async def _stand_alone(api_url: str, name: str) -> None:
    machine = RentedMachine(api_url, _engines)
    machine.start(name, dialling={"slot_heartbeat_s": 1.0})
    sys.stdout.write("waits for jobs\n")
    sys.stdout.flush()
    await machine.ended()


def _engines() -> Engines:
    return Engines(LoudnessVad(), FixedStt(), TellingLlm(), FixedTts())


if __name__ == "__main__":
    asyncio.run(_stand_alone(sys.argv[1], sys.argv[2]))
