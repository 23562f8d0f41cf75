"""``python -m penny analyse``: calls that are over, beside a running gateway or without one."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from pydantic import ValidationError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.ext.asyncio import AsyncConnection

from config.schema import Config
from penny.aio.tasks import TaskOwner
from penny.analysis.batch.assembly import make_tools, open_jobs
from penny.analysis.batch.bell import Bell, open_bell
from penny.analysis.batch.jobs import Also
from penny.analysis.batch.steps import make_steps
from penny.analysis.batch.worker import AWAY_S, Done, Worker
from penny.calls.database import StoreUnavailable
from penny.calls.query import CallQuery
from penny.calls.record import Call
from penny.calls.store import CallStore
from penny.cli.analysis_models import open_models
from penny.cli.configured import add_config_option, load_config, settle_profile
from penny.errors import PennyError
from penny.gateway.kept_calls import open_keeper
from penny.logs import configure_logs
from penny.webhooks.endpoints import read_endpoints
from penny.webhooks.live import RecordTelling
from penny.webhooks.outbox import Outbox


log = structlog.get_logger()

TOLD = (
    "state", "reason", "is_partial", "intent", "outcome", "topics", "summary", "quality",
    "compliance", "promises", "alerts", "disagreement",
)  # fmt: skip
"""Of what was found, in an event: the rest is got by ``GET /v1/calls/{id}``."""
LOOKS_EVERY_S = 60.0
"""A worker that is not woken."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "analyse", help="moods, requests, entities and rules of kept calls"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--unprocessed", action="store_true", help="calls never analysed (default)")
    which.add_argument("--call", metavar="ID", help="this call alone")
    which.add_argument("--explain", metavar="ID", help="tell each step of a call, and do nothing")
    parser.add_argument("--since", metavar="DATE", help="calls from this moment on (ISO 8601)")
    parser.add_argument("--until", metavar="DATE", help="calls before it")
    parser.add_argument("--tenant", help="of this tenant alone")
    parser.add_argument(
        "--reprocess", action="store_true", help="also those that are done: steps that changed"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="most calls")
    parser.add_argument("--max-concurrent", type=int, metavar="N", help="calls at a time")
    parser.add_argument("--worker", action="store_true", help="stay, and take what comes")
    parser.add_argument("--bidden", action="store_true", help=argparse.SUPPRESS)  # by a gateway
    parser.add_argument("--gives-way", action="store_true", help="at the lowest priority")
    add_config_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises ConfigErrors, PennyError."""
    config = settle_profile(load_config(arguments))
    configure_logs(config.logs.level, config.logs.format)
    if arguments.gives_way:
        give_way()
    return asyncio.run(_Analysis(config, arguments).run())


def give_way() -> None:
    """Let every other process of this machine go first.

    It is not made to wait for an idle processor: it may hold the lock of an SQLite file.
    """
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


class _Analysis:
    """One run of the command."""

    def __init__(self, config: Config, arguments: argparse.Namespace) -> None:
        self._config = config
        self._arguments = arguments
        self._keeper = open_keeper(config, time.time)
        self._store: CallStore = self._keeper.store
        self._steps = make_steps()
        self._jobs = open_jobs(self._store, self._steps, make_also(config, self._store))
        self._may_work = True

    async def run(self) -> int:
        try:
            if self._arguments.explain:
                return await self._explain(self._arguments.explain)
            tools, ears = make_tools(self._config, self._keeper.shelf)
            models = open_models(self._config)
            tools = replace(tools, models=models)
            try:
                if self._arguments.worker or self._arguments.bidden:
                    await self._stay(self._worker(tools))
                    return 0
                return await self._once(tools)
            finally:
                if ears is not None:
                    await ears.aclose()
                if models is not None:
                    await models.aclose()
        finally:
            await self._store.aclose()

    def _worker(self, tools: object, on_done: Callable[[Done], None] = lambda _d: None) -> Worker:
        most = self._arguments.max_concurrent or self._config.analysis.max_concurrent
        return Worker(
            self._jobs,
            self._steps,
            tools,
            max_concurrent=most,
            may_work=lambda: self._may_work,
            on_done=on_done,
        )

    async def _once(self, tools: object) -> int:
        """Queue what was asked for, and work until it is done."""
        query = self._query()
        again = self._arguments.reprocess or bool(self._arguments.call)
        limit = self._arguments.limit
        queued = await self._jobs.add(
            query, again=again, tenant=self._arguments.tenant, limit=limit
        )
        waiting = (await self._jobs.stats())["waiting"]
        total = waiting if limit is None else min(waiting, limit)
        columns = (TextColumn("calls"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task("calls", total=total)
            worker = self._worker(tools, lambda done: bar.update(task, completed=done.all))
            done = await worker.run(limit)
        print(
            f"queued {queued}, completed {done.completed}, skipped {done.skipped}, "
            f"failed {done.failed}"
        )
        return 1 if done.failed else 0

    def _query(self) -> CallQuery:
        given = {"id": self._arguments.call, "since": self._arguments.since,
                 "until": self._arguments.until, "order": "oldest"}  # fmt: skip
        try:
            query = CallQuery.model_validate({k: v for k, v in given.items() if v is not None})
        except ValidationError as error:
            field = error.errors()[0]["loc"][0]
            raise PennyError(f"--{field}: write a date such as 2026-11-30") from error
        return query.in_zone(self._store_zone())

    def _store_zone(self) -> ZoneInfo:
        own = self._config.tenant_calls(self._arguments.tenant or "default")
        return ZoneInfo(self._config.calls.timezone_of(own))

    # -- staying ------------------------------------------------------------------------------

    async def _stay(self, worker: Worker) -> None:
        """Take what is due whenever it is rung for, until stdin or the process ends."""
        tasks = TaskOwner("analysis worker")
        bell = open_bell(self._config)
        rung = asyncio.Event()
        try:
            ended: asyncio.Task[Any]
            if self._arguments.bidden:
                self._may_work = False
                ended = tasks.spawn(self._read_orders(rung), name="orders")
            else:
                rung.set()
                ended = tasks.spawn(asyncio.Event().wait(), name="until the end")
                tasks.spawn(self._ring_on(rung, bell), name="ring")
            if bell is not None:
                tasks.spawn(bell.listen(), name="bell")
            while not ended.done():
                waiting = tasks.spawn(rung.wait(), name="wait for a ring")
                await asyncio.wait({waiting, ended}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                rung.clear()
                if self._may_work and not ended.done():
                    working = tasks.spawn(self._look(worker), name="look for calls")
                    await asyncio.wait({working, ended}, return_when=asyncio.FIRST_COMPLETED)
                    working.cancel()
                    await asyncio.gather(working, return_exceptions=True)
        finally:
            await worker.aclose()
            await tasks.aclose()
            if bell is not None:
                await bell.aclose()

    async def _look(self, worker: Worker) -> None:
        """Work until nothing is due; a database that is away is waited for."""
        while True:
            try:
                await self._jobs.add_new()
                await worker.run()
            except StoreUnavailable as error:
                log.warning("analysis_waits", reason=error.message)
                await asyncio.sleep(AWAY_S)
            else:
                return

    async def _read_orders(self, rung: asyncio.Event) -> None:
        """``go`` and ``hold``, a line each, from the gateway; its end is this process's."""
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            self._may_work = line.strip() == b"go"
            if self._may_work:
                rung.set()

    async def _ring_on(self, rung: asyncio.Event, bell: Bell | None) -> None:
        while True:
            if bell is None:
                await asyncio.sleep(LOOKS_EVERY_S)
            else:
                await bell.wait(LOOKS_EVERY_S)
            rung.set()

    # -- telling ------------------------------------------------------------------------------

    async def _explain(self, call_id: str) -> int:
        told = await self._jobs.explain(call_id)
        if told is None:
            known = await self._store.get(self._arguments.tenant, call_id)
            if known is None:
                raise PennyError(f"there is no call {call_id}")
            print("never queued: `python -m penny analyse --unprocessed` does it")
            return 0
        job = told["job"]
        wait_s = max(0, job["due_ms"] - round(time.time() * 1000)) // 1000
        again = f", next try in {wait_s} s" if job["state"] == "waiting" else ""
        print(f"{call_id}: {job['state']} {job['reason']}".rstrip() + again)
        for step in self._steps:
            kept = told["steps"].get(step.name)
            if kept is None:
                print(f"  {step.name}: not yet")
            else:
                because = f" ({kept.reason})" if kept.reason else ""
                print(
                    f"  {step.name} v{kept.version}: {kept.state}{because}, "
                    f"{kept.attempts} attempts"
                )
        return 0


def make_also(config: Config, store: CallStore) -> Also:
    """What is written with a finished analysis: events for who is told of calls."""
    telling = RecordTelling(Outbox(store.database, read_endpoints(config, os.environ)))

    async def also(connection: AsyncConnection, call: Call) -> None:
        kept = {name: call.derived.get(name) for name in TOLD}
        await telling.analysed(connection, call.model_copy(update={"derived": kept}))

    return also
