"""What a gateway's process tells on its first lines."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from penny.gateway.process import url_of


pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("localhost", "http://localhost:8080"),
        ("::1", "http://[::1]:8080"),
        ("::", "http://[::]:8080"),
    ],
)
def test_an_address_is_told_as_a_browser_takes_it(host: str, shown: str) -> None:
    assert url_of(host, 8080) == shown
    assert (urlsplit(shown).hostname, urlsplit(shown).port) == (host, 8080)
