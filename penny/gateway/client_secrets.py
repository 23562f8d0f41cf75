"""Short-lived keys for browsers: minted by `POST /v1/realtime/client_secrets`, good for one config.

A browser must never hold an operator's key. It gets a secret that dies within two hours and opens
only sessions with the configuration it was minted for. Kept in memory: a restart forgets them,
which is the safe side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penny.errors import ProtocolError
from penny.ids import new_id
from penny.realtime.session_config import describe_session, update_session
from penny.realtime.settings import CoreSettings


Json = dict[str, Any]

MIN_LIFE_S = 10
MAX_LIFE_S = 7200
DEFAULT_LIFE_S = 600
"""OpenAI's own bounds and default (realtime-protocol.md, section 1)."""
MAX_SECRETS = 10_000


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """``session`` is what was asked for, ``effective`` the session object that follows from it."""

    value: str
    expires_at: int
    session: Json
    effective: Json


class ClientSecrets:
    """Mints and knows client secrets; only their hashes are kept.

    Args:
        wall_clock: seconds since the epoch; ``expires_at`` is told to clients.
    """

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._known: dict[bytes, ClientSecret] = {}

    def mint(self, request: Json) -> ClientSecret:
        """Return a new secret. Raises ProtocolError naming the field that is wrong."""
        life_s = self._life_s(request.get("expires_after"))
        session, effective = _check_session(request.get("session"))
        self._forget_expired()
        if len(self._known) >= MAX_SECRETS:
            raise ProtocolError(
                "too many client secrets are alive; let some expire", code="rate_limited"
            )
        secret = ClientSecret(new_id("ek"), int(self._wall_clock()) + life_s, session, effective)
        self._known[_digest(secret.value)] = secret
        return secret

    def find(self, value: str) -> ClientSecret | None:
        """The living secret of that value, else None."""
        secret = self._known.get(_digest(value))
        if secret is None or secret.expires_at <= self._wall_clock():
            return None
        return secret

    def _life_s(self, expires_after: Any) -> int:
        if expires_after is None:
            return DEFAULT_LIFE_S
        if not isinstance(expires_after, dict):
            raise ProtocolError("expires_after: must be an object", field="expires_after")
        if expires_after.get("anchor", "created_at") != "created_at":
            raise ProtocolError(
                "expires_after.anchor: only 'created_at' exists", field="expires_after.anchor"
            )
        seconds = expires_after.get("seconds")
        if seconds is None:
            return DEFAULT_LIFE_S
        if isinstance(seconds, bool) or not isinstance(seconds, int):
            raise ProtocolError(
                "expires_after.seconds: must be a whole number", field="expires_after.seconds"
            )
        if not MIN_LIFE_S <= seconds <= MAX_LIFE_S:
            raise ProtocolError(
                f"expires_after.seconds: {seconds} is out of range; use {MIN_LIFE_S} to "
                f"{MAX_LIFE_S}",
                field="expires_after.seconds",
            )
        return seconds

    def _forget_expired(self) -> None:
        now_s = self._wall_clock()
        for digest in [d for d, secret in self._known.items() if secret.expires_at <= now_s]:
            del self._known[digest]


def _check_session(given: Any) -> tuple[Json, Json]:
    """The session asked for and the whole object it leads to; the one who mints hears of faults."""
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise ProtocolError("session: must be an object", field="session")
    model = given.get("model")
    if model is not None and (not isinstance(model, str) or not 0 < len(model) <= 128):
        raise ProtocolError("session.model: must be a model's name", field="session.model")
    settings = CoreSettings(model=model or "penny")
    wanted = {"type": "realtime", **given, "model": settings.model}
    default = describe_session(settings, new_id("sess"), 0)
    return given, update_session(default, wanted, settings, spoke=False)


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()
