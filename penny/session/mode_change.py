"""A session that goes on in another mode than it began in: from then on it is that one's.

The speaker tells it (``penny.mode_changed``, with ``mode``) before a word goes to who answers now;
every list, count and log line of the session names the new mode from here on.
"""

from __future__ import annotations

import structlog

from penny.session.observer import Json
from penny.session.session import Session


log = structlog.get_logger()

MODE_CHANGED = "penny.mode_changed"


class ModeChange:
    """Args: counted: sessions that moved, by (from, to)."""

    listens_to = (MODE_CHANGED,)

    def __init__(self, session: Session, counted: dict[tuple[str, str], int]) -> None:
        self._session = session
        self._counted = counted

    def caller_event(self, event: Json, at_s: float) -> None:
        """No caller moves itself."""

    def speaker_event(self, event: Json, at_s: float) -> None:
        before, self._session.mode = self._session.mode, event["mode"]
        way = (before, self._session.mode)
        self._counted[way] = self._counted.get(way, 0) + 1
        log.warning("session_mode_changed", session_id=self._session.id, before=before, mode=way[1])

    def ended(self, reason: str, at_s: float) -> None: ...
