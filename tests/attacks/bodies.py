"""Bodies, forms and pages: what comes to the plain routes of a gateway, from anybody."""

from __future__ import annotations

import asyncio
import gzip
import re

import aiohttp
import psutil
from yarl import URL

from penny.gateway.guard import OPEN, OWN, ROUTES
from tests.attacks.attack import attack
from tests.attacks.house import House
from tests.attacks.load import GROWTH_MB
from tests.attacks.others import watch_memory
from tests.attacks.rooms import no_fault
from tests.attacks.tenants import realtime


WRITING = [
    (method, re.sub(r"\{\w+\}", "none", path))
    for method, path in (route.split(" ", 1) for route in ROUTES)
    if method in ("POST", "PUT", "DELETE")
]
JSON_TYPE, FORM = "application/json", "application/x-www-form-urlencoded"
BODIES = (
    (f"{JSON_TYPE}; charset=nonsense", b"{}"),
    (f"{JSON_TYPE}; charset=rot13", b"{}"),
    (JSON_TYPE, b"\xff\xfe"),
    (JSON_TYPE, b'{"key": "\\ud800", "session": "\\udfff"}'),
    (JSON_TYPE, b"[" * 50_000),
    (FORM, b"token=%ff%fe&id=%00"),
    ("multipart/form-data", b"x"),
    ("multipart/form-data; boundary=x", b"--x\r\nbad"),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: a\r\n\r\n1\r\n--x--"),
)


@attack("input", "refused by name, never 500; nothing logged as a fault")
async def bodies_that_are_none(house: House) -> str:
    """charsets, forms, halves of characters and depths at every writing route, with every right"""
    before, asked = len(house.gateway.log), 0
    async with house.http("acme", "admin") as http:
        for method, path in WRITING:
            for content_type, body in BODIES:
                headers = {"Content-Type": content_type}
                async with http.request(method, path, data=body, headers=headers) as answer:
                    assert answer.status < 500, (method, path, content_type, answer.status)
                asked += 1
    no_fault(house, before)
    assert "Error handling request" not in house.gateway.log[before:]
    return f"{asked} refused"


MANY = "[" + "[]," * 330_000 + "0]"
"""A megabyte, and a third of a million lists: 30 MB and more."""
DEEP_IN = '{{"type": "{}", "session": {{"type": "realtime"}}, "item": {{}}, "audio": "", "x": {}}}'


@attack("input", "refused by name at each, memory +32 MB at most, and calls go on")
async def json_of_many_values(house: House) -> str:
    """a million empty lists in JSON: at every writing route, and in messages of 4 MB"""
    process, refused = psutil.Process(house.gateway.process.pid), 0

    async def everywhere() -> int:
        asked = 0
        async with house.http("acme", "admin") as http:
            for method, path in WRITING:
                headers = {"Content-Type": JSON_TYPE}
                async with http.request(method, path, data=MANY, headers=headers) as answer:
                    assert 400 <= answer.status < 500, (method, path, answer.status)
                asked += 1
        return asked

    async def in_calls() -> int:
        many = "[" + "[]," * 1_300_000 + "0]"
        async with realtime(house, house.key("bolt")) as client:
            for kind in ("session.update", "conversation.item.create", "input_audio_buffer.append"):
                await client.socket.send_str(DEEP_IN.format(kind, many))
                assert (await client.the_error())["code"] == "message_too_large", kind
            await client.say("hola")
        return 3

    await everywhere()  # what bodies of that length take is there after the first
    before_mb = process.memory_info().rss / 1e6
    for meanwhile in (everywhere(), in_calls()):
        asked, most_mb = await watch_memory(process, meanwhile)
        assert most_mb - before_mb <= GROWTH_MB, most_mb - before_mb
        refused += asked
    return f"refused x{refused}, +{most_mb - before_mb:.0f} MB"


@attack("availability", "415, memory +8 MB at most, and others are answered at once")
async def a_megabyte_is_a_thousand(house: House) -> str:
    """bodies of 390 KB, 400 MB once they are unpacked, at every writing route, without a key"""
    bomb = await asyncio.to_thread(gzip.compress, bytes(400_000_000), 9)
    packed = {"Content-Type": JSON_TYPE, "Content-Encoding": "gzip"}
    process = psutil.Process(house.gateway.process.pid)

    async def drop() -> None:
        async with aiohttp.ClientSession(house.url) as http:
            for method, path in WRITING:
                async with http.request(method, path, data=bomb, headers=packed) as answer:
                    assert answer.status in (400, 401, 403, 404, 413, 415), (path, answer.status)

    await drop()  # what a body of that length takes, packed or not, is there after the first
    before_mb = process.memory_info().rss / 1e6
    began_s = process.cpu_times().user
    _, most_mb = await watch_memory(process, drop())
    cpu_ms = (process.cpu_times().user - began_s) * 1000 / len(WRITING)
    assert most_mb - before_mb <= 8
    assert cpu_ms < 100  # unpacking takes some 300
    return f"+{most_mb - before_mb:.0f} MB, {cpu_ms:.0f} ms each"


@attack("availability", "each is answered or closed within 20 s on a busy machine, others at once")
async def bodies_that_never_come(house: House) -> str:
    """600 requests whose bodies never come, at every writing route, with and without a key"""
    key = house.headers("acme", "admin")["Authorization"]

    async def begin(method: str, path: str, who: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n"
        writer.write(f"{head}Content-Type: {FORM}\r\n{who}\r\na".encode())
        assert await reader.read(1), path
        writer.close()

    async with asyncio.timeout(60):  # far beyond: a route that waits for ever is seen
        waiting = [
            asyncio.ensure_future(begin(method, path, who))
            for method, path in WRITING
            for who in ("", f"Authorization: {key}\r\n") * 10
        ]
        async with aiohttp.ClientSession(house.url) as http, http.get("/healthz") as answer:
            assert answer.status == 200
        await asyncio.gather(*waiting)
    return f"{len(waiting)} answered"


@attack("people", "403 at each, and nothing is changed")
async def a_cookie_without_its_token(house: House) -> str:
    """every writing route with a signed-in admin's cookie, and no token, or another person's"""
    tokens = []
    for tenant in ("acme", "bolt"):
        body = {"key": house.key(tenant, "admin")}
        async with (
            aiohttp.ClientSession(house.url) as http,
            http.post("/v1/sign-in", json=body) as answer,
        ):
            cookie, told = answer.cookies["penny_page"].value, await answer.json()
        tokens.append(told["csrf"])
    signed = ("/twilio", "/asterisk", "/v1/crm")  # which ask for no cookie
    asked = 0
    for headers in ({}, {"X-Penny-CSRF": tokens[0]}, {"X-Penny-CSRF": ""}):
        sent = {"Cookie": f"penny_page={cookie}", "Content-Type": JSON_TYPE, **headers}
        async with aiohttp.ClientSession(house.url, headers=sent) as http:
            for route, right in ROUTES.items():
                method, path = route.split(" ", 1)
                if method not in ("POST", "PUT", "DELETE") or right == OPEN:
                    continue
                if right == OWN and path.startswith(signed):
                    continue
                there = re.sub(r"\{\w+\}", "none", path)
                if (method, there) == ("POST", "/v1/sign-in"):
                    continue  # which asks for a key, not for a cookie
                async with http.request(method, there, data=b"{}") as answer:
                    assert answer.status == 403, (route, answer.status)
                asked += 1
    return f"403 x{asked}"


ASIDE = ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")
TWISTED = ("/{}", "{}/", "/.{}", "/v1/..{}", "/%2e%2e{}", "{}%00", "{};x", "{}%2f")


@attack("rights", "nothing is told that GET does not tell a stranger, and never 500")
async def methods_and_paths_of_no_table(house: House) -> str:
    """every route by other methods and twisted paths, without a key, and a method's override"""
    since, asked = len(house.gateway.log), 0
    paths = sorted({re.sub(r"\{\w+\}", "none", route.split(" ", 1)[1]) for route in ROUTES})
    free = {route.split(" ", 1)[1] for route, right in ROUTES.items() if right == OPEN}
    override = {"X-HTTP-Method-Override": "GET", "X-Original-URL": "/v1/modes"}
    async with aiohttp.ClientSession(house.url, headers=override) as http:
        for path in paths:
            for method in ASIDE:
                async with http.request(method, path) as answer:
                    assert answer.status < 500, (method, path, answer.status)
                    is_free = path in free and method in ("HEAD", "OPTIONS")
                    assert is_free or not answer.ok or "/hangup" in path, (method, path)
                asked += 1
            if path in free or path == "/":
                continue
            for form in TWISTED:
                there = URL(house.url + form.format(path), encoded=True)
                async with http.get(there, allow_redirects=False) as answer:
                    assert 300 <= answer.status < 500, (str(there), answer.status)
                asked += 1
    no_fault(house, since)
    return f"{asked} refused"
