"""No CRM leads into the house: whatever its address says, resolves to, or redirects to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr, ValidationError

from config.crm import HttpCrmSection
from penny.crm.crm import Caller, Crm, CrmUnavailable, Note
from penny.crm.generic import HttpCrm
from penny.crm.http import CrmHttp
from penny.crm.pace import Pace
from penny.crm.twenty import Twenty
from tests.doubles.http import serving_app


pytestmark = pytest.mark.socket

Json = dict[str, Any]
Makes = Callable[[CrmHttp], Crm]

HTTP: Json = {"find": "/contacts?who={user_id}&phone={digits}", "note": "/notes/{person_id}"}
NOTE = Note("note_1", "sess_1", "Llamada", "…", person_id="@127.0.0.1/")
CALLER = Caller("+34612345678", "a@x.mx", "@127.0.0.1/")
KINDS: dict[str, Makes] = {
    "twenty": lambda http: Twenty(http, "ES"),
    "http": lambda http: HttpCrm(http, HttpCrmSection.model_validate(HTTP), "ES"),
}


class Trap:
    """Something of the house that must not be reached. ``asked``: what came all the same."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        return web.json_response({"data": {"people": {"edges": []}}})

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@pytest.fixture
async def trap() -> AsyncIterator[Trap]:
    made, app = Trap(), web.Application()
    app.router.add_route("*", "/{path:.*}", made.take)
    async with serving_app(app) as made.url:
        yield made


@asynccontextmanager
async def asking(makes: Makes, url: str, *, is_inward: bool = False) -> AsyncIterator[Crm]:
    now = asyncio.get_running_loop().time
    key = SecretStr("a-key")
    crm = makes(CrmHttp(url, key, Pace(1000), now, now, is_inward=is_inward))
    try:
        yield crm
    finally:
        await crm.aclose()


async def all_ways(crm: Crm) -> set[str]:
    """Asks, writes and checks; the words for what came of it."""
    with pytest.raises(CrmUnavailable) as refused:
        await crm.find(CALLER)
    told = [await crm.write(NOTE), await crm.check()]
    words = {each.error for each in told if not each.is_success}
    assert len(told) == sum(not each.is_success for each in told)
    return words | {refused.value.message.rpartition(" ")[2]}


@pytest.mark.parametrize("path", ["@10.0.0.1/x", ":8443@evil.example/", ".evil.example/", "x"])
@pytest.mark.parametrize("name", ["find", "note"])
def test_a_template_cannot_move_the_host(path: str, name: str) -> None:
    with pytest.raises(ValidationError):
        HttpCrmSection.model_validate({**HTTP, name: path})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f.1", "127.1", "127.0.0.1", "[::ffff:127.0.0.1]", "u:p@127.0.0.1"]
)
async def test_an_address_is_not_connected_to_however_it_is_written(
    kind: str, host: str, trap: Trap
) -> None:
    async with asking(KINDS[kind], f"http://{host}:{trap.port}") as crm:
        assert await all_ways(crm) <= {"address_not_allowed", "no_http"}
    assert trap.asked == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_name_that_changes_its_address_is_judged_at_each_connection(
    kind: str, trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Public where it is looked at, this machine's own when it is asked again: DNS rebinding.
    given = [["93.184.216.34"], ["127.0.0.1"], ["::ffff:127.0.0.1"], ["169.254.169.254"]]
    asked: list[str] = []
    connected: list[str] = []

    def look_up(host: str, port: int, **_how: Any) -> list[Any]:
        asked.append(host)
        addresses = given[min(len(asked), len(given)) - 1]
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, 1, 6, "", (each, port))
            for each in addresses
        ]

    async def connect(_loop: Any, _socket: socket.socket, address: Any) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(type(asyncio.get_running_loop()), "sock_connect", connect)
    async with asking(KINDS[kind], f"http://crm.example:{trap.port}") as crm:
        with pytest.raises(CrmUnavailable, match="no_connection"):
            await crm.find(CALLER)
        assert await all_ways(crm) == {"address_not_allowed"}
    assert asked == ["crm.example"] * 4
    assert connected == ["93.184.216.34"]
    assert trap.asked == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_into_the_house_is_not_followed(
    kind: str, status: int, trap: Trap
) -> None:
    asked: list[str] = []

    async def away(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status, headers={"Location": trap.url})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", away)
    async with (
        serving_app(app) as outside,
        asking(KINDS[kind], outside, is_inward=True) as crm,
    ):
        assert await all_ways(crm) == {"redirect", str(status)}
    assert len(asked) == 3
    assert trap.asked == []
