"""The dashboard's routes at a real gateway: whose figures, by which filters, as JSON and CSV."""

from __future__ import annotations

import asyncio
import csv
import io
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from jsonschema import Draft202012Validator

from penny.calls.store import CallStore
from penny.figures.dashboard import TABLES
from tests.doubles.house import running_penny
from tests.doubles.operator import OPERATOR
from tests.penny.calls.calls import a_call
from tests.penny.gateway.test_openapi import answer_of


pytestmark = pytest.mark.engines

Json = dict[str, Any]
DAYS = "since=2026-11-30&until=2026-11-30"


async def test_figures_as_json_and_csv_and_who_may_see_them(tmp_path: Path) -> None:
    section = {"folder": str(tmp_path), "url": f"sqlite:///{tmp_path / 'calls.sqlite'}"}
    async with running_penny(calls=section) as url, aiohttp.ClientSession() as http:
        store = CallStore(section["url"])
        for number, tenant in enumerate(("default", "default", "otra")):
            topics, alerts = ["=1+1"], [{"kind": "frustration"}]
            call = a_call(number, tenant, derived={"alerts": alerts})
            call.metrics |= {"topics": topics}
            await store.put(call)
        await store.aclose()

        async def ask(path: str) -> tuple[int, Any]:
            async with http.get(f"{url}{path}", headers=OPERATOR) as answer:
                is_json = answer.content_type == "application/json"
                return answer.status, await (answer.json() if is_json else answer.text())

        status, found = await ask(f"/metrics/dashboard?{DAYS}")
        assert status == 200
        Draft202012Validator(answer_of("/metrics/dashboard")).validate(found)
        assert found["figures"][0]["value"] == 3
        async with asyncio.timeout(60):
            while found["is_counting"]:  # nothing of an earlier version is left
                await asyncio.sleep(0.1)
                _, found = await ask("/metrics/dashboard")
        _, found = await ask(f"/metrics/dashboard?{DAYS}&tenant=otra")
        assert found["figures"][0]["value"] == 1
        _, found = await ask(f"/metrics/dashboard?{DAYS}&edge=phone")
        assert found["figures"][0]["value"] == 0
        for table in TABLES:
            status, text = await ask(f"/metrics/dashboard/{table}?{DAYS}")
            assert status == 200, table
            if table == "topics":
                (row,) = csv.DictReader(io.StringIO(text))
                assert (row["label"], row["n"], row["figure"]) == ("'=1+1", "3", "topic:=1+1")
        status, alerted = await ask("/metrics/alerts")
        Draft202012Validator(answer_of("/metrics/alerts")).validate(alerted)
        assert len(alerted["calls"]) == 3
        _, alerted = await ask("/metrics/alerts?tenant=otra")
        assert [each["tenant"] for each in alerted["calls"]] == ["otra"]
        for path, field in (
            ("/metrics/dashboard/secrets", "table"),
            ("/metrics/dashboard?since=soon", "since"),
            ("/metrics/dashboard?since=2026-11-30&until=2026-11-01", "since"),
            ("/metrics/dashboard?from=2026-11-30", "from"),
        ):
            status, refusal = await ask(path)
            assert (status, refusal["error"]["param"]) == (400, field)
        for path in ("/metrics/dashboard", "/metrics/dashboard/topics", "/metrics/alerts"):
            async with http.get(f"{url}{path}") as answer:
                assert answer.status in (401, 403), path
