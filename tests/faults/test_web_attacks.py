"""Web scan basics against a real gateway: attempted, held."""

from __future__ import annotations

import asyncio
import io
import json
import zlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from penny.gateway import app, realtime
from tests.doubles.caller import calling
from tests.doubles.house import running_penny
from tests.doubles.realtime_client import connected_to


pytestmark = pytest.mark.engines

ESCAPES = [
    "/web/../app.py",
    "/web/..%2fapp.py",
    "/web/%2e%2e/app.py",
    "/web/..%5capp.py",
    "/web//etc/passwd",
    "/web/%2fetc%2fpasswd",
    "/web/....//app.py",
    "/web/\u002e\u002e/gateway/app.py",
    "/web/%00index.html",
    "/web/%252e%252e/app.py",
    "/web/%c0%ae%c0%ae/app.py",
    "/web/%ef%bc%8e%ef%bc%8e/app.py",
    "/web/..;/app.py",
    "/../../../../etc/passwd",
    "/web/.",
]


@pytest_asyncio.fixture
async def url() -> AsyncIterator[str]:
    async with running_penny(gateway={"start_timeout_s": 0.5}) as address:
        yield address


async def send_raw(url: str, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """Bytes as they are on a connection of their own; what comes back until it closes."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answer = bytearray()
    try:
        async with asyncio.timeout(60):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_s)
            while data := await reader.read(65_536):
                answer += data
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
    return bytes(answer)


async def still_serves(url: str) -> bool:
    async with calling(url) as caller:
        await caller.send("session_start")
        await caller.until("session_started")
        return True


@pytest.mark.parametrize("path", ESCAPES)
async def test_no_path_leaves_the_web_folder(url: str, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = await send_raw(url, request.encode())
    status = int(answer.split(b" ", 2)[1])
    assert status in (400, 403, 404)
    assert b"root:" not in answer
    assert b"import" not in answer


async def test_a_compressed_bomb_is_not_unpacked(url: str) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{url}/ws", compress=15) as socket:
            assert socket.compress == 0
        bomb = zlib.compress(b'{"session":{}}' + b" " * 50_000_000, 9)
        mint = f"{url}/v1/realtime/client_secrets"
        headers = {"Content-Encoding": "deflate", "Content-Type": "application/json"}
        async with http.post(mint, data=bomb, headers=headers) as answer:
            assert answer.status == 415
    assert await still_serves(url)


async def test_a_compressed_frame_that_was_not_agreed_on_closes_the_connection(url: str) -> None:
    bomb = zlib.compressobj(9, wbits=-15)
    data = bomb.compress(bytes(10_000_000)) + bomb.flush()
    upgrade = (
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    length = len(data).to_bytes(2, "big")
    frame = b"\xc1" + bytes([0x80 | 126]) + length + bytes(4) + data
    answer = await send_raw(url, upgrade, frame)
    assert b"101 Switching" in answer
    assert b"session_started" not in answer
    assert await still_serves(url)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"session":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"expires_after":{"seconds":' + b"9" * 5_000 + b"}}",
        b"\xff\xfe\x00",
        b'"\\ud800"',
    ],
)
async def test_twisted_json_is_a_400(url: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/v1/realtime/client_secrets", data=body, headers=headers) as answer,
    ):
        assert answer.status == 400
    async with calling(url) as caller:
        text = body.decode("utf-8", "replace")[:60_000]
        await caller.socket.send_str(text)
        assert (await caller.until("error"))["code"] == "invalid_message"


async def test_oversized_bodies_and_messages_are_refused_by_size(url: str) -> None:
    async with aiohttp.ClientSession() as http:
        wish = json.dumps({"session": {"instructions": "x" * 3_000_000}})
        headers = {"Content-Type": "application/json"}
        async with http.post(
            f"{url}/v1/realtime/client_secrets", data=io.BytesIO(wish.encode()), headers=headers
        ) as answer:
            assert answer.status == 413
    async with calling(url) as caller:
        await caller.send("session_start")
        await caller.until("session_started")
        await caller.socket.send_str("x" * 300_000)
        assert await caller.closed() == 1009
    assert await still_serves(url)


async def test_a_header_flood_is_refused(url: str) -> None:
    many = b"".join(b"X-%d: %b\r\n" % (number, b"a" * 200) for number in range(20_000))
    answer = await send_raw(url, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + many + b"\r\n")
    assert answer == b"" or answer.split(b" ", 2)[1] in (b"400", b"431")
    long = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 2_000_000 + b"\r\n\r\n"
    answer = await send_raw(url, long)
    assert answer == b"" or answer.split(b" ", 2)[1] in (b"400", b"431")
    assert await still_serves(url)


async def test_a_slow_client_holds_nothing_up(url: str) -> None:
    """Slow-loris: two hundred connections that never finish a request."""
    host, port = url.removeprefix("http://").split(":")
    writers = []
    for _ in range(200):
        _reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        writers.append(writer)
    try:
        async with asyncio.timeout(60):
            assert await still_serves(url)
    finally:
        for writer in writers:
            writer.transport.abort()


async def test_a_request_that_never_becomes_whole_loses_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Slow-loris, from the side of the descriptors: headers, then a body, byte by byte."""
    monkeypatch.setattr(app, "REQUEST_WAIT_S", 1.0)
    monkeypatch.setattr(realtime, "BODY_WAIT_S", 1.0)
    async with running_penny() as url:
        head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
        assert await send_raw(url, head, *[b"a"] * 8, pause_s=0.3) == b""
        post = (
            b"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n"
        )
        answer = await send_raw(url, post, *[b" "] * 8, pause_s=0.3)
        assert answer.split(b" ", 2)[1] == b"408"
        assert await still_serves(url)


TWISTED_EVENTS = [
    "[" * 100_000,
    '{"type":"session.update","session":' + '{"a":' * 50_000,
    '{"type":"session.update","session":{"temperature":' + "9" * 5_000 + "}}",
    '{"type":' + "[" * 20_000 + "]" * 20_000 + "}",
    '"\\ud800"',
]


@pytest.mark.parametrize("text", TWISTED_EVENTS)
async def test_a_twisted_realtime_event_is_an_error_and_the_session_goes_on(
    url: str, text: str
) -> None:
    async with connected_to(url) as client:
        await client.until("session.created")
        await client.socket.send_str(text)
        assert (await client.the_error())["type"] == "invalid_request_error"
        await client.configure()


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1/a.png",
        "https://2130706433/a.png",
        "http://example.com/a.png",
        "file:///a",
    ],
)
async def test_an_image_that_lies_in_the_house_is_refused_by_name(url: str, address: str) -> None:
    async with connected_to(url) as client:
        content = [{"type": "input_image", "image_url": address}]
        item = {"type": "message", "role": "user", "content": content}
        await client.send("conversation.item.create", item=item)
        error = await client.the_error()
        assert error["code"] == "address_not_allowed"
        assert error["param"] == "item.content[0].image_url"
        await client.send("response.create", response={"input": [item]})
        error = await client.the_error()
        assert error["param"] == "response.input[0].content[0].image_url"


async def test_a_client_that_connects_and_says_nothing_is_let_go(url: str) -> None:
    async with calling(url) as caller:
        assert await caller.closed() == 4408


async def test_a_smuggled_second_request_is_not_answered_as_another_callers(url: str) -> None:
    smuggled = (
        b"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n"
    )
    answer = await send_raw(url, smuggled)
    assert answer.count(b"HTTP/1.") == 1
    assert answer.split(b" ", 2)[1] == b"400"


async def test_answers_carry_their_security_headers(url: str) -> None:
    async with aiohttp.ClientSession() as http:
        for path in ("/", "/v1/modes", "/admin/v1/sessions", "/nowhere"):
            async with http.get(f"{url}{path}") as answer:
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
