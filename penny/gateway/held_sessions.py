"""Sessions of this gateway that a lost client may take up again, by the token it was given."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from penny.edges.socket.wire import Line
from penny.errors import ProtocolError
from penny.ids import new_id
from penny.trust.identity import Identity


class HoldableEdge(Protocol):
    """An edge that outlives its connection."""

    name: str

    def resume(self, session_id: str, line: Line, received: int) -> bool: ...

    async def read(self, line: Line | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class _Held:
    session_id: str
    edge: HoldableEdge
    identity: Identity


class HeldSessions:
    """Bounded by the live sessions; only digests of tokens are kept."""

    def __init__(self, token_prefix: str = "resume") -> None:
        self._token_prefix = token_prefix
        self._held: dict[str, _Held] = {}
        self.resumed = 0

    def add(self, session_id: str, edge: HoldableEdge, identity: Identity) -> str:
        """Return the token that takes this session up again."""
        token = new_id(self._token_prefix)
        self._held[_digest(token)] = _Held(session_id, edge, identity)
        return token

    def forget(self, token: str) -> None:
        self._held.pop(_digest(token), None)

    def resume(
        self, token: str, received: int, line: Line, identity: Identity, *, name: str
    ) -> HoldableEdge:
        """Give a session its new connection.

        Args:
            received: messages the client has of it.
            name: of the edge that this connection belongs to.

        Raises:
            ProtocolError: ``resume_failed``: another's session, one that is over, or one that
                went on for too long.
        """
        held = self._held.get(_digest(token))
        # Another's token and none at all get the same answer: nobody learns what exists.
        mine = (
            held is not None
            and held.edge.name == name
            and _owner(held.identity) == _owner(identity)
        )
        if held is None or not mine or not held.edge.resume(held.session_id, line, received):
            raise ProtocolError(
                "resume_token: this session is over or not known here; start another",
                code="resume_failed",
                field="resume_token",
            )
        self.resumed += 1
        return held.edge


def _owner(identity: Identity) -> tuple[str, str]:
    return identity.tenant, identity.key_id


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
