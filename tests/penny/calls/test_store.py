"""The store of calls, the same on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, Table, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from penny.calls import migrations
from penny.calls.database import StoreUnavailable
from penny.calls.query import CallQuery
from penny.calls.rows import fold, row_of
from penny.calls.store import CallStore
from penny.calls.tables import metadata
from penny.errors import ProtocolError
from tests.penny.calls.calls import BEGAN, a_call, a_turn


pytestmark = pytest.mark.process


@pytest.fixture
async def store(url: str) -> AsyncIterator[CallStore]:
    store = CallStore(url)
    await store.start()
    yield store
    await store.aclose()


@pytest.fixture
def tenant() -> str:
    """A tenant of this test's own: the PostgreSQL database is shared."""
    return f"t{uuid4().hex[:12]}"


async def test_the_steps_lead_to_the_tables_that_are_used(url: str) -> None:
    store = CallStore(url)
    await store.start()
    await store.aclose()
    driver = "postgresql+asyncpg" if url.startswith("postgresql") else "sqlite+aiosqlite"
    engine = create_async_engine(make_url(url).set(drivername=driver))
    async with engine.connect() as connection:
        differs = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), metadata)
        )
    await engine.dispose()
    of_words = ("call_text", "calls_said", "said_words")  # each database's own index of words
    assert [each for each in differs if not any(name in str(each) for name in of_words)] == []


async def test_what_the_version_before_kept_is_found_by_its_words(tmp_path: Path) -> None:
    path, row = tmp_path / "calls.sqlite", row_of(a_call(turns=[a_turn("¿Y la avería?")]))
    with create_engine(f"sqlite:///{path}").begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        old = Table("calls", MetaData(), autoload_with=connection)
        written = {name: value for name, value in row.items() if name in old.c}
        written |= {name: json.dumps(row[name]) for name in ("record", "topics")}
        connection.execute(old.insert(), written)
        index = "INSERT INTO call_text (call_id, folded) VALUES (:id, :folded)"
        connection.execute(text(index), row)
    store = CallStore(f"sqlite:///{path}")
    assert await ids(store, "default", text="averia") == [row["id"]]
    assert await ids(store, "default", text="factura") == []
    await store.put(a_call(1, turns=[a_turn("otra avería")]))
    assert len(await ids(store, "default", text="avería")) == 2
    await store.delete("default", [row["id"]], 1)
    await store.purge([row["id"]])
    assert await ids(store, "default", text="avería") == ["sess_default_1"]
    await store.aclose()


async def ids(store: CallStore, tenant: str | None, **filters: object) -> list[str]:
    found, _ = await store.find(tenant, CallQuery.model_validate(filters))
    return [row["id"] for row in found]


async def test_a_call_is_there_once_however_often_it_is_brought(
    store: CallStore, tenant: str
) -> None:
    call = a_call(tenant=tenant)
    await store.put(call)
    await store.put(call.model_copy(update={"end_reason": "another"}))
    assert await ids(store, tenant) == [call.id]
    kept = await store.get(tenant, call.id)
    assert kept is not None
    assert kept == call


async def test_pages_follow_each_other_without_a_gap_or_a_double(
    store: CallStore, tenant: str
) -> None:
    for number in range(7):
        await store.put(a_call(number, tenant))
    for order in ("newest", "oldest"):
        seen: list[str] = []
        cursor = None
        while True:
            query = CallQuery.model_validate({"limit": 3, "cursor": cursor, "order": order})
            found, cursor = await store.find(tenant, query)
            seen += [row["id"] for row in found]
            if cursor is None:
                break
        wanted = [f"sess_{tenant}_{number}" for number in range(7)]
        assert seen == (wanted if order == "oldest" else wanted[::-1])


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"text": "CUANDO factúra"}, [1, 0]),
        ({"text": "enero"}, [1]),
        ({"text": 'enero " OR *'}, []),
        ({"since": BEGAN + timedelta(seconds=30)}, [2, 1]),
        ({"until": BEGAN + timedelta(seconds=30)}, [0]),
        ({"caller": "+34600000002"}, [2]),
        ({"mode": "EXTERNAL"}, [2]),
        ({"topic": "billing"}, [1]),
        ({"topic": "facturación"}, [1]),
        ({"topic": "technical%"}, []),
        ({"until": "9999-12-31"}, [2, 1, 0]),
        ({"min_s": 40}, [2]),
        ({"max_s": 40, "processed": False}, [1, 0]),
        ({"outcome": "resolved"}, []),
    ],
)
async def test_each_filter_finds_what_it_says(
    store: CallStore, tenant: str, filters: dict[str, object], found: list[int]
) -> None:
    await store.put(a_call(0, tenant))
    second = a_call(1, tenant, turns=[a_turn(heard="El quince de Enero.")])
    second.metrics["topics"] = ["billing", "technical_support", "facturación"]
    await store.put(second)
    third = {"modes": ["SELF_HOSTED", "EXTERNAL"], "caller": "+34600000002"}
    ended = BEGAN + timedelta(minutes=3)
    await store.put(a_call(2, tenant, turns=[a_turn("hola")], ended_at=ended, **third))
    assert await ids(store, tenant, **filters) == [f"sess_{tenant}_{each}" for each in found]


async def test_what_is_longer_than_its_column_is_kept_whole_in_the_record(
    store: CallStore, tenant: str
) -> None:
    call = a_call(tenant=tenant, language="es-abcdefgh-abcdefgh", end_reason="x" * 80)
    assert await store.put(call)
    kept = await store.get(tenant, call.id)
    assert kept is not None
    assert (kept.language, kept.end_reason) == (call.language, call.end_reason)
    found, _ = await store.find(tenant, CallQuery(id=call.id))
    assert found[0]["language"] == "es-abcdefgh-abcd"


async def test_a_tenant_never_finds_anothers_calls(store: CallStore, tenant: str) -> None:
    call = a_call(tenant=tenant)
    await store.put(call)
    assert await ids(store, "somebody-else") == []
    assert await store.get("somebody-else", call.id) is None
    assert await store.delete("somebody-else", [call.id], 1) == []
    assert await store.set_held("somebody-else", call.id, held=True) is False
    assert await ids(store, None, id=call.id) == [call.id]


async def test_what_is_deleted_is_found_no_more_and_purged_of_all_that_was_said(
    store: CallStore, tenant: str
) -> None:
    kept, gone = a_call(0, tenant, held=True), a_call(1, tenant)
    for call in (kept, gone):
        await store.put(call)
    assert await store.delete(tenant, [kept.id, gone.id], 5) == [gone.id]
    await store.purge([kept.id, gone.id])
    assert await ids(store, tenant) == [kept.id]
    assert await ids(store, tenant, text="factura") == [kept.id]
    assert await store.get(tenant, gone.id) is None
    still = await store.get(tenant, kept.id)
    assert still is not None
    assert still.turns == kept.turns


async def test_legs_are_one_call_whichever_is_looked_at(store: CallStore, tenant: str) -> None:
    first, second, third, alone = (f"sess_{tenant}_{number}" for number in range(4))
    await store.put(a_call(0, tenant))
    await store.put(a_call(1, tenant, parent=first))
    await store.put(a_call(2, tenant))
    await store.put(a_call(3, tenant))
    await store.set_links(tenant, third, {"parent": second, "pbx_recording": "1732980000.42"})
    tree = {first: [second, third], second: [first, third], third: [first, second], alone: []}
    for call_id, others in tree.items():
        call = await store.get(tenant, call_id)
        assert call is not None
        assert [row["id"] for row in await store.legs(tenant, call)] == others
    leg = await store.get(tenant, third)
    assert leg is not None
    assert (leg.parent, leg.pbx_recording) == (second, "1732980000.42")
    assert await ids(store, tenant, parent=first) == [second]
    assert await store.legs(f"{tenant}x", leg) == []
    await store.set_links(tenant, first, {"parent": third})  # a circle ends too
    assert [row["id"] for row in await store.legs(tenant, leg)] == [first, second]


async def test_only_what_ended_long_ago_and_is_free_has_expired(
    store: CallStore, tenant: str
) -> None:
    old, held = a_call(0, tenant), a_call(1, tenant, held=True)
    young = a_call(600, tenant)
    for call in (old, held, young):
        await store.put(call)
    before_ms = round((BEGAN + timedelta(hours=5)).timestamp() * 1000)
    assert await store.expired(tenant, before_ms) == [old.id]


async def test_a_cursor_of_anothers_making_is_refused(store: CallStore) -> None:
    with pytest.raises(ProtocolError, match="cursor"):
        await store.find("default", CallQuery(cursor="bm9wZQ=="))


async def test_a_database_that_is_away_is_told_as_such_without_its_words() -> None:
    store = CallStore("postgresql://penny:secret@127.0.0.1:1/calls")
    with pytest.raises(StoreUnavailable) as told:
        await store.start()
    assert "secret" not in str(told.value)
    await store.aclose()


def test_text_is_folded_the_same_for_both() -> None:
    assert fold("¿Cuándo VENCE la póliza nº 12-B?") == "cuando vence la poliza no 12 b"


@pytest.mark.parametrize("rare", [0, 4000])
async def test_common_and_rare_words_are_found_alike(
    store: CallStore, tenant: str, monkeypatch: pytest.MonkeyPatch, rare: int
) -> None:
    monkeypatch.setattr("penny.calls.store.RARE", rare)
    for number in range(6):
        said = "una avería de la línea" if number % 2 else "la factura"
        await store.put(a_call(number, tenant, caller=f"+3460{number}", turns=[a_turn(said)]))
    odd = [f"sess_{tenant}_{number}" for number in (5, 3, 1)]
    assert await ids(store, tenant, text="línea averia") == odd
    assert await ids(store, tenant, text="avería", caller="+34603") == odd[1:2]
    assert await ids(store, tenant, text="avería factura") == []
    first, cursor = await store.find(tenant, CallQuery(text="avería", limit=2))
    assert [row["id"] for row in first] == odd[:2]
    assert await ids(store, tenant, text="avería", limit=2, cursor=cursor) == odd[2:]
    assert await store.count_found(tenant, CallQuery(text="avería")) == 3
