"""A found list as a file: the same rows in every format, nothing that a spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from arro3.io import read_parquet

from penny.calls.export import COLUMNS, Format, export
from penny.calls.query import CallQuery
from penny.calls.store import CallStore
from tests.penny.calls.calls import a_call


pytestmark = pytest.mark.process

EVIL = '=HYPERLINK("http://x")'


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CallStore]:
    store = CallStore(f"sqlite:///{tmp_path / 'calls.sqlite'}")
    for number in range(620):  # more than a page
        call = a_call(number, caller=EVIL if number == 0 else f"+34{number}")
        call.metrics["topics"] = ["billing", "other"] if number == 1 else None
        await store.put(call)
    yield store
    await store.aclose()


async def written(store: CallStore, form: Format) -> bytes:
    query, zone = CallQuery(order="oldest"), ZoneInfo("Europe/Madrid")
    return b"".join([piece async for piece in export(store, None, query, form, zone)])


async def test_csv_is_safe_and_in_the_tenants_time(store: CallStore) -> None:
    rows = list(csv.DictReader(io.StringIO((await written(store, "csv")).decode())))
    assert len(rows) == 620
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["caller"] == f"'{EVIL}"
    assert rows[0]["started_at"] == "2026-11-30T13:00:00.000+01:00"
    assert rows[1]["topics"] == "billing, other"


async def test_a_sheet_holds_texts_and_no_formula(store: CallStore) -> None:
    with zipfile.ZipFile(io.BytesIO(await written(store, "xlsx"))) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert sheet.count("<row ") == 621
    assert "<f>" not in sheet
    assert "HYPERLINK" in sheet


async def test_parquet_has_typed_columns(store: CallStore, tmp_path: Path) -> None:
    path = tmp_path / "calls.parquet"
    path.write_bytes(await written(store, "parquet"))
    table = read_parquet(path).read_all()
    assert table.num_rows == 620
    assert tuple(table.column_names) == COLUMNS
    assert table["duration_ms"].to_pylist() == [30_000] * 620
    assert table["caller"][0].as_py() == EVIL
    assert set(table["held"].to_pylist()) == {False}


async def test_json_lines_are_whole_records(store: CallStore) -> None:
    lines = (await written(store, "jsonl")).splitlines()
    assert len(lines) == 620
    assert json.loads(lines[5])["turns"][0]["words"] == "¿Cuándo vence mi factura?"
