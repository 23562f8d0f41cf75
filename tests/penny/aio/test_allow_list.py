"""Allow-lists: what counts as the same host, and what is refused."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from penny.aio.allow_list import MAX_COUNTED_HOSTS, OTHERS, AllowList, EgressRefused


pytestmark = pytest.mark.pure


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_always_allowed(host: str) -> None:
    assert AllowList().allows(host, 1234)


@pytest.mark.parametrize(
    ("entry", "host", "port", "allowed"),
    [
        ("llm.example", "llm.example", 8000, True),
        ("llm.example", "LLM.Example.", 8000, True),
        ("llm.example", "example", 8000, False),
        ("llm.example", "llm.example.evil", 8000, False),
        ("llm.example:8000", "llm.example", 8000, True),
        ("llm.example:8000", "llm.example", 8001, False),
        ("http://10.0.0.7:8000/v1", "10.0.0.7", 8000, True),
        ("http://10.0.0.7:8000/v1", "::ffff:10.0.0.7", 8000, True),
        ("wss://worker.example/v1", "worker.example", 443, True),
        ("wss://worker.example/v1", "worker.example", 80, False),
        ("redis://cache", "cache", 6379, True),
        ("[2001:db8::1]:443", "2001:db8:0::1", 443, True),
        ("10.0.0.7", "10.0.0.8", 80, False),
    ],
)
def test_a_host_is_allowed_by_name_and_port(
    entry: str, host: str, port: int, allowed: bool
) -> None:
    assert AllowList([entry]).allows(host, port) is allowed


def test_the_addresses_of_an_allowed_name_are_learned_with_its_ports() -> None:
    hosts = AllowList(["llm.example:8000"])
    hosts.learn("llm.example", ["192.0.2.7"])
    hosts.learn("other.example", ["192.0.2.8"])

    assert hosts.allows("192.0.2.7", 8000)
    assert not hosts.allows("192.0.2.7", 443)
    assert not hosts.allows("192.0.2.8", 8000)


def test_a_refusal_is_raised_logged_and_counted() -> None:
    hosts = AllowList()

    with capture_logs() as logs, pytest.raises(EgressRefused) as refused:
        hosts.check("tracker.example", 443)

    assert (refused.value.host, refused.value.port) == ("tracker.example", 443)
    assert isinstance(refused.value, OSError)  # libraries treat it as a network failure
    assert logs == [
        {"event": "egress_refused", "log_level": "error", "host": "tracker.example", "port": 443}
    ]
    assert hosts.refused == {"tracker.example": 1}


def test_the_count_stays_small_when_hosts_are_many() -> None:
    hosts = AllowList()
    for number in range(MAX_COUNTED_HOSTS + 5):
        with pytest.raises(EgressRefused):
            hosts.check(f"h{number}.example", 443)

    assert len(hosts.refused) == MAX_COUNTED_HOSTS + 1
    assert hosts.refused[OTHERS] == 5


def test_what_is_no_host_cannot_be_allowed() -> None:
    with pytest.raises(ValueError, match="not a host"):
        AllowList(["http://"])
