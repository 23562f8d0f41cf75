"""Every trick that leads a URL back into the house is refused by name."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from penny.errors import ProtocolError
from penny.trust.addresses import PublicResolver, check_address, is_public


pytestmark = pytest.mark.pure


INWARD = [
    "http://example.com/",
    "https://localhost/",
    "https://LOCALHOST./x",
    "https://a.localhost/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://0/",
    "https://0.0.0.0/",
    "https://10.0.0.8/",
    "https://172.16.1.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://metadata.google.internal/",
    "https://printer.local/",
    "https://intranet/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://[::1]/",
    "https://[::]/",
    "https://[fe80::1]/",
    "https://[fd00::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2002:b00::]/",
    "https://user:secret@example.com/",
    "https://example.com@127.0.0.1/",
    "https://exa mple.com/",
    "https://example.com\\@127.0.0.1/",
    "https://example.com\r\nHost: localhost/",
    "https:///etc/passwd",
    "file:///etc/passwd",
    "gopher://example.com/",
    "//example.com/",
    "https://[::1/",
    "https://example.com:99999/",
    "https://\u2460\u2461\u2466.example.com/",
    "https://" + "a" * 3000 + ".example.com/",
    "",
    None,
    42,
    ["https://example.com/"],
]


@pytest.mark.parametrize("url", INWARD)
def test_an_address_that_leads_inward_is_refused_by_name(url: object) -> None:
    with pytest.raises(ProtocolError) as refused:
        check_address(url, "tools[0].server_url")
    assert refused.value.code == "address_not_allowed"
    assert refused.value.field == "tools[0].server_url"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/mcp",
        "https://example.com:8443/a?b=c",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://xn--bcher-kva.example.com/",
    ],
)
def test_a_public_address_passes(url: str) -> None:
    check_address(url, "url")


@given(st.text(max_size=60))
def test_any_text_is_judged_without_another_error(text: str) -> None:
    with suppress(ProtocolError):  # and nothing else
        check_address(f"https://{text}", "url")


@given(st.ip_addresses())
def test_a_private_address_is_never_public(address: IPv4Address | IPv6Address) -> None:
    inner = getattr(address, "ipv4_mapped", None) or address  # Debian 12's Python calls all private
    assert not (is_public(str(address)) and inner.is_private)


class FixedResolver(AbstractResolver):
    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self.addresses
        ]

    async def close(self) -> None:
        return None


async def test_a_name_that_leads_inward_is_not_connected_to() -> None:
    with pytest.raises(OSError, match="no public address"):
        await PublicResolver(FixedResolver("127.0.0.1", "10.1.1.1")).resolve("rebind.example")


async def test_of_many_addresses_only_the_public_ones_are_connected_to() -> None:
    found = await PublicResolver(FixedResolver("10.0.0.1", "8.8.8.8")).resolve("mixed.example", 443)
    assert [result["host"] for result in found] == ["8.8.8.8"]
