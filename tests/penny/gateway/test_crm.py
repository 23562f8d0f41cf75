"""A real gateway with a CRM: a caller is known, a screen pops up, a note is left."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from yarl import URL

from penny.crm.desk import CrmDesk
from tests.doubles.caller import calling
from tests.doubles.house import running_penny
from tests.doubles.operator import OPERATOR
from tests.doubles.twenty_server import KEY, TwentyServer


pytestmark = pytest.mark.engines

Json = dict[str, Any]
ANA = "+34612345678"
SECRET = "a secret of this test"


@asynccontextmanager
async def house(folder: Path, twenty: TwentyServer, **crm: Any) -> AsyncIterator[str]:
    calls = {"folder": str(folder), "url": f"sqlite:///{folder / 'calls.sqlite'}"}
    section = {"kind": "twenty", "url": twenty.url, "wait_ms": 300, **crm}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWENTY_CRM_API_KEY", KEY)
        patch.setenv("CRM_SECRET", SECRET)
        async with running_penny(calls=calls, crm=section) as url:
            yield url


async def send_raw(url: str, headers: dict[str, str], body: bytes) -> int:
    """The status of a POST whose headers have bytes that no client lets through."""
    at = URL(url)
    reader, writer = await asyncio.open_connection(at.host, at.port)
    lines = ["POST /v1/crm/house/events HTTP/1.1", f"Host: {at.host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    writer.write("\r\n".join(lines).encode("utf-8", "surrogateescape") + body)
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status


async def read_pop(url: str, ready: asyncio.Event) -> Json:
    """The first screen that pops up."""
    async with (
        aiohttp.ClientSession(headers=OPERATOR) as http,
        http.get(f"{url}/v1/screen-pops") as answer,
    ):
        assert answer.status == 200
        ready.set()
        async for line in answer.content:
            if line.startswith(b"data: "):
                told: Json = orjson.loads(line.removeprefix(b"data: "))
                return told
    raise AssertionError("the stream ended")


async def test_a_caller_is_known_and_a_note_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CrmDesk, "wait_s", 60.0)  # a slow machine is no slow CRM
    async with TwentyServer() as twenty, house(tmp_path, twenty) as url:
        ana = twenty.add(
            "Ana", "612 345 678", company=("20202020-1c25-4d02-bf25-6aeccf7ea419", "X")
        )
        ready = asyncio.Event()
        popping = asyncio.ensure_future(read_pop(url, ready))
        async with asyncio.timeout(60):
            await ready.wait()
        async with calling(url) as caller:
            await caller.send("session_start", context={"caller": ANA})
            session_id = (await caller.until("session_started"))["session_id"]
            async with asyncio.timeout(60):
                pop = await popping
            assert pop["call_id"] == session_id
            assert pop["contact"]["people"] == [{"id": ana, "name": "Ana", "company": "X"}]
            await caller.send("session_end")
            await caller.closed()
        async with asyncio.timeout(60):
            while not twenty.made["noteTarget"]:
                await asyncio.sleep(0.05)
        (target,) = twenty.made["noteTarget"].values()
        assert target["targetPersonId"] == ana
        (note,) = twenty.made["note"].values()
        assert session_id in note["bodyV2"]["markdown"]
        assert twenty.refused == []
        async with aiohttp.ClientSession(headers=OPERATOR) as http:
            async with http.get(f"{url}/v1/calls/{session_id}") as answer:
                assert (await answer.json())["contact"]["status"] == "found"
            async with http.get(f"{url}/v1/webhooks") as answer:
                (receiver,) = (await answer.json())["endpoints"]
                assert (receiver["name"], receiver["hears_private"]) == ("crm:house", True)
            async with http.post(f"{url}/v1/webhooks/crm:house/test", json={}) as answer:
                assert (await answer.json())["ok"]


async def test_the_crms_own_webhooks_are_verified_on_what_was_sent(tmp_path: Path) -> None:
    async with (
        TwentyServer() as twenty,
        house(tmp_path, twenty, webhook_secret="CRM_SECRET") as url,
        aiohttp.ClientSession() as http,
    ):

        async def tell(body: bytes, at_ms: int, secret: str = SECRET) -> int:
            signed = hmac.new(secret.encode(), f"{at_ms}:".encode() + body, hashlib.sha256)
            headers = {
                "X-Twenty-Webhook-Timestamp": str(at_ms),
                "X-Twenty-Webhook-Signature": signed.hexdigest(),
            }
            async with http.post(f"{url}/v1/crm/house/events", data=body, headers=headers) as done:
                return done.status

        now_ms = round(time.time() * 1000)
        event = b'{ "eventName":"person.updated","record":{"id":"x"} }'
        assert await tell(event, now_ms) == 204
        assert await tell(event, now_ms) == 204
        assert await tell(b'{"eventName":"rocket.launched","record":{}}', now_ms) == 204
        assert await tell(event, now_ms, "another secret") == 401
        assert await tell(event, now_ms - 600_000) == 401
        many = [tell(event + b" " * n, now_ms) for n in range(100)]
        assert set(await asyncio.gather(*many)) == {204}
        async with http.post(f"{url}/v1/crm/other/events", data=event) as answer:
            assert answer.status == 404
        for stamp, signature in (("9" * 6000, "x"), (str(now_ms), "\udcff"), ("\udcff", "")):
            headers = {
                "X-Twenty-Webhook-Timestamp": stamp,
                "X-Twenty-Webhook-Signature": signature,
            }
            assert await send_raw(url, headers, event) == 401
