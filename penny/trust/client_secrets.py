"""Short-lived keys for browsers: minted by `POST /v1/realtime/client_secrets`, good for one config.

A browser must never hold an operator's key. It gets a secret that dies within two hours, opens
only sessions with the configuration it was minted for, in the name of the key that minted it, and
with ``"single_use": true`` opens one session only. The store keeps nothing but digests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penny.errors import ProtocolError
from penny.ids import digest_of, new_id
from penny.realtime.session_config import (
    TRANSCRIPTION,
    describe_session,
    describe_transcription,
    update_session,
)
from penny.realtime.settings import CoreSettings
from penny.trust.identity import Identity
from penny.trust.store import Store
from penny.writable import dump_json


Json = dict[str, Any]

MAX_SESSION_BYTES = 65_536
SECRET_PREFIX = "ek_"
MIN_LIFE_S = 10
MAX_LIFE_S = 7200
DEFAULT_LIFE_S = 600
"""OpenAI's own bounds and default of ``expires_after.seconds``
(https://platform.openai.com/docs/api-reference/realtime-sessions/create-realtime-client-secret)."""


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A short-lived key for a browser, bound to one session.

    ``session`` is what was asked for, ``effective`` the session object that follows from it.
    """

    value: str
    expires_at: int
    session: Json
    effective: Json


class ClientSecrets:
    """Mints client secrets and finds whose they are.

    Args:
        store: where they live; shared by every gateway when there is a Redis.
        wall_clock: seconds since the epoch; ``expires_at`` is told to clients.
    """

    def __init__(self, store: Store, wall_clock: Callable[[], float]) -> None:
        self._store = store
        self._wall_clock = wall_clock

    async def mint(self, request: Json, owner: Identity) -> ClientSecret:
        """Return a new secret of ``owner``. Raises ProtocolError naming the field that is wrong."""
        life_s = _life_s(request.get("expires_after"))
        session, effective = check_session(request.get("session"))
        single_use = request.get("single_use", False)
        if not isinstance(single_use, bool):
            raise ProtocolError("single_use: must be true or false", field="single_use")
        secret = ClientSecret(new_id("ek"), int(self._wall_clock()) + life_s, session, effective)
        payload = {
            "session": session,
            "tenant": owner.tenant,
            "key_id": owner.key_id,
            "single_use": single_use,
        }
        await self._store.put_secret(digest_of(secret.value), payload, life_s)
        return secret

    async def find(self, value: str) -> Identity | None:
        """In whose name, and for which session, the living secret of that value opens one."""
        payload = await self._store.find_secret(digest_of(value))
        if payload is None:
            return None
        return Identity(
            payload["tenant"],
            payload["key_id"],
            session=payload["session"],
            secret=digest_of(value),
            single_use=payload["single_use"],
        )

    async def use(self, identity: Identity) -> bool:
        """Whether a session may begin: it, and nothing else, uses a single-use secret up."""
        return not identity.single_use or await self._store.take_secret(identity.secret)


def _life_s(expires_after: Any) -> int:
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
            f"expires_after.seconds: {seconds} is out of range; use {MIN_LIFE_S} to {MAX_LIFE_S}",
            field="expires_after.seconds",
        )
    return seconds


def check_session(given: Any) -> tuple[Json, Json]:
    """The session asked for and the whole object it leads to; the one who asks hears of faults.

    Raises:
        ProtocolError: it is no session.
    """
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise ProtocolError("session: must be an object", field="session")
    model = given.get("model")
    if model is not None and (not isinstance(model, str) or not 0 < len(model) <= 128):
        raise ProtocolError("session.model: must be a model's name", field="session.model")
    # What the recogniser of its mode cannot do is refused when a session begins.
    settings = CoreSettings(model=model or "penny", tells_logprobs=True, tells_speakers=True)
    wanted = {"type": "realtime", **given, "model": settings.model}
    if len(dump_json(given)) > MAX_SESSION_BYTES:
        raise ProtocolError(
            f"session: longer than {MAX_SESSION_BYTES} bytes; shorten its instructions or tools",
            field="session",
        )
    describe = describe_transcription if wanted["type"] == TRANSCRIPTION else describe_session
    default = describe(settings, new_id("sess"), 0)
    return given, update_session(default, wanted, settings, spoke=False)
