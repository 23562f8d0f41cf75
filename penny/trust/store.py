"""What gateways share: places taken, use of the day, client secrets, sessions, hang-ups.

``MemoryStore`` is one gateway's own, ``RedisStore`` that of many, ``ResilientStore`` the second
with the first to fall back on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from penny.errors import ProtocolError
from penny.trust.limits import Denial, Scope


Json = dict[str, Any]

OnHangUp = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Place:
    """A session's entry: its scopes and what an operator is shown of it (``record``)."""

    session_id: str
    scopes: tuple[Scope, ...]
    record: Json


@dataclass(frozen=True, slots=True)
class DayUse:
    """What a scope has used today, after a charge."""

    scope: str
    seconds: float
    usd: float


class StoreLost(Exception):
    """The shared store does not answer."""


MAX_SECRETS = 2_000
MAX_SECRET_BYTES = 8 * 1024 * 1024
"""Client secrets that one tenant may have alive, and all of them together."""


def check_room(count: int, size: int) -> None:
    """Raises ProtocolError when a tenant's secrets have no room for another."""
    if count > MAX_SECRETS or size > MAX_SECRET_BYTES:
        raise ProtocolError(
            "too many client secrets of this tenant are alive; let some expire",
            code="rate_limited",
            retryable=True,
        )


class Store(Protocol):
    """Every method may raise StoreLost, except those of MemoryStore and ResilientStore."""

    async def admit(self, place: Place) -> Denial | None:
        """Take a place in every scope, or in none and tell why. Atomic across gateways."""
        ...

    async def renew(self, places: Sequence[Place]) -> None:
        """Say that these sessions live; one that was forgotten is entered again."""
        ...

    async def release(self, place: Place) -> None: ...

    async def charge(self, used: Mapping[Scope, tuple[float, float]]) -> tuple[DayUse, ...]:
        """Add seconds and US dollars to the day of each scope; what each comes to."""
        ...

    async def list_sessions(self) -> list[Json]:
        """The records of every live session of every gateway."""
        ...

    async def hang_up(self, session_id: str) -> None:
        """Tell every gateway that this session shall end."""
        ...

    async def put_secret(self, digest: str, payload: Json, life_s: int) -> None:
        """Keep a payload, which names its ``tenant``. Raises ProtocolError as ``check_room``."""
        ...

    async def find_secret(self, digest: str) -> Json | None:
        """The living payload."""
        ...

    async def take_secret(self, digest: str) -> bool:
        """Forget it; of all gateways that ask, one is told True."""
        ...

    async def start(self, on_hang_up: OnHangUp) -> None: ...

    async def aclose(self) -> None: ...
