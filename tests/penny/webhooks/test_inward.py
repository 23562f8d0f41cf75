"""No delivery reaches the house: whatever its address says, resolves to, or redirects to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from config.schema import Config
from penny.errors import ConfigError
from penny.webhooks.endpoints import read_endpoints
from penny.webhooks.sender import Sender
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


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "fd00::1", "::1"]
)
async def test_a_name_that_leads_inward_is_not_connected_to(
    address: str, trap: socket.socket
) -> None:
    port = trap.getsockname()[1]
    sender = Sender([], lambda: 0.0, timeout_s=5.0, resolver=Names(address))
    answer = await sender.post(f"https://crm.example:{port}/", b"{}", {})
    await sender.aclose()
    assert (answer.status, answer.error) == (0, "address_not_allowed")
    with pytest.raises(BlockingIOError):
        trap.accept()


async def test_a_name_that_changes_its_address_is_judged_at_each_connection(
    trap: socket.socket,
) -> None:
    port = trap.getsockname()[1]
    # A public address that takes no connection in this time, then this machine's own.
    names = Names("192.0.43.8", "127.0.0.1")
    sender = Sender([], lambda: 0.0, timeout_s=0.2, resolver=names)
    first = await sender.post(f"https://crm.example:{port}/", b"{}", {})
    second = await sender.post(f"https://crm.example:{port}/", b"{}", {})
    await sender.aclose()
    assert first.status == 0
    assert second.error == "address_not_allowed"
    assert names.asked == 2
    with pytest.raises(BlockingIOError):
        trap.accept()


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "[::1]"])
async def test_an_address_written_another_way_is_not_connected_to(
    host: str, trap: socket.socket
) -> None:
    sender = Sender([], lambda: 0.0, timeout_s=5.0)
    answer = await sender.post(f"https://{host}:{trap.getsockname()[1]}/", b"{}", {})
    await sender.aclose()
    assert answer.status == 0
    assert answer.error in ("address_not_allowed", "no_http")
    with pytest.raises(BlockingIOError):
        trap.accept()


async def test_a_redirect_into_the_house_is_not_followed() -> None:
    from aiohttp import web

    reached: list[str] = []

    async with WebhookReceiver(None) as inside:
        inside.fails = lambda request: reached.append(request.path)
        away = web.Response(status=307, headers={"Location": inside.url})
        async with WebhookReceiver(None, lambda _request: away) as outside:
            sender = Sender([outside.url, inside.url], lambda: 0.0)
            answer = await sender.post(outside.url, b"{}", {"webhook-id": "msg_1"})
            await sender.aclose()
    assert (answer.status, answer.error) == (307, "redirect")
    await asyncio.sleep(0)
    assert reached == []
