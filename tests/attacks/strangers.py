"""Strangers at the telephones' doors, and callers who would make Penny dial for them."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import struct
from contextlib import suppress
from uuid import uuid4

import aiohttp

from tests.attacks.attack import attack
from tests.attacks.availability import own_gateway, talks
from tests.attacks.house import House
from tests.attacks.rooms import kept_call
from tests.attacks.tenants import realtime
from tests.doubles.processes import free_port, gateway_process
from tests.doubles.twilio_stream import (
    ACCOUNT,
    AUTH_TOKEN,
    PUBLIC,
    new_sid,
    post_webhook,
    sign,
    voice_form,
)


INWARD = (
    "https://127.0.0.1/mcp",
    "https://2130706433/mcp",
    "https://0x7f.1/mcp",
    "https://127.1/mcp",
    "https://[::1]/mcp",
    "https://[::ffff:169.254.169.254]/mcp",
    "https://[64:ff9b::7f00:1]/mcp",
    "https://169.254.169.254/latest/meta-data",
    "https://metadata.google.internal/mcp",
    "https://localhost./mcp",
    "https://printer/mcp",
    "https://10.0.0.1/mcp",
    "https://user:word@example.com/mcp",
    "http://example.com/mcp",
    "https://example.com\\@127.0.0.1/mcp",
    "ftp://example.com/mcp",
)


@attack("tenants", "address_not_allowed at each, and the session goes on")
async def servers_that_lead_inward(house: House) -> str:
    """MCP servers at addresses of the house, in a session, a response and a client secret"""
    async with realtime(house, house.key("bolt")) as client, house.http("bolt") as http:
        for url in INWARD:
            tool = {"type": "mcp", "server_label": "x", "server_url": url}
            for kind, part in (("session.update", "session"), ("response.create", "response")):
                await client.send(kind, **{part: {"type": "realtime", "tools": [tool]}})
                assert (await client.the_error())["code"] == "address_not_allowed", (kind, url)
            await asyncio.sleep(0.2)  # more answers a second are refused unread
            body = {"session": {"type": "realtime", "tools": [tool]}}
            async with http.post("/v1/realtime/client_secrets", json=body) as answer:
                assert answer.status == 400, url
        await client.say("hola")
    return f"refused x{3 * len(INWARD)}"


@attack("secrets", "refused; nothing is answered")
async def a_transcription_secret_talks(house: House) -> str:
    """a client secret bound to a transcription session is used for a conversation"""
    secret = await house.mint("bolt", session={"type": "transcription"})
    async with realtime(house, secret) as client:
        assert client.events[0]["session"]["type"] == "transcription"
        await client.send("session.update", session={"type": "realtime", "instructions": "x"})
        await client.the_error()
        await client.send("response.create")
        await client.the_error()
        await client.send("session.update", session={"type": "transcription"})
        updated = await client.until("session.updated")
        assert updated["session"]["type"] == "transcription"
        assert "response.created" not in client.kinds()
    return "refused x2"


@attack("kept calls", "no cell begins as a formula does, and each has its text")
async def words_that_are_formulas(house: House) -> str:
    """words that a spreadsheet would run, in a call that is exported as CSV"""
    await kept_call(house, "bolt", '=HYPERLINK("https://evil.example";"Factura")')
    async with (
        house.http("bolt", "admin") as http,
        http.get("/v1/calls/export?format=csv") as answer,
    ):
        rows = list(csv.reader(io.StringIO((await answer.text()).removeprefix("\ufeff"))))
    cells = [cell for row in rows for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "+", "@", "\t", "\r"))] == []
    return f"{len(cells)} cells"


@attack("exposure", "403 at each, a true one is answered, and a stream without a token is closed")
async def forged_in_twilios_name(house: House) -> str:
    """Twilio's webhooks unsigned, signed for another place, of another account, altered, again"""
    folder = house.folder / "twilio"
    folder.mkdir()
    telephony = {
        "folder": str(folder / "lines"),
        "numbers": {"+34910000000": {}},
        "twilio": {"enabled": True, "account_sid": ACCOUNT, "public_url": PUBLIC},
    }
    assert house.worker is not None
    environment = {"TWILIO_AUTH_TOKEN": AUTH_TOKEN}
    async with (
        gateway_process(
            folder, house.worker.port, environment=environment, telephony=telephony
        ) as gateway,
        aiohttp.ClientSession() as http,
    ):
        path, form = "/twilio/voice", voice_form(new_sid())
        forged = (
            (form, ""),
            (form, sign("https://evil.example" + path, form)),
            (form, sign(f"{PUBLIC}/twilio/status", form)),
            ({**form, "From": "+34666"}, sign(PUBLIC + path, form)),
            ({**form, "AccountSid": "AC" + "f" * 32}, ""),
            (form, "ñ" * 28),
        )
        for fields, signature in forged:
            headers = {"X-Twilio-Signature": signature, "X-Forwarded-Host": "evil.example"}
            async with http.post(gateway.url + path, data=fields, headers=headers) as answer:
                assert answer.status == 403, signature
        statuses = [(await post_webhook(http, gateway.url, path, form)).status for _ in range(2)]
        assert statuses == [200, 403]  # a second time it is a replay
        for start in ({}, {"callSid": form["CallSid"], "customParameters": {"token": "x"}}):
            signed = {"X-Twilio-Signature": sign(f"wss{PUBLIC[5:]}/twilio/stream", {})}
            there = f"{gateway.url}/twilio/stream"
            async with http.ws_connect(there, headers=signed) as socket:
                await socket.send_json({"event": "start", "start": {"streamSid": "MZ1", **start}})
                await socket.receive()
                assert socket.close_code == 1008
        async with http.get(f"{gateway.url}/v1/calls") as answer:
            assert answer.status in (401, 403)
    return f"403 x{len(forged) + 1}"


@attack("availability", "each is closed, nothing is logged as a fault, and calls go on")
async def junk_at_the_exchanges_door(house: House) -> str:
    """120 connections to AudioSocket: silent, junk, guessed calls; announcements without token"""
    port = free_port()
    asterisk = {"enabled": True, "wire": "audiosocket", "port": port}
    telephony = {"folder": str(house.folder / "asterisk-lines"), "asterisk": asterisk}

    async def connect(first: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(first)
        with suppress(ConnectionError):
            assert len(await reader.read()) < 400  # a frame of silence, which old versions await
        writer.close()

    async with own_gateway(house, "asterisk", telephony=telephony) as (gateway, _):
        junk = (b"", b"\x01", b"\x01\x00\x10" + uuid4().bytes, os.urandom(4096))
        junk += (struct.pack(">BH", 0x10, 65_535) + bytes(70_000), b"GET / HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(60):  # far beyond: a door that waits for ever is seen
            waiting = asyncio.gather(*(connect(each) for each in junk * 20))
            async with aiohttp.ClientSession(gateway.url) as http:
                for path in ("announce", "next", "refused"):
                    for token in ("", "x" * 43, "\x00", "ñ"):
                        fields = {"token": token, "id": str(uuid4()), "did": "1", "line": "1"}
                        async with http.post(f"/asterisk/{path}", data=fields) as answer:
                            assert answer.status == 403
                async with http.get(f"/asterisk/media?id={uuid4()}") as answer:
                    assert answer.status == 403
            await waiting
        await talks(gateway.url)
        assert '"level": "error"' not in gateway.log
    return f"{20 * len(junk)} closed, 403 x13"
