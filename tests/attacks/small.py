"""Small things: numbers, names, depths, addresses."""

from __future__ import annotations

import json
import re
from typing import Any

import aiohttp

from tests.attacks.attack import attack
from tests.attacks.house import House
from tests.attacks.tenants import realtime, started
from tests.doubles.caller import calling
from tests.doubles.operator import OPERATOR
from tests.doubles.processes import free_port, gateway_process, running


@attack("input", "400, naming limit")
async def limits_that_int_would_take(house: House) -> str:
    """the search's limit as 05, +5, ' 5', 5_0, full-width 5, 1e1, -1, 0, 21"""
    tried = ("05", "+5", " 5", "5_0", "５", "1e1", "-1", "0", "21", "5.0", "")
    async with house.http("bolt") as http:
        for limit in tried:
            async with http.get("/v1/kb/search", params={"q": "hola", "limit": limit}) as answer:
                assert answer.status == 400, limit
                assert (await answer.json())["error"]["param"] == "limit"
    return f"400 x{len(tried)}"


DEEP = "[" * 20_000 + "]" * 20_000


@attack("input", "refused by name; the session and the gateway go on")
async def json_too_deep_at_every_door(house: House) -> str:
    """JSON of 20,000 levels at /ws, /v1/realtime, the mint and the sign-in"""
    async with calling(house.url, key=house.key("bolt")) as caller:
        await started(caller)
        await caller.socket.send_str(f'{{"type": "text_input", "text": {DEEP}}}')
        await caller.until("error")
        await caller.send("ping", nonce="alive")
        await caller.until("pong")
    async with realtime(house, house.key("bolt")) as client:
        await client.socket.send_str(f'{{"type": "session.update", "session": {DEEP}}}')
        await client.until("error")
        await client.say("hola")
    async with house.http("bolt") as http:
        for path in ("/v1/realtime/client_secrets", "/v1/sign-in"):
            async with http.post(path, data=f'{{"session": {DEEP}, "key": {DEEP}}}') as answer:
                assert answer.status == 400
    return "refused x4"


async def _answered(upstream: Any, name: str, arguments: str) -> str:
    """What a function call with these arguments is answered with."""
    await upstream.asked()
    response_id, call_id, item_id = upstream.active, upstream.new_id("call"), upstream.new_id("it")
    item = {
        "id": item_id,
        "object": "realtime.item",
        "type": "function_call",
        "status": "completed",
        "name": name,
        "call_id": call_id,
        "arguments": arguments,
    }
    where = {"response_id": response_id, "output_index": 0}
    await upstream.send("response.output_item.added", **where, item={**item, "arguments": ""})
    await upstream._add({**item, "arguments": ""}, done=False)
    upstream.items[item_id] = item
    await upstream.send(
        "response.function_call_arguments.done",
        **where,
        item_id=item_id,
        call_id=call_id,
        name=name,
        arguments=arguments,
    )
    await upstream.send("conversation.item.done", item=item, previous_item_id=None)
    await upstream.send("response.output_item.done", **where, item=item)
    await upstream.finish(response_id, "completed", output=[item])
    found: list[str] = []

    def answered() -> bool:
        found[:] = [
            str(each["output"])
            for each in upstream.items.values()
            if each["type"] == "function_call_output" and each["call_id"] == call_id
        ]
        return bool(found)

    await upstream.until("the action's output", answered)
    return found[0]


@attack("actions", "refused with the reason; valid ones run", house="external")
async def arguments_against_the_schema(house: House) -> str:
    """an action's arguments: deep, of the wrong type, over a maximum, out of an enum, unknown"""
    assert house.vendor is not None
    wrong = (
        '{"amount": ' + "[" * 5_000 + "]" * 5_000 + "}",
        '{"amount": "20"}',
        '{"amount": 101}',
        '{"amount": 20, "why": "because"}',
        '{"amount": 20, "to": "me"}',
        "{}",
        "not json",
    )
    for arguments in (*wrong, '{"amount": 20, "why": "delay"}'):
        async with calling(house.url, key=house.key("acme")) as caller:
            await caller.send("session_start", context={"available_actions": ["refund"]})
            await caller.until("session_started")
            upstream = await house.vendor.connection()
            await upstream.hear("Devuélveme el dinero.")
            output = await _answered(upstream, "refund", arguments)
            assert ("refunded" in output) is (arguments not in wrong), arguments[:60]
    return f"{len(wrong)} refused, 1 ran"


@attack("exposure", "no operator's rights", house="guarded")
async def a_proxy_with_the_default_host(house: House) -> str:
    """no keys, and a proxy on this machine that names itself nowhere (Host as its default)"""
    folder = house.folder / "keyless"
    folder.mkdir(exist_ok=True)
    assert house.worker is not None
    async with (
        gateway_process(folder, house.worker.port) as gateway,
        aiohttp.ClientSession(gateway.url) as http,
    ):
        for path in ("sessions", "overview", "sessions/none/events"):
            async with http.get(f"/admin/v1/{path}") as answer:
                assert answer.status == 403
        async with http.post("/admin/v1/sessions/none/hang-up") as answer:
            assert answer.status == 403
        async with http.get("/readyz") as answer:
            assert set(await answer.json()) == {"ready", "reasons"}
        async with http.get("/metrics") as answer:
            assert str(folder) not in await answer.text()
        async with http.get("/admin/v1/sessions", headers=OPERATOR) as answer:
            assert answer.status == 200  # control
        evil = {"Host": "penny.evil.example"}
        async with http.get("/v1/kb/search?q=x", headers=evil) as answer:
            assert answer.status == 403
    return "403 x5"


@attack("exposure", "http://[::1]:port, which a browser opens")
async def a_banner_of_ipv6(house: House) -> str:
    """the banner of a gateway on ::1"""
    folder, port = house.folder / "six", free_port()
    folder.mkdir(exist_ok=True)
    config = folder / "six.yaml"
    modes = {"SELF_HOSTED": {"endpoint": "ws://127.0.0.1:1/v1/realtime"}}
    config.write_text(json.dumps({"gateway": {"host": "::1"}, "penny": {"modes": modes}}))
    arguments = ("-m", "penny", "serve", "--config", str(config), "--port", str(port))
    async with running(folder, "six", port, *arguments) as gateway:
        await gateway.logged("Penny listens on")
        address = re.search(r"http://\S+", gateway.log)
        assert address is not None
        assert address.group() == f"http://[::1]:{port}"
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{address.group()}/healthz") as answer,
        ):
            assert answer.status == 200
    return address.group()
