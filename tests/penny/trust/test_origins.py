"""Which pages may talk to Penny."""

from __future__ import annotations

import pytest

from penny.trust.origins import is_allowed


pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("origin", "host", "allowed", "answer"),
    [
        (None, "penny.example", (), True),
        ("https://penny.example", "penny.example", (), True),
        ("http://127.0.0.1:8080", "127.0.0.1:8080", (), True),
        ("http://127.0.0.1:9999", "127.0.0.1:8080", (), False),
        ("https://evil.example", "penny.example", (), False),
        ("https://penny.example.evil.example", "penny.example", (), False),
        ("null", "penny.example", (), False),
        ("null", "", (), False),
        ("file://", "", (), False),
        ("", "", (), False),
        ("https://[::1", "penny.example", (), False),
        ("https://app.example", "penny.example", ("https://app.example",), True),
        ("https://APP.example", "penny.example", ("https://app.example/",), True),
        ("http://app.example", "penny.example", ("https://app.example",), False),
        ("https://anything.example", "penny.example", ("*",), True),
    ],
)
def test_own_pages_and_named_ones_pass(
    origin: str | None, host: str, allowed: tuple[str, ...], answer: bool
) -> None:
    assert is_allowed(origin, host, allowed) is answer
