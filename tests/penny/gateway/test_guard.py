"""The table of rights, asked at every route by every role: default deny, each tenant its own."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from config.schema import Config
from penny.gateway.app import Gateway
from penny.gateway.guard import OPEN, OWN, ROUTES, UNKNOWN_PATH, make_guard
from penny.trust.keys import KeyFile
from penny.trust.rights import ROLES
from tests.doubles.caller import calling
from tests.doubles.house import running_penny
from tests.doubles.operator import OPERATOR


pytestmark = pytest.mark.engines

Json = dict[str, Any]

TENANTS: Json = {"acme": {}, "bolt": {}}
GUARDED = {route: right for route, right in ROUTES.items() if right not in (OPEN, OWN)}
NOT_FORBIDDEN = (200, 400, 404, 503)  # 503: the documents are still being opened
"""A right that is there lets a request through; what it asks for may be missing."""


class House:
    """A gateway that asks for keys, and a key of each role and tenant."""

    def __init__(self, url: str, keys: KeyFile) -> None:
        self.url = url
        self.keys = keys
        self._made: dict[tuple[str, str], str] = {}

    def key(self, role: str, tenant: str = "acme") -> str:
        if (role, tenant) not in self._made:
            self._made[role, tenant] = self.keys.create(tenant, role, role=role)[0]
        return self._made[role, tenant]

    def headers(self, role: str, tenant: str = "acme") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key(role, tenant)}"}


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    file = tmp_path / "keys.sqlite"
    keys = KeyFile(file, time.time)
    keys.create("default", "the first")
    asks = {"file": str(file), "required": "always"}
    calls = {"folder": str(tmp_path), "url": f"sqlite:///{tmp_path / 'calls.sqlite'}"}
    async with running_penny(keys=asks, tenants=TENANTS, calls=calls) as url:
        yield House(url, keys)


def path_of(route: str) -> tuple[str, str]:
    method, path = route.split(" ", 1)
    return method, re.sub(r"\{\w+\}", "sess_of_nobody", path)


@pytest.mark.parametrize("role", [*ROLES, "none", "stranger", "of_a_later_version"])
async def test_every_guarded_route_opens_to_its_right_alone(house: House, role: str) -> None:
    held = ROLES.get(role, frozenset())
    headers = {} if role == "none" else {"Authorization": "Bearer penny_stranger"}
    if role not in ("none", "stranger"):
        headers = house.headers(role, "default" if role == "house" else "acme")
    async with aiohttp.ClientSession(headers=headers) as http:
        for route, right in GUARDED.items():
            method, path = path_of(route)
            async with http.request(method, f"{house.url}{path}") as answer:
                told = (route, role, answer.status)
                if role in ("none", "stranger"):
                    assert answer.status == 401, told
                elif right in held:
                    assert answer.status in NOT_FORBIDDEN, told
                else:
                    assert answer.status == 403, told
                    assert (await answer.json())["error"]["code"] == "forbidden"


@pytest.mark.parametrize("role", [*ROLES, "of_a_later_version"])
async def test_the_doors_and_the_mint_ask_for_their_rights(house: House, role: str) -> None:
    held, headers = ROLES.get(role, frozenset()), house.headers(role)
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.get(f"{house.url}/v1/realtime") as answer:
            # 426: it may talk, and did not ask for a WebSocket.
            assert answer.status == (426 if "sessions:open" in held else 403)
        async with http.post(f"{house.url}/v1/realtime/client_secrets") as answer:
            assert answer.status == (200 if "secrets:mint" in held else 403)
    async with calling(house.url, key=house.key(role)) as caller:
        if "sessions:open" in held:
            await caller.send("session_start")
            await caller.until("session_started")
        else:
            assert (await caller.until("error"))["code"] == "forbidden"
            assert await caller.closed() == 4401


async def test_one_tenants_sessions_are_nobodys_but_its_own_and_the_houses(house: House) -> None:
    async with calling(house.url, key=house.key("caller", "bolt")) as caller:
        await caller.send("session_start")
        session_id = (await caller.until("session_started"))["session_id"]
        for role, tenant, sees in (
            ("admin", "acme", False),
            ("supervisor", "acme", False),
            ("operator", "bolt", True),
            ("admin", "bolt", True),
            ("house", "default", True),
        ):
            async with aiohttp.ClientSession(headers=house.headers(role, tenant)) as http:
                async with http.get(f"{house.url}/admin/v1/sessions") as answer:
                    listed = [one["session_id"] for one in (await answer.json())["sessions"]]
                assert listed == ([session_id] if sees else []), (role, tenant)
                if not sees:
                    at = f"{house.url}/admin/v1/sessions/{session_id}"
                    async with http.get(f"{at}/events") as answer:
                        assert answer.status == 404
                    async with http.post(f"{at}/hang-up") as answer:
                        assert answer.status == 404
        await caller.send("ping", nonce="alive")
        await caller.until("pong", nonce="alive")
        async with (
            aiohttp.ClientSession(headers=house.headers("operator", "bolt")) as http,
            http.post(f"{house.url}/admin/v1/sessions/{session_id}/hang-up") as answer,
        ):
            assert answer.status == 202
        assert (await caller.until("session_ended"))["reason"] == "operator"


async def test_a_key_may_have_single_rights_and_a_tenant_bounds_them_all(tmp_path: Path) -> None:
    file = tmp_path / "keys.sqlite"
    keys = KeyFile(file, time.time)
    more, _ = keys.create("acme", "list", more=("sessions:read",))
    bounded, _ = keys.create("bolt", "all", role="admin")
    sections = {"acme": {}, "bolt": {"rights": ["sessions:open"]}}
    asks = {"file": str(file), "required": "always"}
    async with running_penny(keys=asks, tenants=sections) as url, aiohttp.ClientSession() as http:
        for key, status in ((more, 200), (bounded, 403)):
            headers = {"Authorization": f"Bearer {key}"}
            async with http.get(f"{url}/admin/v1/sessions", headers=headers) as answer:
                assert answer.status == status


async def test_every_route_of_a_gateway_stands_in_the_table_and_another_is_shut() -> None:
    gateway = Gateway(Config())
    try:
        await gateway.start("127.0.0.1", 0)
        assert gateway.runner is not None
        assert gateway.trust is not None
        for route in gateway.runner.app.router.routes():
            path = route.resource.canonical if route.resource is not None else ""
            if route.method != "HEAD" and path != UNKNOWN_PATH:
                assert f"{route.method} {path}" in ROUTES
        app = web.Application(middlewares=[make_guard(gateway.trust.gate)])
        app.router.add_get("/v1/new", _forgotten)
        async with (
            TestServer(app) as server,
            aiohttp.ClientSession(headers=OPERATOR) as http,
            http.get(server.make_url("/v1/new")) as answer,
        ):
            assert answer.status == 403
    finally:
        await gateway.stop(drain_s=0)


async def _forgotten(_request: web.Request) -> web.Response:
    return web.Response(text="open")


async def test_a_page_signs_in_once_and_sends_its_token_with_what_it_changes(house: House) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        sign_in = f"{house.url}/v1/sign-in"
        async with http.post(sign_in, json={"key": "penny_wrong"}) as answer:
            assert answer.status == 401
            assert not answer.cookies
        async with http.post(sign_in, json={"key": house.key("operator")}) as answer:
            assert answer.status == 200
            cookie = answer.cookies["penny_page"]
            told = await answer.json()
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
        assert told["tenant"] == "acme"
        async with http.get(f"{house.url}/admin/v1/sessions") as answer:
            assert answer.status == 200
        hang_up = f"{house.url}/admin/v1/sessions/sess_x/hang-up"
        mint = f"{house.url}/v1/realtime/client_secrets"
        for token, statuses in (
            ("", (403, 403)),
            ("wrong", (403, 403)),
            (told["csrf"], (404, 200)),
        ):
            for path, status in zip((hang_up, mint), statuses, strict=True):
                async with http.post(path, headers={"X-Penny-CSRF": token}) as answer:
                    assert answer.status == status
        async with http.get(sign_in) as answer:
            assert (await answer.json())["csrf"] == told["csrf"]
        foreign = {"Origin": "https://elsewhere.example", "X-Penny-CSRF": told["csrf"]}
        async with http.post(mint, headers=foreign) as answer:
            assert answer.status == 403
        async with http.ws_connect(f"{house.url}/ws") as socket:
            await socket.send_json({"type": "session_start"})
            assert (await socket.receive_json())["type"] == "session_started"
        async with http.delete(sign_in) as answer:
            assert answer.status == 403
        async with http.delete(sign_in, headers={"X-Penny-CSRF": told["csrf"]}) as answer:
            assert answer.status == 200
        jar.update_cookies({"penny_page": cookie.value})
        async with http.get(f"{house.url}/admin/v1/sessions") as answer:
            assert answer.status == 401


async def test_a_page_of_any_origin_is_lent_no_persons_cookie(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.sqlite", time.time)
    value, _ = keys.create("default", "web", role="house")
    asks = {"file": str(tmp_path / "keys.sqlite"), "required": "always"}
    async with running_penny(keys=asks, gateway={"allowed_origins": ["*"]}) as url:
        sign_in = f"{url}/v1/sign-in"
        async with aiohttp.ClientSession() as http, http.post(sign_in, json={"key": value}) as told:
            cookie = {"Cookie": f"penny_page={told.cookies['penny_page'].value}"}
        async with aiohttp.ClientSession(headers=cookie) as http:
            for origin, status in ((url, 200), ("https://evil.example", 401)):
                headers = {"Origin": origin}
                async with http.get(f"{url}/admin/v1/sessions", headers=headers) as answer:
                    assert answer.status == status
            async with http.ws_connect(f"{url}/ws", origin="https://evil.example") as socket:
                assert (await socket.receive_json())["code"] == "unauthorized"


async def test_a_revoked_key_signs_its_pages_out(house: House) -> None:
    value, key = house.keys.create("acme", "x", role="operator")
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        async with http.post(f"{house.url}/v1/sign-in", json={"key": value}) as answer:
            assert answer.status == 200
        house.keys.revoke(key.id)
        async with http.get(f"{house.url}/admin/v1/sessions") as answer:
            assert answer.status == 401


async def test_a_cookie_is_no_client_secret_and_a_client_secret_no_cookie(house: House) -> None:
    async with aiohttp.ClientSession() as http:
        sign_in, mint = f"{house.url}/v1/sign-in", f"{house.url}/v1/realtime/client_secrets"
        async with http.post(sign_in, json={"key": house.key("house", "default")}) as answer:
            page = answer.cookies["penny_page"].value
        async with http.post(mint, headers=house.headers("caller")) as answer:
            secret = (await answer.json())["value"]
    async with aiohttp.ClientSession() as http:
        for headers in (
            {"Authorization": f"Bearer {page}"},
            {"Cookie": f"penny_page={secret}"},
            {"Cookie": f"penny_page={house.key('house', 'default')}"},
        ):
            async with http.get(f"{house.url}/admin/v1/sessions", headers=headers) as answer:
                assert answer.status == 401
