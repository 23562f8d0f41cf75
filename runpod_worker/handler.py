"""The worker as a RunPod job handler: one job is one lease of this worker, with several slots.

Models load before the SDK's loop starts, so a worker that takes a job is ready to talk. A job is
cancelled by RunPod (or by the gateway) through the SDK: its sessions end, the worker lives on.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import structlog
from pydantic import ValidationError

from penny.errors import ConfigErrors, PennyError
from penny.logs import configure_logs
from runpod_worker.dialer import LeaseRefused, serve_lease
from runpod_worker.egress import (
    guard_process,
    guarded_hosts,
    hosts_of,
    new_guarded_loop,
    silence_libraries,
)
from runpod_worker.engines.registry import load_engines
from runpod_worker.environment import read_settings
from runpod_worker.lease import LeaseJob
from runpod_worker.pipeline_thread import Load, PipelineThread
from runpod_worker.server import Worker


log = structlog.get_logger()

Json = dict[str, Any]

LEASES_PER_WORKER = 1
"""Constant on purpose: the SDK waits until every job has ended before it resizes its queue, and
these jobs are hours long. More sessions are more slots, not more jobs."""


REFUSED: Json = {"error": "the gateway does not know this lease"}


def read_job(job: Json, info: Json) -> LeaseJob | Json:
    """The lease that a job asks for, or the answer to a job that is none.

    Args:
        info: what this worker is.
    """
    given = job.get("input") or {}
    if given.get("kind") == "canary":
        # Proves that the endpoint still starts workers, without a session.
        return {"ready": True, "info": info}
    try:
        return LeaseJob.model_validate(given)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
        return {"error": f"input: not a lease; wrong or missing: {fields}"}


def allow_gateway(gateway_ws: str) -> None:
    """Let a guarded process connect to this gateway."""
    hosts = guarded_hosts()
    if hosts is not None:
        hosts.add(gateway_ws)


def make_handler(pipeline: PipelineThread) -> Callable[[Json], Awaitable[Json]]:
    """The SDK's handler. An ``error`` in its answer makes RunPod show the job as failed."""

    async def handle(job: Json) -> Json:
        lease = read_job(job, pipeline.worker.info() if pipeline.worker else {})
        if not isinstance(lease, LeaseJob):
            return lease
        allow_gateway(lease.gateway_ws)  # named by a holder of the endpoint's key
        log.info("lease_taken", lease_id=lease.lease_id, slots=lease.slots)
        try:
            served = await pipeline.run(lambda worker: _serve(worker, lease))
        except LeaseRefused:
            return REFUSED
        except asyncio.CancelledError:
            log.info("lease_cancelled", lease_id=lease.lease_id)
            raise
        log.info("lease_returned", lease_id=lease.lease_id, **served)
        return served

    return handle


async def _serve(worker: Worker, lease: LeaseJob) -> Json:
    async def converse(socket: aiohttp.ClientWebSocketResponse, traceparent: str) -> None:
        await worker.serve(socket, model="penny-worker", penny_events=True, traceparent=traceparent)

    return await serve_lease(lease, converse, worker.info())


def keep_concurrency(_current: int) -> int:
    return LEASES_PER_WORKER


def main(load: Load = load_engines) -> None:
    """Load, then serve jobs until RunPod stops the worker. Exits 1 when the engines do not load."""
    try:
        settings = read_settings(os.environ)
        configure_logs(settings.log_level, settings.log_format)
        silence_libraries()
        guard_process(hosts_of(settings))
        pipeline = PipelineThread(settings, load, new_guarded_loop)
        pipeline.start()
    except ConfigErrors as failure:
        sys.exit("\n".join(error.message for error in failure.errors))
    except PennyError as error:
        sys.exit(error.message)
    # Only here: the SDK is in the worker's image and nowhere else.
    import runpod

    try:
        runpod.serverless.start(
            {"handler": make_handler(pipeline), "concurrency_modifier": keep_concurrency}
        )
    finally:
        pipeline.stop()


if __name__ == "__main__":
    main()
