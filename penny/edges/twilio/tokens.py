"""Tokens of streams: who is let in, to which call, for a minute. Pure.

A webhook's signature can be replayed, and a stream's names no call. So the webhook's answer carries
a token that is signed over the call, and the stream brings it back in its first message. Signed
and not stored, it is known to every process of a gateway; that it is used once, the record of what
a carrier told sees to (``DialBook.take_once``), which they share.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping

import orjson


VALID_S = 60
_ABOUT = b"penny stream token"


class StreamTokens:
    """Mints and checks tokens.

    Args:
        secret: known to every process of this gateway and to nothing else but the carrier.
    """

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), _ABOUT, hashlib.sha256)

    def mint(self, call_sid: str, about: Mapping[str, str], now_s: float) -> str:
        """A token for this call's stream; ``about`` comes back with it. ``now_s``: Unix time."""
        claims = {**about, "sid": call_sid, "until": int(now_s) + VALID_S}
        body = urlsafe_b64encode(orjson.dumps(claims)).decode()
        return f"{body}.{self._sign(body)}"

    def take(self, token: str, call_sid: str, now_s: float) -> dict[str, str] | None:
        """What the token tells of the call; None where it is forged, late or another's."""
        body, _, signature = token.partition(".")
        if not token.isascii() or not hmac.compare_digest(signature, self._sign(body)):
            return None
        claims: dict[str, str] = orjson.loads(urlsafe_b64decode(body))
        until = int(claims.pop("until"))
        if claims.pop("sid") != call_sid or now_s > until:
            return None
        return claims

    def _sign(self, body: str) -> str:
        return hmac.digest(self._key, body.encode(), hashlib.sha256).hex()
