"""Webhooks of a real gateway: a call talks and its receivers hear of it; the routes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from penny.calls.keeper import CallKeeper
from penny.webhooks.secrets import make_secret
from tests.doubles.house import running_penny
from tests.doubles.operator import OPERATOR
from tests.doubles.realtime_client import connected_to
from tests.doubles.webhook_receiver import WebhookReceiver


pytestmark = pytest.mark.engines

Json = dict[str, Any]
SECRET = make_secret()


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)


@asynccontextmanager
async def house(folder: Path, **webhooks: Any) -> AsyncIterator[str]:
    calls = {"folder": str(folder), "url": f"sqlite:///{folder / 'calls.sqlite'}"}
    async with running_penny(calls=calls, webhooks=webhooks) as url:
        yield url


async def ask(url: str, path: str, method: str = "GET", **options: Any) -> tuple[int, Json]:
    async with (
        aiohttp.ClientSession(headers=OPERATOR) as http,
        http.request(method, f"{url}{path}", **options) as answer,
    ):
        return answer.status, await answer.json()


async def until_told(receiver: WebhookReceiver, kind: str) -> list[Json]:
    """What came, once an event of this type has."""
    async with asyncio.timeout(60):
        while kind not in [body["type"] for body in receiver.bodies]:
            await asyncio.sleep(0.05)
    return receiver.bodies


async def test_a_call_is_told_as_it_begins_and_when_it_is_over(tmp_path: Path) -> None:
    async with WebhookReceiver(SECRET) as crm, house(tmp_path, url=crm.url) as url:
        async with connected_to(url) as client:
            session = (await client.until("session.created"))["session"]
            (begun,) = await until_told(crm, "call.started")
            assert begun["data"]["call_id"] == session["id"]
            assert begun["data"]["state"] == "live"
            await client.send(
                "conversation.item.create",
                item={
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "¿Cuándo vence mi factura?"}],
                },
            )
            await client.send("response.create")
            await client.until("response.done")
        told = await until_told(crm, "analysis.completed")
        kinds = [body["type"] for body in sorted(told, key=lambda b: b["data"]["call_sequence"])]
        assert kinds == [
            "call.started", "turn.completed", "call.ended", "recording.ready", "analysis.completed",
        ]  # fmt: skip
        assert len(crm.ids) == len(set(crm.ids)) == 5
        assert {body["data"]["call_id"] for body in told} == {session["id"]}
        turn = next(body["data"] for body in told if body["type"] == "turn.completed")
        assert turn["words"] == "¿Cuándo vence mi factura?"
        assert turn["heard_text"] or turn["missing"]["heard_text"]
        status, page = await ask(url, f"/v1/webhooks/deliveries?call_id={session['id']}")
        assert status == 200
        async with asyncio.timeout(60):
            while {row["state"] for row in page["deliveries"]} != {"delivered"}:
                await asyncio.sleep(0.05)
                _, page = await ask(url, f"/v1/webhooks/deliveries?call_id={session['id']}")
        assert len(page["deliveries"]) == 5


async def test_a_private_call_goes_to_no_host_that_privacy_does_not_name(tmp_path: Path) -> None:
    away = {"url": "https://crm.example/hook", "types": ["call.started"]}
    async with house(tmp_path, endpoints={"away": away}) as url:
        async with connected_to(url) as client:
            await client.until("session.created")
            page: Json = {"deliveries": []}
            async with asyncio.timeout(60):
                while not page["deliveries"]:
                    _, page = await ask(url, "/v1/webhooks/deliveries?endpoint=away")
        assert [row["state"] for row in page["deliveries"]] == ["withheld"]
        _, listed = await ask(url, "/v1/webhooks")
        assert [each["hears_private"] for each in listed["endpoints"]] == [False]


async def test_a_call_that_never_connected_is_told_as_failed(tmp_path: Path) -> None:
    seen: list[CallKeeper] = []
    start = CallKeeper.start

    async def started(keeper: CallKeeper) -> None:
        seen.append(keeper)
        await start(keeper)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CallKeeper, "start", started)
        async with WebhookReceiver(SECRET) as crm, house(tmp_path, url=crm.url) as url:
            header = {
                "id": "call_missed", "tenant": "default", "edge": "phone", "mode": "EXTERNAL",
                "direction": "outbound", "callee": "+34600000000", "attempt": 2,
                "is_last_attempt": False,
            }  # fmt: skip
            seen[0].keep_unconnected(header, "no_answer")
            told = await until_told(crm, "analysis.completed")
            assert [body["type"] for body in told] == ["call.failed", "analysis.completed"]
            data = told[0]["data"]
            assert (data["end_reason"], data["attempt"], data["is_last_attempt"]) == (
                "no_answer", 2, False,
            )  # fmt: skip
            status, call = await ask(url, "/v1/calls/call_missed")
            assert (status, call["status"]) == (200, "failed")


async def test_an_endpoint_is_tried_enabled_and_told_again(tmp_path: Path) -> None:
    async with WebhookReceiver(SECRET) as crm, house(tmp_path, url=crm.url) as url:
        status, body = await ask(
            url, "/v1/webhooks/default/test", "POST", json={"type": "alert.raised"}
        )
        assert (status, body["ok"], body["status"]) == (200, True, 204)
        assert crm.bodies[0]["type"] == "alert.raised"
        _, listed = await ask(url, "/v1/webhooks")
        (row,) = listed["endpoints"]
        assert (row["name"], row["url"], row["secrets"]) == ("default", crm.url, 1)
        assert SECRET not in str(listed)
        path = "/v1/webhooks/default/enable"
        status, body = await ask(url, path, "POST", json={"send_missed": True})
        assert (status, body) == (200, {"enabled": "default", "deliveries": 0})
        status, body = await ask(
            url, "/v1/webhooks/replay", "POST", json={"since": "2020-01-01T00:00:00Z"}
        )
        assert (status, body) == (200, {"deliveries": 0})
    with closing(sqlite3.connect(tmp_path / "calls.sqlite")) as database:
        done = database.execute("SELECT actor, action FROM audit ORDER BY id").fetchall()
    assert [action for _, action in done] == ["webhooks enabled", "webhooks replayed"]
    assert all(actor for actor, _ in done)


@pytest.mark.parametrize(
    ("path", "method", "body", "status", "word"),
    [
        ("/v1/webhooks/other/test", "POST", {}, 404, "no such endpoint"),
        ("/v1/webhooks/default/test", "POST", {"type": "call.begun"}, 400, "type"),
        ("/v1/webhooks/default/enable", "POST", {}, 400, "send_missed"),
        ("/v1/webhooks/replay", "POST", {}, 400, "event_id, or since"),
        ("/v1/webhooks/replay", "POST", [1], 400, "JSON object"),
        ("/v1/webhooks/deliveries?state=gone", "GET", None, 400, "state"),
        ("/v1/webhooks/deliveries?colour=red", "GET", None, 400, "colour"),
    ],
)
async def test_what_is_wrong_is_named(
    tmp_path: Path, path: str, method: str, body: Any, status: int, word: str
) -> None:
    async with house(tmp_path, url="http://127.0.0.1:9/") as url:
        options = {} if body is None else {"json": body}
        answered, told = await ask(url, path, method, **options)
    assert answered == status
    assert word in told["error"]["message"]
