"""Keys, origins, tenants and limits at every door of a real gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from config.schema import Config
from penny.errors import ConfigError
from penny.gateway.app import Gateway
from penny.trust.keys import KeyFile
from tests.doubles.caller import Caller, calling
from tests.doubles.house import running_penny
from tests.doubles.operator import OPERATOR


pytestmark = pytest.mark.engines

Json = dict[str, Any]


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.sqlite", time.time)


@asynccontextmanager
async def guarded(tmp_path: Path, **sections: Json) -> AsyncIterator[str]:
    """A gateway that asks for keys although it is on loopback."""
    settings = {"file": str(tmp_path / "keys.sqlite"), "required": "always"}
    async with running_penny(keys=settings, **sections) as url:
        yield url


async def refused_with(caller: Caller, **start: object) -> tuple[Json, int | None]:
    await caller.send("session_start", **start)
    error = await caller.until("error")
    return error, await caller.closed()


async def test_listening_to_others_without_a_key_is_refused_with_the_remedy(
    tmp_path: Path,
) -> None:
    gateway = Gateway(Config.model_validate({"keys": {"file": str(tmp_path / "k.sqlite")}}))
    try:
        with pytest.raises(ConfigError) as refused:
            await gateway.start("0.0.0.0", 0)
    finally:
        await gateway.stop(drain_s=0)
    assert "0.0.0.0 is open to others" in refused.value.message
    assert "python -m penny keys create" in refused.value.message


async def test_a_caller_without_a_key_is_told_to_bring_one(tmp_path: Path, keys: KeyFile) -> None:
    value, _ = keys.create("default", "web")
    async with guarded(tmp_path) as url:
        async with calling(url) as caller:
            error = await caller.until("error")
            assert error["code"] == "unauthorized"
            assert await caller.closed() == 4401
        async with calling(url, key="penny_wrong") as caller:
            assert "unknown or was revoked" in (await caller.until("error"))["message"]
        async with calling(url, key=value) as caller:
            await caller.send("session_start")
            await caller.until("session_started")


async def test_a_browser_shows_its_key_as_a_subprotocol(tmp_path: Path, keys: KeyFile) -> None:
    value, _ = keys.create("default", "web")
    async with guarded(tmp_path) as url, aiohttp.ClientSession() as http:
        protocols = ("penny", f"penny-key.{value}")
        async with http.ws_connect(f"{url}/ws", protocols=protocols) as socket:
            assert socket.protocol == "penny"
            await socket.send_json({"type": "session_start"})
            assert (await socket.receive_json())["type"] == "session_started"


async def test_a_revoked_key_opens_nothing_more(tmp_path: Path, keys: KeyFile) -> None:
    value, key = keys.create("default", "web")
    async with guarded(tmp_path) as url, aiohttp.ClientSession() as http:
        headers = {"Authorization": f"Bearer {value}"}
        async with http.post(f"{url}/v1/realtime/client_secrets", headers=headers) as minted:
            secret = (await minted.json())["value"]
        keys.revoke(key.id)
        async with http.post(f"{url}/v1/realtime/client_secrets", headers=headers) as refused:
            assert refused.status == 401
            assert (await refused.json())["error"]["code"] == "invalid_api_key"
        async with http.get(f"{url}/v1/realtime?api_key={secret}") as refused:
            assert refused.status == 401


async def test_a_client_secret_opens_one_session_and_mints_no_other(
    tmp_path: Path, keys: KeyFile
) -> None:
    value, _ = keys.create("default", "web")
    async with guarded(tmp_path) as url, aiohttp.ClientSession() as http:
        mint = f"{url}/v1/realtime/client_secrets"
        headers = {"Authorization": f"Bearer {value}"}
        body = {"single_use": True, "session": {"type": "realtime", "instructions": "Di hola."}}
        async with http.post(mint, json=body, headers=headers) as minted:
            secret = {"Authorization": f"Bearer {(await minted.json())['value']}"}
        async with http.ws_connect(f"{url}/v1/realtime", headers=secret) as socket:
            created = await socket.receive_json()
            assert created["session"]["instructions"] == "Di hola."
        async with http.get(f"{url}/v1/realtime", headers=secret) as refused:
            assert refused.status == 401
        async with http.post(mint, json=body, headers=headers) as minted:
            secret = {"Authorization": f"Bearer {(await minted.json())['value']}"}
        async with http.post(mint, json=body, headers=secret) as refused:
            assert refused.status == 403


async def test_a_valid_client_secret_is_proof_enough_for_a_page_of_any_origin(
    tmp_path: Path, keys: KeyFile
) -> None:
    value, _ = keys.create("default", "web")
    async with guarded(tmp_path) as url, aiohttp.ClientSession() as http:
        mint, page = f"{url}/v1/realtime/client_secrets", {"Origin": "https://shop.example"}
        async with http.post(mint, headers={"Authorization": f"Bearer {value}"}) as minted:
            secret = (await minted.json())["value"]
        for shown, status in ((value, 403), ("ek_no", 401)):
            async with http.get(f"{url}/v1/realtime?api_key={shown}", headers=page) as refused:
                assert refused.status == status
        protocols = ("realtime", f"openai-insecure-api-key.{secret}")
        async with http.ws_connect(
            f"{url}/v1/realtime", headers=page, protocols=protocols
        ) as socket:
            assert (await socket.receive_json())["type"] == "session.created"


async def test_a_moved_key_file_ends_no_live_call_and_admits_no_new_one(
    tmp_path: Path, keys: KeyFile
) -> None:
    value, _ = keys.create("default", "web")
    async with (
        guarded(tmp_path, redis={"lease_s": 3.0}) as url,
        aiohttp.ClientSession() as http,
        calling(url, key=value) as caller,
    ):
        secret = await mint_once(http, url, value)
        await caller.send("session_start")
        await caller.until("session_started")
        (tmp_path / "keys.sqlite").rename(tmp_path / "away.sqlite")
        with capture_logs() as logs:
            async with asyncio.timeout(60):
                # Each renewal of its place asks whether the key lives.
                while [each["event"] for each in logs].count("keys_unreadable") < 2:
                    await asyncio.sleep(0.05)
        await caller.send("ping", nonce="still here")
        await caller.until("pong", nonce="still here")
        for shown in (value, secret):
            async with calling(url, key=shown) as late:
                await late.send("session_start")
                assert (await late.until("error"))["code"] == "unauthorized"


async def mint_once(http: aiohttp.ClientSession, url: str, key: str, **wish: Any) -> str:
    """A single-use client secret."""
    headers = {"Authorization": f"Bearer {key}"}
    body = {"single_use": True, **wish}
    async with http.post(f"{url}/v1/realtime/client_secrets", json=body, headers=headers) as minted:
        return str((await minted.json())["value"])


async def test_a_refusal_leaves_a_single_use_secret_as_it_was(
    tmp_path: Path, keys: KeyFile
) -> None:
    value, _ = keys.create("default", "web")
    async with guarded(tmp_path, gateway={"max_sessions": 1}) as url, AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        secret = await mint_once(http, url, value)
        async with calling(url, key=value) as first:
            await first.send("session_start")
            await first.until("session_started")
            headers = {"Authorization": f"Bearer {secret}"}
            with pytest.raises(aiohttp.WSServerHandshakeError) as full:
                await http.ws_connect(f"{url}/v1/realtime", headers=headers)
            assert full.value.status == 503
            async with calling(url, key=secret) as caller:
                await caller.send("session_start", mode="FAST")
                assert (await caller.until("error"))["code"] == "mode_unknown"
            async with calling(url, key=secret) as caller:
                await caller.send("session_start")
                assert (await caller.until("error"))["code"] == "session_refused"
            await first.send("session_end")
            await first.closed()
        async with calling(url, key=secret) as caller:
            await caller.send("session_start")
            await caller.until("session_started")
        async with calling(url, key=secret) as caller:
            await caller.send("session_start")
            assert (await caller.until("error"))["code"] == "unauthorized"
            assert await caller.closed() == 4401


async def test_a_used_up_secret_resumes_the_session_it_opened_and_nothing_else(
    tmp_path: Path, keys: KeyFile
) -> None:
    value, _ = keys.create("default", "web")
    async with guarded(tmp_path) as url, AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        secret, other = [await mint_once(http, url, value) for _ in range(2)]
        first = await stack.enter_async_context(calling(url, key=secret))
        await first.send("session_start")
        token = (await first.until("session_started"))["resume_token"]
        first.vanish()
        for wrong in ("ek_nobody", "", "penny_nobody"):
            async with calling(url, key=wrong) as thief:
                await thief.send("session_resume", resume_token=token, received=1)
                assert (await thief.until("error"))["code"] in ("unauthorized", "resume_failed")
        second = await stack.enter_async_context(calling(url, key=secret))
        await second.send("session_resume", resume_token=token, received=1)
        await second.until("session_resumed")
        await second.send("ping", nonce="here")
        await second.until("pong", nonce="here")
        # The same browser, its server having given it a fresh secret of the same key.
        third = await stack.enter_async_context(calling(url, key=other))
        await third.send("session_resume", resume_token=token, received=1)
        await third.until("session_resumed")


@pytest.mark.parametrize("path", ["/ws", "/v1/realtime", "/admin/v1/sessions"])
async def test_pages_of_other_origins_are_refused_at_every_door(path: str) -> None:
    gateway = {"allowed_origins": ["https://app.example"]}
    headers = OPERATOR if path.startswith("/admin") else {}
    async with (
        running_penny(gateway=gateway) as url,
        aiohttp.ClientSession(headers=headers) as http,
    ):
        for origin, refused in (
            ("https://evil.example", True),
            ("null", True),
            ("https://app.example", False),
            (url, False),
        ):
            async with http.get(f"{url}{path}", headers={"Origin": origin}) as answer:
                assert (answer.status == 403) is refused, origin


async def test_a_foreign_name_that_leads_to_loopback_is_refused() -> None:
    async with running_penny() as url, aiohttp.ClientSession() as http:
        port = url.rsplit(":", 1)[1]
        rebound = {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"}
        async with http.get(f"{url}/ws", headers=rebound) as answer:
            assert answer.status == 403
            assert (await answer.json())["error"]["code"] == "origin_refused"


async def test_a_tenant_gets_its_own_modes_voices_and_prompt(tmp_path: Path, keys: KeyFile) -> None:
    value, _ = keys.create("acme", "web")
    tenant = {"modes": ["EXTERNAL"], "voices": ["alloy"], "own_instructions": False}
    async with (
        guarded(tmp_path, tenants={"acme": tenant}) as url,
        calling(url, key=value) as caller,
    ):
        error, code = await refused_with(caller)
        assert (error["code"], code) == ("mode_unknown", 4400)
    tenant["modes"] = []
    async with guarded(tmp_path, tenants={"acme": tenant}) as url:
        for portavoz, field in (
            ({"voice": "ash"}, "portavoz.voice"),
            ({"initial_system_prompt": "Soy otro."}, "portavoz.initial_system_prompt"),
        ):
            async with calling(url, key=value) as caller:
                error, code = await refused_with(caller, portavoz=portavoz)
                assert (error["code"], error["field"], code) == ("not_allowed", field, 4400)
        headers = {"Authorization": f"Bearer {value}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.ws_connect(f"{url}/v1/realtime") as socket,
        ):
            await socket.receive_json()
            update = {"type": "realtime", "instructions": "Soy otro."}
            await socket.send_json({"type": "session.update", "event_id": "e1", "session": update})
            error = (await socket.receive_json())["error"]
            assert (error["code"], error["event_id"]) == ("not_allowed", "e1")
            assert error["param"] == "session.instructions"


async def test_limits_are_named_with_when_to_come_back(tmp_path: Path, keys: KeyFile) -> None:
    value, _ = keys.create("acme", "web")
    other, _ = keys.create("other", "web")
    tenants = {"acme": {"limits": {"max_sessions": 1, "sessions_per_minute": 2}}}
    async with guarded(tmp_path, tenants=tenants) as url, aiohttp.ClientSession() as http:
        async with calling(url, key=value) as first:
            await first.send("session_start")
            await first.until("session_started")
            async with calling(url, key=value) as second:
                error, code = await refused_with(second)
                assert (error["code"], code) == ("too_many_sessions", 4429)
                assert error["retry_after_ms"] == 5000
            headers = {"Authorization": f"Bearer {value}"}
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(f"{url}/v1/realtime", headers=headers)
            assert refused.value.headers is not None
            assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "5")
            async with calling(url, key=other) as third:
                await third.send("session_start")
                await third.until("session_started")
            await first.send("session_end")
            await first.closed()
        async with calling(url, key=value) as second:
            await second.send("session_start")
            await second.until("session_started")
            await second.send("session_end")
            await second.closed()
        async with calling(url, key=value) as late:
            error, code = await refused_with(late)
            assert (error["code"], code) == ("too_many_new_sessions", 4429)
            assert 0 < error["retry_after_ms"] <= 30_000
        async with http.get(f"{url}/metrics") as metrics:
            text = await metrics.text()
        assert 'penny_sessions_limited_total{limit="max_sessions"} 2.0' in text
        assert 'penny_sessions_limited_total{limit="sessions_per_minute"} 1.0' in text


async def test_too_many_messages_are_refused_one_by_one_and_the_session_goes_on() -> None:
    async with running_penny(limits={"messages_per_s": 1}) as url, calling(url) as caller:
        await caller.send("session_start")
        await caller.until("session_started")
        for number in range(12):
            await caller.send("ping", nonce=str(number))
        error = await caller.until("error")
        assert error["code"] == "rate_limited"
        assert error["retry_after_ms"] > 0
        await caller.socket.send_bytes(bytes(960))
        await caller.send("session_end")
        assert [e["nonce"] for e in caller.events if e["type"] == "pong"] == [
            str(number) for number in range(10)
        ]


async def test_a_tenants_session_is_as_short_as_its_limit() -> None:
    limits = {"session_max_s": 0.5}
    async with running_penny(limits=limits) as url, calling(url) as caller:
        await caller.send("session_start")
        started = await caller.until("session_started")
        assert started["max_duration_ms"] == 500
        assert (await caller.until("session_ended"))["reason"] == "time_limit"


async def test_a_plain_get_on_a_websocket_address_opens_no_speaker() -> None:
    async with running_penny() as url, aiohttp.ClientSession() as http:
        async with http.get(f"{url}/v1/realtime") as refused:
            assert refused.status == 426
            assert "connect with a WebSocket" in (await refused.json())["error"]["message"]
        async with http.get(f"{url}/ws") as refused:
            assert refused.status == 426
        async with http.get(f"{url}/metrics") as metrics:
            assert "penny_sessions_started_total{" not in await metrics.text()
