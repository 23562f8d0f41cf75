"""Copies of a store: of both databases, under load, of an older Penny's, into an empty one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from penny.calls.migrations import migrate
from penny.calls.query import CallQuery
from penny.calls.store import CallStore
from penny.calls.store_copy import copy_store, put_back
from penny.errors import PennyError
from tests.penny.calls.calls import a_call


pytestmark = pytest.mark.process

LOAD = 40


async def emptied(url: str) -> None:
    """Away with everything in it, tables too."""
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).unlink(missing_ok=True)
        return
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
    await engine.dispose()


async def test_a_copy_taken_while_calls_are_kept_is_one_moment_and_can_be_put_back(
    url: str, tmp_path: Path
) -> None:
    await emptied(url)
    store = CallStore(url)
    for number in range(LOAD // 2):
        await store.put(a_call(number, sound={"state": "stored", "path": f"{number}.flac"}))
    await store.note("default", "test", "read", "sess_default_0", 1)

    async def go_on() -> None:
        for number in range(LOAD // 2, LOAD):
            await store.put(a_call(number))

    going = asyncio.create_task(go_on())
    folder = tmp_path / "copy"
    folder.mkdir()
    copy, sounds = await copy_store(url, folder)
    await going
    await store.aclose()
    assert LOAD // 2 <= copy.calls <= LOAD
    assert sounds == {f"sess_default_{n}": f"{n}.flac" for n in range(LOAD // 2)}

    with pytest.raises(PennyError, match=r"not empty \(.*calls"):
        await put_back(url, copy, folder)
    await emptied(url)
    await put_back(url, copy, folder)
    store = CallStore(url)
    query = CallQuery(text="factura", limit=500)
    found, _ = await store.find(None, query)
    assert len(found) == copy.calls
    for row in found:  # whole: no call without its turns
        call = await store.get(None, row["id"])
        assert call is not None
        assert len(call.turns) == 1
    await store.put(a_call(99))
    await store.note("default", "test", "read", "sess_default_99", 2)  # its number is not taken
    await store.aclose()
    await emptied(url)


async def test_a_store_of_the_first_version_is_put_back_and_brought_up_by_itself(
    url: str, tmp_path: Path
) -> None:
    await emptied(url)
    await fill_first_version(url, 3)
    folder = tmp_path / "copy"
    folder.mkdir()
    copy, _ = await copy_store(url, folder)
    assert (copy.revision, copy.calls) == ("0001", 3)
    await emptied(url)
    store = CallStore(url)  # a gateway was started there once: tables, and nothing in them
    await store.start()
    await store.aclose()
    await put_back(url, copy, folder)
    store = CallStore(url)
    found, _ = await store.find(None, CallQuery(text="factura"))
    assert len(found) == 3
    await store.aclose()
    await emptied(url)


async def test_a_copy_of_the_other_database_is_refused(tmp_path: Path) -> None:
    copy, sounds = await copy_store(f"sqlite:///{tmp_path / 'none.sqlite'}", tmp_path)
    assert (copy.calls, sounds) == (0, {})
    with pytest.raises(PennyError, match="name a database of sqlite"):
        await put_back("postgresql://penny@nowhere.invalid/penny", copy, tmp_path)


async def fill_first_version(url: str, count: int) -> None:
    """A store as Penny 0.1 left it, with so many calls."""
    name = "postgresql+asyncpg" if url.startswith("postgresql") else "sqlite+aiosqlite"
    engine = create_async_engine(f"{name}{url[url.index(':') :]}")
    async with engine.begin() as connection:
        await connection.run_sync(lambda each: migrate(each, "0001"))
        is_postgres = connection.dialect.name == "postgresql"
        for number in range(count):
            await connection.execute(
                text(
                    "INSERT INTO calls (id, tenant, started_ms, ended_ms, duration_ms, mode, edge,"
                    " direction, caller, status, end_reason, language, turns, interruptions,"
                    " processed, alert, sound_state, held, record, folded) VALUES (:id, 'default',"
                    " :at, :at, 1000, 'SELF_HOSTED', 'socket', 'inbound', '+34910000001',"
                    " 'completed', 'client_ended', 'es', 1, 0, false, false, 'absent', false,"
                    " :record, 'cuando vence mi factura')"
                ),
                {"id": f"sess_{number}", "at": 1_790_000_000_000 + number, "record": RECORD},
            )
            if not is_postgres:
                await connection.execute(
                    text("INSERT INTO call_text VALUES (:id, 'cuando vence mi factura')"),
                    {"id": f"sess_{number}"},
                )
    await engine.dispose()


RECORD = (
    '{"id": "sess", "tenant": "default", "edge": "socket", "modes": ["SELF_HOSTED"],'
    ' "started_at": "2026-11-30T12:00:00Z", "ended_at": "2026-11-30T12:00:01Z"}'
)
