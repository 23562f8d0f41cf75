"""Sessions of this gateway that a lost client may take up again, by the token it was given."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from penny.aio.websocket import SocketConnection
from penny.edges.socket.edge import SocketEdge
from penny.errors import ProtocolError
from penny.ids import digest_of, new_id
from penny.trust.identity import Identity


log = structlog.get_logger()

LOST_S = 2.0
"""A client that comes back does so within this, as far as its network lets it."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A live session that its token takes up again, and whose it is."""

    session_id: str
    edge: SocketEdge
    identity: Identity


class HeldSessions:
    """The sessions of `/ws` that a lost client may resume, by the digest of their token.

    Bounded by the live sessions; no token is kept itself.
    """

    def __init__(self, token_prefix: str = "resume") -> None:
        self._token_prefix = token_prefix
        self._held: dict[str, _Held] = {}
        self.resumed = 0

    def add(self, session_id: str, edge: SocketEdge, identity: Identity) -> str:
        """Return the token that takes this session up again."""
        token = new_id(self._token_prefix)
        self._held[digest_of(token)] = _Held(session_id, edge, identity)
        return token

    def forget(self, token: str) -> None:
        self._held.pop(digest_of(token), None)

    def give_up_longest_lost(self, now_s: float) -> bool:
        """End the session whose client is lost the longest, for one who is there.

        Args:
            now_s: by the loop's clock. Clients lost less than ``LOST_S`` ago may be coming back.
        """
        lost = [
            (held.edge.lost_s, held)
            for held in self._held.values()
            if held.edge.lost_s is not None and now_s - held.edge.lost_s >= LOST_S
        ]
        if not lost:
            return False
        _, longest = min(lost, key=lambda each: each[0])
        log.info("lost_session_given_up", session_id=longest.session_id)
        longest.edge.give_up()
        return True

    def resume(
        self, token: str, received: int, connection: SocketConnection, identity: Identity
    ) -> None:
        """Give a session its new connection.

        Args:
            received: messages the client has of it.

        Raises:
            ProtocolError: ``resume_failed``: another's session, one that is over, or one that
                went on for too long.
        """
        held = self._held.get(digest_of(token))
        # Another's token and none at all get the same answer: nobody learns what exists.
        mine = held is not None and _is_same(held.identity, identity)
        if (
            held is None
            or not mine
            or not held.edge.reconnect(held.session_id, connection, received)
        ):
            raise ProtocolError(
                "resume_token: this session is over or not known here; start another",
                code="resume_failed",
                field="resume_token",
            )
        self.resumed += 1


def _is_same(one: Identity, other: Identity) -> bool:
    """Whether both show the same key, or the very client secret, alive or not."""
    if other.secret and one.secret == other.secret:
        return True
    return (one.tenant, one.key_id) == (other.tenant, other.key_id)
