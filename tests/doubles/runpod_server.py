"""RunPod's control plane on loopback: the routes of the job API and of the worker's webhooks.

The real SDK's worker loop and client, and Penny's own client, run against it without a key of
RunPod's. It knows one endpoint, keeps jobs in memory, and starts no worker by itself.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.doubles.http import HttpDouble


Json = dict[str, Any]

ENDPOINT = "ep1"
KEY = "rp-test-key"
POLL_S = 0.2


@dataclass
class Job:
    id: str
    input: Json
    policy: Json
    status: str = "IN_QUEUE"
    output: Any = None
    worker: str = ""
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def shown(self) -> Json:
        return {"id": self.id, "status": self.status, "output": self.output}


class RunpodServer(HttpDouble):
    """``workers`` is what ``/health`` tells; tests set it."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.queue: deque[Job] = deque()
        self.arrived = asyncio.Event()
        """A job is queued; who takes it clears this."""
        self.stops: dict[str, deque[str]] = {}
        self.workers: Json = {"idle": 0, "initializing": 0, "ready": 0, "throttled": 0}
        self.minimums: list[int] = []
        self.cancelled: list[str] = []
        self.pings = 0
        self.refuse_with = 0
        self._closing = asyncio.Event()
        self.port = 0

    # -- life ---------------------------------------------------------------------------------

    def app(self) -> web.Application:
        app = web.Application()
        at = f"/v2/{ENDPOINT}"
        app.router.add_post(f"{at}/run", self._run)
        app.router.add_post(f"{at}/runsync", self._runsync)
        app.router.add_get(f"{at}/status/{{job}}", self._status)
        app.router.add_post(f"{at}/cancel/{{job}}", self._cancel)
        app.router.add_get(f"{at}/health", self._health)
        app.router.add_patch(f"/v2/serverless/{ENDPOINT}", self._patch)
        app.router.add_get(f"{at}/job-take/{{worker}}", self._take)
        app.router.add_get(f"{at}/job-stop/{{worker}}", self._stop)
        app.router.add_post(f"{at}/job-done/{{worker}}/{{job}}", self._done)
        app.router.add_get("/v2/ping/{worker}", self._ping)
        return app

    async def start(self) -> None:
        await super().start()
        self.port = int(self.address.rpartition(":")[2])

    async def aclose(self) -> None:
        self._closing.set()
        await super().aclose()

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v2"

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v2/serverless"

    def worker_environment(self, worker: str) -> dict[str, str]:
        """What RunPod gives a worker's container."""
        at = f"{self.api_url}/{ENDPOINT}"
        return {
            "RUNPOD_WEBHOOK_GET_JOB": f"{at}/job-take/$ID?gpu=cpu",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{at}/job-done/$RUNPOD_POD_ID/$ID?gpu=cpu",
            "RUNPOD_WEBHOOK_POST_STREAM": f"{at}/job-stream/$RUNPOD_POD_ID/$ID?gpu=cpu",
            "RUNPOD_WEBHOOK_PING": f"{self.api_url}/ping/$RUNPOD_POD_ID",
            "RUNPOD_PING_INTERVAL": "1000",
            "RUNPOD_POD_ID": worker,
            "RUNPOD_ENDPOINT_ID": ENDPOINT,
            "RUNPOD_AI_API_KEY": "worker-key",
            "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
            "RUNPOD_SKIP_GPU_CHECK": "true",
        }

    # -- the account's side -------------------------------------------------------------------

    def _check(self, request: web.Request) -> None:
        if self.refuse_with:
            raise _refusal(self.refuse_with)
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise web.HTTPUnauthorized

    async def _run(self, request: web.Request) -> web.Response:
        self._check(request)
        job = await self._queue(request)
        return web.json_response({"id": job.id, "status": job.status})

    async def _runsync(self, request: web.Request) -> web.Response:
        self._check(request)
        job = await self._queue(request)
        await job.done.wait()
        return web.json_response(job.shown())

    async def _queue(self, request: web.Request) -> Job:
        body = await request.json()
        job = Job(f"job-{len(self.jobs) + 1}", body["input"], body.get("policy") or {})
        self.jobs[job.id] = job
        self.queue.append(job)
        self.arrived.set()
        return job

    def _job(self, request: web.Request) -> Job:
        job = self.jobs.get(request.match_info["job"])
        if job is None:
            raise web.HTTPNotFound
        return job

    async def _status(self, request: web.Request) -> web.Response:
        self._check(request)
        return web.json_response(self._job(request).shown())

    async def _cancel(self, request: web.Request) -> web.Response:
        self._check(request)
        job = self._job(request)
        self.cancelled.append(job.id)
        if not job.done.is_set():
            job.status = "CANCELLED"
            job.done.set()
            if job.worker:
                self.stops.setdefault(job.worker, deque()).append(job.id)
        return web.json_response(job.shown())

    async def _health(self, request: web.Request) -> web.Response:
        self._check(request)
        return web.json_response({"jobs": {"inQueue": len(self.queue)}, "workers": self.workers})

    async def _patch(self, request: web.Request) -> web.Response:
        self._check(request)
        self.minimums.append((await request.json())["workers"]["min"])
        return web.json_response({"id": ENDPOINT})

    # -- the worker's side --------------------------------------------------------------------

    async def _take(self, request: web.Request) -> web.Response:
        for _ in range(10):
            while self.queue:
                job = self.queue.popleft()
                if job.status == "IN_QUEUE":
                    job.status, job.worker = "IN_PROGRESS", request.match_info["worker"]
                    return web.json_response({"id": job.id, "input": job.input})
            if self._closing.is_set():
                break
            await asyncio.sleep(POLL_S)
        return web.Response(status=204)

    async def _stop(self, request: web.Request) -> web.Response:
        waiting = self.stops.setdefault(request.match_info["worker"], deque())
        for _ in range(10):
            if waiting:
                ids = [waiting.popleft() for _ in range(len(waiting))]
                return web.json_response({"jobsToStop": ids})
            if self._closing.is_set():
                break
            await asyncio.sleep(POLL_S)
        return web.Response(status=204)

    async def _done(self, request: web.Request) -> web.Response:
        job = self._job(request)
        result = json.loads(await request.text())  # sent as a form, though it is JSON
        if not job.done.is_set():
            job.status = "FAILED" if result.get("error") else "COMPLETED"
            job.output = result.get("output") or result.get("error")
            job.done.set()
        return web.json_response({})

    async def _ping(self, _request: web.Request) -> web.Response:
        self.pings += 1
        return web.json_response({})


def _refusal(status: int) -> web.HTTPException:
    if status == 401:
        return web.HTTPUnauthorized()
    return web.HTTPServiceUnavailable()
