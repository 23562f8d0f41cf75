"""Upgrades with live calls, of filled stores, killed in the middle; and back again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event

from penny.calls.migrations import migrate
from penny.calls.query import CallQuery
from penny.calls.store import CallStore
from tests.doubles.caller import Caller, calling
from tests.doubles.processes import PennyProcess, free_port, gateway_process, worker_process
from tests.penny.calls.calls import a_call


pytestmark = pytest.mark.process

Json = dict[str, Any]

CALLS = 20
FILLED = 2000
RELEASED = ("0001",)
"""Revisions of the store with which a Penny was released."""


async def test_a_rolling_upgrade_under_twenty_live_calls_loses_none(tmp_path: Path) -> None:
    port = free_port()
    sections: dict[str, Json] = {
        "gateway": {"reuse_port": True, "drain_s": 300.0},
        "calls": {
            "folder": str(tmp_path / "calls"),
            "url": f"sqlite:///{tmp_path / 'calls.sqlite'}",
        },
    }
    async with AsyncExitStack() as stack:
        worker = await stack.enter_async_context(worker_process(tmp_path))

        async def start(name: str) -> PennyProcess:
            gateway = gateway_process(tmp_path, worker.port, name=name, port=port, **sections)
            return await stack.enter_async_context(gateway)

        async def call() -> Caller:
            caller = await stack.enter_async_context(calling(f"http://127.0.0.1:{port}"))
            await caller.send("session_start")
            await caller.until("session_started")
            return caller

        async def speak(caller: Caller) -> None:
            await caller.send("text_input", text="hola")
            assert (await caller.until("response_done"))["status"] == "completed"

        async def end(caller: Caller) -> None:
            await caller.send("session_end")
            assert (await caller.until("session_ended"))["reason"] == "client_ended"

        old = await start("old")
        live = [await call() for _ in range(CALLS)]
        await asyncio.gather(*map(speak, live))
        await start("new")
        old.signal(signal.SIGTERM)
        await old.logged("another_gateway_took_over")
        late = [await call() for _ in range(3)]  # while the old one drains
        await asyncio.gather(*map(speak, [*live, *late]))
        await asyncio.gather(*map(end, [*live, *late]))
        assert await old.wait() == 0
        store = CallStore(sections["calls"]["url"])
        async with asyncio.timeout(120):
            while len(found := (await store.find(None, CallQuery(limit=100)))[0]) < CALLS + 3:
                await asyncio.sleep(0.1)
        await store.aclose()
    assert {(row["status"], row["turns"]) for row in found[:3]} == {("completed", 1)}
    assert sorted(row["turns"] for row in found) == [1, 1, 1, *([2] * CALLS)]


def fill(path: Path, revision: str) -> None:
    """A store as a released Penny left it: calls of every status, with words and without."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrate(connection, revision)
    engine.dispose()
    with closing(sqlite3.connect(path)) as db:
        for number in range(FILLED):
            call = a_call(number % 500, id=f"sess_{number}", turns=[])
            words = "cuando vence mi factura" if number % 3 else ""
            db.execute(
                "INSERT INTO calls (id, tenant, started_ms, ended_ms, duration_ms, mode, edge,"
                " direction, caller, status, end_reason, language, turns, interruptions, processed,"
                " alert, sound_state, held, deleted_ms, record, folded)"
                " VALUES (?, 'default', ?, ?, 1000, 'SELF_HOSTED', 'socket', 'inbound', '', ?, '',"
                " 'es', 1, 0, 0, 0, 'absent', 0, ?, ?, ?)",
                (
                    *(call.id, number, number + 1),
                    ("completed", "interrupted", "failed")[number % 3],
                    number if number % 100 == 99 else None,
                    *(call.model_dump_json(), words),
                ),
            )
            raw = json.dumps({"number": 1, "from_ms": 0, "until_ms": 1, "finished_ms": 2})
            db.execute("INSERT INTO turns VALUES (?, 0, ?, '{}')", (call.id, raw))
            if words:
                db.execute("INSERT INTO call_text VALUES (?, ?)", (call.id, words))
        db.commit()


def upgrade_and_die(path: Path, statement: int) -> None:
    """In a process of its own: upgrade, and be killed before that statement; 0 outlives it."""
    count = 0

    def watch(*_: object) -> None:
        nonlocal count
        count += 1
        if count == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    async def start() -> None:
        store = CallStore(f"sqlite:///{path}")
        engine = store.database._engine.sync_engine
        event.listen(engine, "before_cursor_execute", watch)
        await store.start()
        await store.aclose()
        path.with_suffix(".count").write_text(str(count))

    asyncio.run(start())


async def upgraded(path: Path, statement: int) -> int:
    """How the process ended."""
    code = (
        "import sys; from pathlib import Path; from tests.faults.test_upgrades import *;"
        "upgrade_and_die(Path(sys.argv[1]), int(sys.argv[2]))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(path), str(statement)
    )
    return await process.wait()


@pytest.mark.parametrize("revision", RELEASED)
async def test_a_filled_store_of_a_released_version_is_upgraded_though_it_is_killed_in_the_middle(
    revision: str, tmp_path: Path
) -> None:
    filled, tried = tmp_path / "filled.sqlite", tmp_path / "tried.sqlite"
    fill(filled, revision)
    tried.write_bytes(filled.read_bytes())
    assert await upgraded(tried, 0) == 0
    statements = int(tried.with_suffix(".count").read_text())
    assert statements > 20
    # In the first step, in the middle of the longest, and before the last statement.
    for moment in (4, statements // 2, statements - 1):
        for each in tmp_path.glob("tried.*"):
            each.unlink()
        tried.write_bytes(filled.read_bytes())
        assert await upgraded(tried, moment) == -signal.SIGKILL
    store = CallStore(f"sqlite:///{tried}")  # the last one that was killed, once more
    found = await store.count_found(None, CallQuery())
    said = await store.count_found(None, CallQuery(text="factura"))
    call = await store.get(None, "sess_7")
    await store.put(a_call(9999))
    await store.aclose()
    deleted = [number for number in range(FILLED) if number % 100 == 99]
    assert found == FILLED - len(deleted)
    assert said == sum(bool(n % 3) for n in range(FILLED) if n % 100 != 99)
    assert call is not None
    assert len(call.turns) == 1


async def test_a_gateway_one_version_back_reads_and_writes_a_newer_ones_store(
    tmp_path: Path,
) -> None:
    path = tmp_path / "calls.sqlite"
    store = CallStore(f"sqlite:///{path}")
    await store.put(a_call(1))
    await store.aclose()
    with closing(sqlite3.connect(path)) as db:  # as the next version's step leaves it
        db.execute("ALTER TABLE calls ADD COLUMN tone VARCHAR(16) NOT NULL DEFAULT ''")
        db.execute("CREATE TABLE moods (id VARCHAR(64) PRIMARY KEY)")
        db.execute("UPDATE alembic_version SET version_num = '9999'")
        db.commit()
    store = CallStore(f"sqlite:///{path}")
    assert await store.put(a_call(2))
    found, _ = await store.find(None, CallQuery(text="factura"))
    await store.aclose()
    assert len(found) == 2
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)
