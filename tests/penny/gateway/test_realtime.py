"""The Realtime door over real sockets: who may come in, as what, and how each is let go."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest
from openai.types.realtime import ClientSecretCreateResponse

from penny.gateway import realtime
from runpod_worker.settings import WorkerSettings
from tests.doubles.engines import FixedLlm
from tests.doubles.house import make_engines, running_penny
from tests.doubles.realtime_client import RealtimeClient, connected_to


pytestmark = pytest.mark.engines

Json = dict[str, Any]


async def mint(url: str, body: Json, status: int = 200) -> Json:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/v1/realtime/client_secrets", json=body) as answer,
    ):
        assert answer.status == status, await answer.text()
        return dict(await answer.json())


async def refused(url: str, query: str, headers: dict[str, str] | None = None) -> tuple[Json, Any]:
    """The error of an upgrade that is answered with an HTTP status; with its headers."""
    async with aiohttp.ClientSession() as http:
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            **(headers or {}),
        }
        async with http.get(f"{url}/v1/realtime?{query}", headers=upgrade) as answer:
            body = (await answer.json())["error"]
            return {**body, "status": answer.status}, answer.headers


@pytest.mark.parametrize("model", ["penny", "penny-self-hosted", "gpt-realtime-2.1"])
async def test_the_first_event_is_the_effective_session_with_the_model_asked_for(
    model: str,
) -> None:
    async with running_penny() as url, connected_to(url, f"model={model}") as client:
        created = await client.until("session.created")
        assert client.kinds() == ["session.created"]
        session = created["session"]
        assert session["model"] == model
        assert session["instructions"].startswith("Eres Penny")
        assert session["type"] == "realtime"
        assert session["id"].startswith("sess_")
        assert session["expires_at"] == pytest.approx(time.time() + 3600, abs=30)
        assert session["audio"]["output"]["voice"] == "tone"
        assert not [key for key in session if key.startswith("penny")]
        updated = await client.configure(instructions="Responde en verso.", model=model)
        assert updated["instructions"] == "Responde en verso."
        assert updated["model"] == model
        assert updated["id"] == session["id"]
        assert updated["expires_at"] == session["expires_at"]


@pytest.mark.parametrize("asks", ["", "&penny_events=1"])
async def test_another_model_is_left_out_and_the_rest_of_its_update_holds(asks: str) -> None:
    async with running_penny() as url, connected_to(url, f"model=penny{asks}") as client:
        session = await client.configure(model="gpt-realtime-2.1", instructions="En verso.")
        assert (session["model"], session["instructions"]) == ("penny", "En verso.")
        warned = [e for e in client.events if e["type"] == "penny.warning"]
        fields = [(e["code"], e["field"]) for e in warned]
        assert fields == ([("field_ignored", "session.model")] if asks else [])
        assert "error" not in client.kinds()


async def test_the_first_update_names_a_session_whose_address_named_none() -> None:
    async with running_penny() as url, connected_to(url, "") as client:
        assert (await client.until("session.created"))["session"]["model"] == "penny"
        for asked, shown in (
            ("penny-external", "penny"),  # what answers here is private
            ("gpt-realtime-2.1", "gpt-realtime-2.1"),
            ("gpt-realtime", "gpt-realtime-2.1"),
        ):
            assert (await client.configure(model=asked))["model"] == shown


async def test_a_model_that_is_no_name_is_refused() -> None:
    async with running_penny() as url, connected_to(url) as client:
        await client.send("session.update", session={"type": "realtime", "model": ["x"]})
        error = await client.the_error()
        assert (error["code"], error["param"]) == ("invalid_type", "session.model")


async def test_a_mode_that_cannot_talk_is_refused_before_the_upgrade(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with running_penny() as url:
        error, _ = await refused(url, "model=penny-external")
    assert error["status"] == 503
    assert error["code"] == "mode_unavailable"
    assert "OPENAI_API_KEY is not set" in error["message"]


async def test_a_full_gateway_says_when_to_come_back() -> None:
    async with (
        running_penny(gateway={"max_sessions": 1}) as url,
        connected_to(url) as client,
    ):
        await client.until("session.created")
        error, headers = await refused(url, "model=penny")
        assert (error["status"], error["code"]) == (503, "session_refused")
        assert int(headers["Retry-After"]) > 0


async def test_a_page_visit_opens_no_speaker() -> None:
    async with running_penny() as url, aiohttp.ClientSession() as http:
        async with http.get(f"{url}/v1/realtime?model=penny") as answer:
            assert answer.status == 426
            assert (await answer.json())["error"]["code"] == "upgrade_required"
        async with http.get(f"{url}/v1/modes") as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/models"), ("POST", "/v1/realtime/sessions"), ("POST", "/v1/modes")],
)
async def test_an_address_that_leads_nowhere_is_answered_in_the_apis_shape(
    method: str, path: str
) -> None:
    async with (
        running_penny() as url,
        aiohttp.ClientSession() as http,
        http.request(method, f"{url}{path}") as answer,
    ):
        assert answer.status == 404
        error = (await answer.json())["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "unknown_url")
    assert error["message"] == f"Invalid URL ({method} {path})"


async def test_an_address_with_a_slash_too_many_leads_on_with_its_method_body_and_query() -> None:
    body = {"session": {"type": "realtime", "model": "gpt-realtime"}}
    async with running_penny() as url, aiohttp.ClientSession() as http:
        address = f"{url}/v1//realtime/client_secrets?a=b//c"
        async with http.post(address, json=body, allow_redirects=False) as told:
            assert told.status == 308
            assert told.headers["Location"] == "/v1/realtime/client_secrets?a=b//c"
        async with http.post(address, json=body) as told:
            assert (await told.json())["session"]["model"] == "gpt-realtime"


# -- keys -------------------------------------------------------------------------------------


async def test_a_client_secret_is_shown_three_ways_and_brings_its_session() -> None:
    bound = {
        "type": "realtime",
        "model": "penny-self-hosted",
        "instructions": "Solo hablas de facturas.",
        "audio": {"output": {"voice": "otra"}},
    }
    async with running_penny() as url:
        for way in ("bearer", "subprotocol", "query"):
            secret = await mint(url, {"session": bound})
            ClientSecretCreateResponse.model_validate(secret, strict=True)
            key = secret["value"]
            assert key.startswith("ek_")
            assert secret["session"]["instructions"] == bound["instructions"]
            assert secret["expires_at"] == pytest.approx(time.time() + 600, abs=30)
            query, options = "model=penny", {}
            if way == "bearer":
                options["headers"] = {"Authorization": f"Bearer {key}"}
            elif way == "subprotocol":
                options["protocols"] = ("realtime", f"openai-insecure-api-key.{key}")  # type: ignore[assignment]
            else:
                query += f"&api_key={key}"
            async with connected_to(url, query, **options) as client:
                session = (await client.until("session.created"))["session"]
                assert session["instructions"] == "Solo hablas de facturas."
                assert session["audio"]["output"]["voice"] == "otra"
                assert session["model"] == "penny-self-hosted"
                if way == "subprotocol":
                    assert client.socket.protocol == "realtime"


async def test_an_unknown_client_secret_opens_nothing() -> None:
    async with running_penny() as url:
        error, _ = await refused(url, "model=penny", {"Authorization": "Bearer ek_no"})
        assert (error["status"], error["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"expires_after": {"anchor": "created_at", "seconds": 9}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "created_at", "seconds": 7201}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "created_at", "seconds": "60"}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "now", "seconds": 60}}, "expires_after.anchor"),
        ({"expires_after": 60}, "expires_after"),
        ({"session": []}, "session"),
        ({"session": {"type": "translation"}}, "session.type"),
        ({"session": {"type": "realtime", "model": 3}}, "session.model"),
        (
            {"session": {"type": "realtime", "audio": {"output": {"speed": 9}}}},
            "session.audio.output.speed",
        ),
    ],
)
async def test_whoever_mints_hears_what_is_wrong(body: Json, param: str) -> None:
    async with running_penny() as url:
        error = (await mint(url, body, status=400))["error"]
    assert error["param"] == param
    assert error["message"]
    assert error["type"] == "invalid_request_error"


async def test_any_other_key_and_none_are_let_in_as_the_gateway_stands() -> None:
    async with running_penny() as url:
        for headers in ({}, {"Authorization": "Bearer cualquiera"}):
            async with connected_to(url, headers=headers) as client:
                await client.until("session.created")


# -- ends -------------------------------------------------------------------------------------


async def test_the_time_limit_is_announced_and_closes_as_the_real_one_does() -> None:
    async with running_penny(gateway={"session_max_s": 0.5}) as url, connected_to(url) as client:
        session = (await client.until("session.created"))["session"]
        assert isinstance(session["expires_at"], int)
        assert session["expires_at"] <= time.time() + 1
        error = await client.the_error()
        assert error["code"] == "session_expired"
        assert await client.closed() == 1001


async def test_a_workers_own_time_limit_is_told_once() -> None:
    async with (
        running_penny(settings=WorkerSettings(session_max_s=1)) as url,
        connected_to(url) as client,
    ):
        session = (await client.until("session.created"))["session"]
        assert session["expires_at"] <= time.time() + 2
        assert await client.closed() == 1001
        errors = [event["error"]["code"] for event in client.events if event["type"] == "error"]
        assert errors == ["session_expired"]


async def test_a_draining_gateway_tells_its_clients_and_admits_nobody() -> None:
    async with aiohttp.ClientSession() as http:
        penny = running_penny()
        url = await penny.__aenter__()
        socket = await http.ws_connect(f"{url.replace('http', 'ws')}/v1/realtime")
        client = RealtimeClient(socket)
        await client.until("session.created")
        leaving = asyncio.create_task(penny.__aexit__(None, None, None))
        await asyncio.sleep(0)  # the drain begins
        error, headers = await refused(url, "model=penny")
        assert (error["status"], error["message"]) == (
            503,
            "Penny is shutting down; try again in a moment",
        )
        assert headers["Retry-After"]
        assert (await client.the_error())["code"] == "server_shutting_down"
        assert await client.closed() == 1001
        await leaving


async def test_a_client_that_stops_reading_is_let_go_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from penny.edges.realtime import edge

    monkeypatch.setattr(edge, "OUTBOUND_BYTES", 50_000)
    llm = FixedLlm("palabra " * 4000, gap_s=0.0)
    before = asyncio.all_tasks()
    async with running_penny(make_engines(llm=llm)) as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        lines = (
            "GET /v1/realtime HTTP/1.1",
            f"Host: {host}:{port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        )
        writer.write("\r\n".join((*lines, "", "")).encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        ask = b'{"type":"response.create"}'
        writer.write(b"\x81" + bytes([0x80 | len(ask)]) + bytes(4) + ask)
        await writer.drain()
        async with asyncio.timeout(60), aiohttp.ClientSession() as http:
            while True:
                async with http.get(f"{url}/metrics") as metrics:
                    if 'reason="client_does_not_read"' in await metrics.text():
                        break
                await asyncio.sleep(0.05)
        writer.transport.abort()
    assert asyncio.all_tasks() == before


async def test_a_lost_speaker_is_named_before_the_close() -> None:
    from config.schema import Config
    from penny.gateway.app import Gateway
    from tests.doubles.house import running_worker

    async with aiohttp.ClientSession() as http:
        async with running_worker(make_engines()) as endpoint:
            sections = {
                "penny": {"modes": {"SELF_HOSTED": {"endpoint": endpoint}}},
                "worker": {"replace_timeout_s": 0.5},
            }
            gateway = Gateway(Config.model_validate(sections))
            await gateway.start("127.0.0.1", 0)
            socket = await http.ws_connect(f"ws://127.0.0.1:{gateway.port}/v1/realtime")
            client = RealtimeClient(socket)
            await client.until("session.created")
        assert (await client.the_error())["code"] == "speaker_lost"
        assert await client.closed() == 1011
        await gateway.stop(drain_s=1.0)


def test_every_model_name_of_ours_is_a_mode() -> None:
    assert set(realtime.MODEL_MODES.values()) == {"SELF_HOSTED", "EXTERNAL"}
