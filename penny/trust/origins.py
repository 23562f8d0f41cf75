"""Which web pages may talk to Penny: its own, and those an operator names. Pure.

Browsers let any page open a WebSocket anywhere; the Origin header is what tells. Programs send
none and are no business of this rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit


def is_allowed(origin: str | None, host: str, allowed: Sequence[str]) -> bool:
    """Whether a request of that Origin and Host headers may go on.

    Args:
        allowed: origins such as ``https://app.example``; ``*`` allows every page.
    """
    if origin is None or "*" in allowed:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    own = parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower() != ""
    return own or origin.lower() in {name.lower().rstrip("/") for name in allowed}
