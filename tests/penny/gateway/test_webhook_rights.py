"""Whose webhooks a key sees and moves, and what an operator is told of a fault."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from penny.calls.store import CallStore
from penny.trust.keys import KeyFile
from penny.webhooks import deliverer
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.live import RecordTelling
from penny.webhooks.outbox import Outbox
from penny.webhooks.secrets import make_secret
from tests.doubles.house import running_penny
from tests.doubles.operator import OPERATOR
from tests.doubles.webhook_receiver import WebhookReceiver
from tests.penny.calls.calls import a_call


pytestmark = pytest.mark.engines

Json = dict[str, Any]
SECRET = make_secret()
GENEROUS_S = 60.0
NOWHERE = "http://127.0.0.1:9/hook?token=hidden"
ENDPOINTS: Json = {
    "acme-crm": {"url": NOWHERE, "tenants": ["acme"]},
    "bolt-crm": {"url": NOWHERE, "tenants": ["bolt"]},
    "shared": {"url": NOWHERE},
}


class House:
    """A gateway of two tenants, each with a call that waits to be told."""

    def __init__(self, url: str, keys: KeyFile) -> None:
        self._url = url
        self._keys = {
            tenant: keys.create(tenant, "admin", role="admin")[0] for tenant in ("acme", "bolt")
        }

    async def ask(
        self, path: str, method: str = "GET", tenant: str = "acme", **options: Any
    ) -> tuple[int, Json]:
        headers = {"Authorization": f"Bearer {self._keys[tenant]}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.request(method, f"{self._url}/v1/webhooks{path}", **options) as answer,
        ):
            return answer.status, await answer.json()


async def put_calls(url: str, *tenants: str) -> None:
    """Calls of these tenants, told to the endpoints that serve them."""
    store = CallStore(url)
    told = Outbox(
        store.database,
        {
            name: Endpoint(name, NOWHERE, (SECRET,), tenants=frozenset(each.get("tenants", ())))
            for name, each in ENDPOINTS.items()
        },
    )
    for tenant in tenants:
        call = a_call(0, tenant, modes=["EXTERNAL"])
        await store.put(call, partial(RecordTelling(told).kept, call=call))
    await store.aclose()


@pytest_asyncio.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    file = tmp_path / "keys.sqlite"
    keys = KeyFile(file, time.time)
    keys.create("default", "the first")
    calls = {"folder": str(tmp_path), "url": f"sqlite:///{tmp_path / 'calls.sqlite'}"}
    await put_calls(calls["url"], "acme", "bolt")
    async with running_penny(
        keys={"file": str(file), "required": "always"},
        tenants={"acme": {}, "bolt": {}},
        calls=calls,
        webhooks={"endpoints": ENDPOINTS},
    ) as url:
        yield House(url, keys)


async def test_a_tenants_admin_sees_its_own_endpoints_and_deliveries_alone(house: House) -> None:
    _, listed = await house.ask("")
    shown = {each["name"]: each for each in listed["endpoints"]}
    assert set(shown) == {"acme-crm", "shared"}
    assert shown["acme-crm"]["url"] == "http://127.0.0.1:9/hook"  # what is after ? is left out
    assert shown["shared"]["url"] == "127.0.0.1:9"
    assert (shown["acme-crm"]["waiting"], shown["shared"]["waiting"]) == (4, 4)
    _, page = await house.ask("/deliveries?limit=200")
    assert {row["call_id"] for row in page["deliveries"]} == {"sess_acme_0"}
    assert {row["endpoint"] for row in page["deliveries"]} == {"acme-crm", "shared"}
    _, of_other = await house.ask("/deliveries?call_id=sess_bolt_0")
    assert of_other["deliveries"] == []
    _, theirs = await house.ask("", tenant="bolt")
    assert {each["name"] for each in theirs["endpoints"]} == {"bolt-crm", "shared"}


async def test_a_tenants_admin_moves_nothing_of_others(house: House) -> None:
    enable = {"json": {"send_missed": False}}
    status, told = await house.ask("/shared/enable", "POST", **enable)
    assert (status, told["error"]["code"]) == (403, "endpoint_shared")
    status, told = await house.ask("/bolt-crm/enable", "POST", **enable)
    assert (status, told["error"]["code"]) == (404, "endpoint_not_found")
    status, _ = await house.ask("/bolt-crm/test", "POST", json={})
    assert status == 404
    since = {"since": "2020-01-01T00:00:00Z"}
    status, _ = await house.ask("/replay", "POST", json={**since, "endpoint": "bolt-crm"})
    assert status == 404
    status, told = await house.ask("/acme-crm/enable", "POST", **enable)
    assert (status, told["deliveries"]) == (200, 4)  # given up, and its own alone are replayed
    status, told = await house.ask("/replay", "POST", json=since)
    assert (status, told["deliveries"]) == (200, 4)
    status, told = await house.ask("/replay", "POST", tenant="bolt", json=since)
    assert (status, told["deliveries"]) == (200, 0)


async def test_an_endpoint_that_is_gone_is_told_by_metrics_and_readiness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    monkeypatch.setattr(deliverer, "LOOK_S", 0.2)
    calls = {"folder": str(tmp_path), "url": f"sqlite:///{tmp_path / 'calls.sqlite'}"}
    await put_calls(calls["url"], "default")
    async with WebhookReceiver(SECRET, lambda _request: web.Response(status=410)) as gone:
        endpoints = {"shared": {"url": gone.url, "concurrency": 1}}
        async with (
            running_penny(calls=calls, webhooks={"endpoints": endpoints}) as url,
            aiohttp.ClientSession(headers=OPERATOR) as http,
            asyncio.timeout(GENEROUS_S),
        ):
            while True:
                async with http.get(f"{url}/metrics") as answer:
                    figures = await answer.text()
                if 'penny_webhook_disabled{endpoint="shared"} 1.0' in figures:
                    break
                await asyncio.sleep(0.1)
            assert 'penny_webhook_attempts_total{endpoint="shared",outcome="410"}' in figures
            assert 'penny_webhook_waiting{endpoint="shared"} 4.0' in figures
            async with http.get(f"{url}/readyz") as answer:
                told = await answer.json()
            assert "webhooks are disabled: shared" in told["degraded"]
