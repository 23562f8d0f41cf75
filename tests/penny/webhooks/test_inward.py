"""No webhook and no CRM leads into the house: whatever its address says, resolves to, or redirects
to. Each asks on real sockets beside one that must not be reached."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from unittest.mock import patch

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import SecretStr

from config.crm import HttpCrmSection
from config.schema import Config
from penny.crm.crm import Caller, Crm, CrmUnavailable, Note
from penny.crm.generic import HttpCrm
from penny.crm.http import CrmHttp
from penny.crm.pace import Pace
from penny.crm.twenty import Twenty
from penny.errors import ConfigError
from penny.webhooks.endpoints import read_endpoints
from penny.webhooks.policy import Answer
from penny.webhooks.sender import Sender
from tests.doubles.http import serving_app
from tests.doubles.webhook_receiver import WebhookReceiver


pytestmark = pytest.mark.socket

ENVIRONMENT = {"WEBHOOK_SECRET": "a-secret-of-this-test"}


def endpoint_of(url: str, *allowed: str) -> str:
    """The endpoint's address, as far as the configuration takes it."""
    sections = {"webhooks": {"url": url}, "privacy": {"allowed_hosts": allowed}}
    (endpoint,) = read_endpoints(Config.model_validate(sections), ENVIRONMENT).values()
    return endpoint.url


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/",
        "https://192.168.1.20/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://[::ffff:10.0.0.1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fd00::1]/",
        "https://[64:ff9b::a00:1]/",
        "https://crm/",
        "https://crm.internal/",
        "https://crm.lan/",
    ],
)
def test_an_address_that_leads_inward_is_refused_at_start(url: str) -> None:
    with pytest.raises(ConfigError) as told:
        endpoint_of(url)
    assert "webhooks.url" in told.value.message
    assert "privacy.allowed_hosts" in told.value.message


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.example/",
        "https://user:word@crm.example/",
        "https://crm.example@10.0.0.1/",
        "ftp://crm.example/",
        "https:///hook",
        "crm.example",
        "https://crm.example:port/",
    ],
)
def test_what_is_no_https_address_is_refused_by_the_file(url: str) -> None:
    with pytest.raises(ValueError, match="webhooks"):
        endpoint_of(url)


def test_a_host_of_the_house_is_one_that_the_operator_named() -> None:
    assert endpoint_of("https://10.0.0.1/hook", "10.0.0.1")
    assert endpoint_of("https://crm.lan/hook", "crm.lan:443")
    assert endpoint_of("http://127.0.0.1:9000/hook")
    with pytest.raises(ConfigError):
        endpoint_of("https://crm.lan/hook", "crm.lan:8443")


class Names(AbstractResolver):
    """Resolves every name to the addresses of a list, one after the other."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = iter(addresses)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        address = next(self._addresses)
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


@pytest.fixture
def trap() -> Iterator[socket.socket]:
    """Something of the house that must not be reached."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


Ask = Callable[[str, AbstractResolver | None, float], Awaitable[Answer]]


async def by_webhook(url: str, names: AbstractResolver | None, timeout_s: float) -> Answer:
    sender = Sender([], lambda: 0.0, timeout_s=timeout_s, resolver=names)
    answer = await sender.post(url, b"{}", {"webhook-id": "msg_1"})
    await sender.aclose()
    return answer


def _crm_http(url: str, names: AbstractResolver | None) -> CrmHttp:
    key, clock = SecretStr("a-key"), asyncio.get_running_loop().time
    return CrmHttp(url, key, Pace(50), clock, lambda: 0.0, is_inward=False, names=names)


async def _by_crm(crm: Crm, timeout_s: float) -> Answer:
    """Of its check; a look-up and a note must come to the same."""
    with patch("penny.crm.http.TIMEOUT_S", timeout_s):
        answer = await crm.check()
        with pytest.raises(CrmUnavailable):
            await crm.find(Caller("+34612345678", "ana@x.example", "7"))
        note = await crm.write(Note("n", "sess_1", "title", "body", person_id="p"))
    await crm.aclose()
    assert (note.status, note.error) in ((answer.status, answer.error), (0, "address_not_allowed"))
    return answer


async def by_twenty(url: str, names: AbstractResolver | None, timeout_s: float) -> Answer:
    return await _by_crm(Twenty(_crm_http(url, names), "ES"), timeout_s)


async def by_any_crm(url: str, names: AbstractResolver | None, timeout_s: float) -> Answer:
    section = HttpCrmSection(find="/find?user={user_id}", note="/notes/{person_id}")
    return await _by_crm(HttpCrm(_crm_http(url, names), section, "ES"), timeout_s)


every_way = pytest.mark.parametrize("ask", [by_webhook, by_twenty, by_any_crm])


@every_way
@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "fd00::1", "::1"]
)
async def test_a_name_that_leads_inward_is_not_connected_to(
    ask: Ask, address: str, trap: socket.socket
) -> None:
    url = f"https://crm.example:{trap.getsockname()[1]}"
    answer = await ask(url, Names(*[address] * 3), 15.0)
    assert (answer.status, answer.error) == (0, "address_not_allowed")
    with pytest.raises(BlockingIOError):
        trap.accept()


@every_way
async def test_a_name_that_changes_its_address_is_judged_at_each_connection(
    ask: Ask, trap: socket.socket
) -> None:
    url = f"https://crm.example:{trap.getsockname()[1]}"
    # A public address that takes no connection in this time, then this machine's own.
    names = Names("192.0.43.8", *["127.0.0.1"] * 5)
    first = await ask(url, names, 0.2)
    second = await ask(url, names, 15.0)
    assert first.status == 0
    assert second.error == "address_not_allowed"
    assert names.asked >= 2
    with pytest.raises(BlockingIOError):
        trap.accept()


@every_way
@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "[::1]"])
async def test_an_address_written_another_way_is_not_connected_to(
    ask: Ask, host: str, trap: socket.socket
) -> None:
    answer = await ask(f"https://{host}:{trap.getsockname()[1]}", None, 15.0)
    assert answer.status == 0
    assert answer.error in ("address_not_allowed", "no_http")
    with pytest.raises(BlockingIOError):
        trap.accept()


@every_way
async def test_a_user_before_the_host_is_no_host(ask: Ask, trap: socket.socket) -> None:
    url = f"https://crm.example@127.0.0.1:{trap.getsockname()[1]}"
    answer = await ask(url, Names(*["192.0.43.8"] * 3), 15.0)
    assert answer.status == 0
    assert answer.error in ("address_not_allowed", "no_http")  # beside a CRM's key no user stands
    with pytest.raises(BlockingIOError):
        trap.accept()


@pytest.mark.parametrize("of", ["webhook", "twenty", "http"])
async def test_a_redirect_into_the_house_is_not_followed(of: str) -> None:
    reached: list[str] = []
    async with WebhookReceiver(None) as inside:
        inside.fails = lambda request: reached.append(request.path)

        async def send_away(_request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": inside.url})

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", send_away)
        async with serving_app(app) as outside:
            if of == "webhook":
                sender = Sender([outside, inside.url], lambda: 0.0)
                answer = await sender.post(outside, b"{}", {"webhook-id": "msg_1"})
                await sender.aclose()
            else:
                clock = asyncio.get_running_loop().time
                http = CrmHttp(outside, None, Pace(50), clock, lambda: 0.0, is_inward=True)
                section = HttpCrmSection(find="/find", note="/notes")
                crm = Twenty(http, "ES") if of == "twenty" else HttpCrm(http, section, "ES")
                answer = await crm.check()
                await crm.aclose()
    assert (answer.status, answer.error) == (307, "redirect")
    assert reached == []


@pytest.mark.parametrize("path", ["@10.0.0.1/x", ".evil.example/x", ":8443/x", "{user_id}", ""])
def test_what_a_crm_is_asked_for_is_a_path_of_its_own(path: str) -> None:
    with pytest.raises(ValueError, match="find"):
        HttpCrmSection(find=path)
    if path:
        with pytest.raises(ValueError, match="note"):
            HttpCrmSection(find="/x", note=path)
