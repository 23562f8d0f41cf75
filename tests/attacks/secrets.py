"""Client secrets, cookies and keys: what each opens, and where they may be read."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import aiohttp

from penny.gateway.guard import OPEN, OWN, ROUTES
from penny.trust.rights import ROLES
from tests.attacks.attack import attack
from tests.attacks.house import House
from tests.attacks.tenants import realtime, started
from tests.doubles.caller import calling


BOUND = {"type": "realtime", "instructions": "Di hola."}


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


@attack("secrets", "forbidden, close 4401")
async def a_bound_secret_opens_ws(house: House) -> str:
    """a client secret bound to a session opens another one at /ws"""
    secret = await house.mint("bolt", session=BOUND)
    async with calling(house.url, key=secret) as caller:
        await caller.send("session_start", portavoz={"initial_system_prompt": "Eres PIRATA."})
        assert (await caller.until("error"))["code"] == "forbidden"
        assert await caller.closed() == 4401
    async with realtime(house, secret) as client:  # control: its own it opens
        assert client.events[0]["session"]["instructions"] == "Di hola."
    return "4401"


@attack("secrets", "403 at each")
async def a_secret_opens_other_routes(house: House) -> str:
    """a client secret at the kb, the mint and the operator's routes"""
    async with aiohttp.ClientSession(house.url) as http:
        for session in ({}, BOUND):
            headers = bearer(await house.mint("bolt", session=session))
            for path in ("/v1/kb/search?q=hola", "/admin/v1/sessions", "/admin/v1/overview"):
                async with http.get(path, headers=headers) as answer:
                    assert answer.status == 403, path
            async with http.post("/v1/realtime/client_secrets", headers=headers) as answer:
                assert answer.status == 403
    return "403 x8"


@attack("secrets", "400, naming session")
async def a_secret_as_large_as_a_book(house: House) -> str:
    """client secrets of 200 KB each"""
    async with house.http("bolt") as http:
        body = {"session": {"type": "realtime", "instructions": "x" * 200_000}}
        async with http.post("/v1/realtime/client_secrets", json=body) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]["param"] == "session"
    return "400"


@attack("secrets", "429 for that tenant, 200 for the other")
async def one_tenant_fills_the_table(house: House) -> str:
    """one tenant fills the table of client secrets"""
    session = {"type": "realtime", "instructions": "x" * 20_000}
    body = {"session": session, "expires_after": {"seconds": 10}}
    made = 0
    async with house.http("default") as http:
        while True:
            async with http.post("/v1/realtime/client_secrets", json=body) as answer:
                if answer.status != 200:
                    assert answer.status == 429
                    break
            made += 1
            assert made * 20_000 <= 8 * 1024 * 1024
    await house.mint("bolt")
    return f"429 after {made}"


@attack("secrets", "401")
async def a_secret_outlives_its_key(house: House) -> str:
    """a client secret of a revoked key"""
    value, key = house.keys.create("bolt", "short")
    async with aiohttp.ClientSession(house.url) as http:
        mint = "/v1/realtime/client_secrets"
        async with http.post(mint, headers=bearer(value)) as answer:
            secret = (await answer.json())["value"]
        house.keys.revoke(key.id)
        async with http.get("/v1/realtime", headers=bearer(secret)) as answer:
            assert answer.status == 401
    return "401"


@attack("secrets", "one session")
async def a_single_use_secret_is_raced(house: House) -> str:
    """a single-use secret shown ten times at once"""
    secret = await house.mint("bolt", single_use=True)

    async def try_it() -> bool:
        async with calling(house.url, key=secret) as caller:
            await caller.send("session_start")
            await caller.socket.receive()
            return True

    opened = 0
    async with aiohttp.ClientSession() as http:
        sockets = await asyncio.gather(
            *(http.ws_connect(f"{house.url}/ws", headers=bearer(secret)) for _ in range(10))
        )
        for socket in sockets:
            await socket.send_json({"type": "session_start"})
        for socket in sockets:
            opened += (await socket.receive_json())["type"] == "session_started"
    assert opened == 1
    return "1 of 10"


@attack("secrets", "it still opens its session")
async def a_refusal_burns_a_secret(house: House) -> str:
    """a single-use secret whose first session is refused"""
    secret = await house.mint("bolt", single_use=True)
    async with calling(house.url, key=secret) as caller:
        await caller.send("session_start", mode="FAST")
        assert (await caller.until("error"))["code"] == "mode_unknown"
    async with calling(house.url, key=secret) as caller:
        await started(caller)
    return "opens"


@attack("secrets", "401 at each")
async def one_secret_stands_for_another(house: House) -> str:
    """a page's cookie as a key, a client secret and a key as a cookie"""
    async with aiohttp.ClientSession(house.url) as http:
        body = {"key": house.key("acme", "admin")}
        async with http.post("/v1/sign-in", json=body) as answer:
            cookie = answer.cookies["penny_page"].value
    secret = await house.mint("bolt")
    async with aiohttp.ClientSession(house.url) as http:
        for headers in (
            bearer(cookie),
            {"Cookie": f"penny_page={secret}"},
            {"Cookie": f"penny_page={house.key('acme', 'admin')}"},
        ):
            async with http.get("/admin/v1/sessions", headers=headers) as answer:
                assert answer.status == 401
    return "401 x3"


@attack("people", "403, and nothing ends")
async def a_foreign_page_rides_the_cookie(house: House) -> str:
    """a foreign page posts with a signed-in person's cookie (CSRF)"""
    body = {"key": house.key("bolt", "admin")}
    async with (
        aiohttp.ClientSession(house.url) as http,
        http.post("/v1/sign-in", json=body) as answer,
    ):
        cookie, told = answer.cookies["penny_page"].value, await answer.json()
    async with calling(house.url, key=house.key("bolt")) as caller:
        path = f"/admin/v1/sessions/{await started(caller)}/hang-up"
        async with aiohttp.ClientSession(house.url) as http:
            foreign = {"Origin": "https://evil.example"}
            for headers in ({}, foreign, {**foreign, "X-Penny-CSRF": told["csrf"]}):
                sent = {"Cookie": f"penny_page={cookie}", **headers}
                async with http.post(path, headers=sent) as answer:
                    assert answer.status == 403
                async with http.delete("/v1/sign-in", headers=sent) as answer:
                    assert answer.status == 403
        await caller.send("ping", nonce="alive")
        await caller.until("pong", nonce="alive")
    return "403 x6"


@attack("people", "HttpOnly, SameSite=Strict, and Secure over https")
async def a_script_reads_the_cookie(house: House) -> str:
    """a script on the page, or the open network, reads the cookie"""
    async with aiohttp.ClientSession(house.url) as http:
        for headers, secure in (({}, ""), ({"X-Forwarded-Proto": "https"}, True)):
            body = {"key": house.key("bolt", "admin")}
            async with http.post("/v1/sign-in", json=body, headers=headers) as answer:
                cookie = answer.cookies["penny_page"]
                assert cookie["httponly"] is True
                assert (cookie["samesite"], cookie["secure"]) == ("Strict", secure)
                assert cookie.value not in await answer.text()
    return "set"


@attack("people", "the next request is 401")
async def a_revoked_person_stays_signed_in(house: House) -> str:
    """a person whose key was revoked goes on with the cookie"""
    value, key = house.keys.create("acme", "person", role="operator")
    async with aiohttp.ClientSession(house.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        async with http.post("/v1/sign-in", json={"key": value}) as answer:
            assert answer.status == 200
        async with http.get("/admin/v1/sessions") as answer:
            assert answer.status == 200
        house.keys.revoke(key.id)
        async with http.get("/admin/v1/sessions") as answer:
            assert answer.status == 401
    return "401"


def matrix(role: str) -> None:
    held = ROLES.get(role, frozenset())

    async def run(house: House) -> str:
        asked = refused = 0
        headers = {} if role == "nobody" else house.headers("acme", role)
        async with aiohttp.ClientSession(house.url, headers=headers) as http:
            for route, right in ROUTES.items():
                if right in (OPEN, OWN):
                    continue
                method, path = route.split(" ", 1)
                async with http.request(method, re.sub(r"\{\w+\}", "none", path)) as answer:
                    asked += 1
                    refused += answer.status in (401, 403)
                    is_let_in = answer.status in (200, 400, 404)
                    assert is_let_in is (right in held), (route, answer.status)
        return f"{asked - refused} of {asked} open"

    run.__name__ = f"matrix_{role}"
    run.__doc__ = f"every guarded route, with the rights of: {role}"
    attack("rights", "its own rights' routes and no other")(run)


for name in (*ROLES, "nobody", "a_role_of_a_later_version"):
    matrix(name)


@attack("secrets", "in no line of the log")
async def keys_are_read_in_the_log(house: House) -> str:
    """keys, client secrets and cookies, also as sub-protocols that a library warns of"""
    key, secret = house.key("bolt"), await house.mint("bolt")
    offers: tuple[Any, ...] = (
        (f"penny-key.{key}",),
        (f"openai-insecure-api-key.{secret}", "nonsense"),
        (f"openai-insecure-api-key.{key}",),
    )
    async with aiohttp.ClientSession(house.url) as http:
        for path in ("/ws", "/v1/realtime", "/worker"):
            for protocols in offers:
                try:
                    async with http.ws_connect(path, protocols=protocols) as socket:
                        await socket.send_str('{"type": "nonsense"}')
                except aiohttp.ClientError:
                    continue
            async with http.get(f"{path}?api_key={key}") as answer:
                await answer.read()
        async with http.post("/v1/sign-in", json={"key": key}) as answer:
            cookie = answer.cookies["penny_page"].value
        async with http.post("/v1/sign-in", data=f"{{{key}") as answer:
            assert answer.status == 400
    log = house.gateway.log
    for each in (key, secret, cookie):
        assert each not in log
        assert each.split("_", 1)[1] not in log
    return "0 found"
