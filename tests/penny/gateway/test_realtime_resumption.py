"""A Realtime client that asked to be held comes back over another connection and missed nothing."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from tests.doubles.caller import calling
from tests.doubles.engines import FixedLlm
from tests.doubles.held_client import Held
from tests.doubles.house import make_engines, running_penny


pytestmark = pytest.mark.engines

Json = dict[str, Any]

ANSWER = "Su factura vence el quince de enero. Son mil quinientos euros. Hasta pronto."


@pytest.mark.parametrize("missed", [0, 1, 5])
async def test_a_connection_lost_in_an_answer_costs_neither_an_event_nor_a_sample(
    missed: int,
) -> None:
    async with (
        running_penny(make_engines(llm=FixedLlm(ANSWER))) as url,
        aiohttp.ClientSession() as http,
    ):
        whole = Held(http, url)
        await whole.start()
        await whole.ask()
        await whole.until("response.done")

        client = Held(http, url)
        await client.start()
        assert client.within_ms == 30_000
        await client.ask()
        for _ in range(3):
            await client.until("response.output_audio.delta")
        if missed:  # the client never saw its last messages
            del client.events[-missed:]
            client.received -= missed
        client.vanish()
        told = await client.resume()
        assert told["type"] == "penny.session.resumed"
        assert told["received"] == client.sent
        assert told["replayed"] >= missed
        await client.until("response.done")

    assert client.audio() == whole.audio()
    kinds = [[event["type"] for event in each.events] for each in (client, whole)]
    assert kinds[0] == kinds[1]
    ids = [event["event_id"] for event in client.events]
    assert len(ids) == len(set(ids))


async def test_what_happens_while_the_client_is_away_waits_for_it() -> None:
    async with running_penny() as url, aiohttp.ClientSession() as http:
        client = Held(http, url)
        await client.start()
        await client.ask()
        await client.until("response.created")
        client.vanish()
        assert (await client.resume())["received"] == 2
        done = await client.until("response.done")
        assert done["response"]["status"] == "completed"
        await client.ask("¿y ahora?")
        await client.until("response.done")


async def test_a_browser_shows_the_token_as_a_subprotocol() -> None:
    async with running_penny() as url, aiohttp.ClientSession() as http:
        client = Held(http, url)
        await client.start()
        client.vanish()
        told = await client.resume(protocols=["realtime", f"penny-resume.{client.token}"])
        assert told["type"] == "penny.session.resumed"
        assert client._socket.protocol == "realtime"


async def test_a_half_open_connection_is_replaced_at_once() -> None:
    async with running_penny() as url, aiohttp.ClientSession() as http:
        client = Held(http, url)
        await client.start()
        old = client._socket
        await client.resume()
        message = await old.receive(timeout=10)
        assert message.type is not aiohttp.WSMsgType.TEXT
        await client.ask()
        await client.until("response.done")


async def test_who_did_not_ask_to_be_held_hears_nothing_of_it_and_is_not_held() -> None:
    async with (
        running_penny() as url,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}/v1/realtime?penny_events=1") as socket,
    ):
        created = await socket.receive_json()
        assert created["type"] == "session.created"
        await socket.send_json({"type": "session.update", "session": {"type": "realtime"}})
        assert (await socket.receive_json())["type"] == "session.updated"


async def test_a_token_opens_nothing_else_and_nothing_once_the_session_is_over() -> None:
    async with running_penny() as url, AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        client = Held(http, url)
        await client.start()

        caller = await stack.enter_async_context(calling(url))  # the other door
        await caller.send("session_resume", resume_token=client.token, received=1)
        assert (await caller.until("error"))["code"] == "resume_failed"

        ahead = Held(http, url)
        ahead.token, ahead.received = client.token, 10_000
        assert (await ahead.resume())["error"]["code"] == "resume_failed"
        assert await ahead.closed() == 1008

        await client._socket.close()
        late = Held(http, url)
        late.token, late.received = client.token, client.received
        async with asyncio.timeout(10):
            while (await late.resume()).get("error", {}).get("code") != "resume_failed":
                await asyncio.sleep(0.05)


async def test_a_client_that_stays_away_ends_its_session() -> None:
    async with running_penny(resume={"hold_s": 0.2}) as url, aiohttp.ClientSession() as http:
        client = Held(http, url)
        await client.start()
        client.vanish()
        async with asyncio.timeout(10):
            while await _sessions(http, url):
                await asyncio.sleep(0.05)
        assert (await client.resume())["error"]["code"] == "resume_failed"


async def _sessions(http: aiohttp.ClientSession, url: str) -> int:
    async with http.get(f"{url}/admin/v1/sessions") as answer:
        return len((await answer.json())["sessions"])


async def test_more_missed_than_is_kept_is_refused_and_no_hole_is_left() -> None:
    async with (
        running_penny(
            make_engines(llm=FixedLlm(ANSWER)), resume={"max_audio_bytes": 20_000}
        ) as url,
        aiohttp.ClientSession() as http,
    ):
        client = Held(http, url)
        await client.start()
        first = client.received
        await client.ask()
        await client.until("response.done")
        client.received = first
        client.vanish()
        assert (await client.resume())["error"]["code"] == "resume_failed"


@pytest.mark.parametrize("received", ["", "-1", "x", "1e3", "٣"])
async def test_a_resume_without_a_count_is_told_what_to_add(received: str) -> None:
    async with running_penny() as url, aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(
                f"{url}/v1/realtime?received={received}", headers={"Penny-Resume": "resume_x"}
            )
        assert refused.value.status == 400
