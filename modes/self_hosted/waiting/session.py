"""The part of a Realtime server that needs no engine: a session's settings."""

from __future__ import annotations

import time
from typing import Any

from penny.ids import new_id
from penny.realtime.commands import Send
from penny.realtime.core import RealtimeCore
from penny.realtime.settings import CoreSettings


Json = dict[str, Any]


class WaitingSession:
    """The settings of a session that has no worker yet, and the answers to their changes.

    Args:
        updates: the session as the mode and the caller's side wish it to begin.
    """

    def __init__(self, *updates: Json) -> None:
        """Raises ValueError with the reason when an update is refused."""
        self._core = RealtimeCore(CoreSettings(), new_id)
        self._core.open(time.time())
        for update in updates:
            wishes = {"type": "realtime", **update}
            for event in self.update({"type": "session.update", "session": wishes}):
                if event["type"] == "error":
                    raise ValueError(str(event["error"].get("message")))

    @property
    def settings(self) -> Json:
        """The effective session."""
        return self._core.session

    def update(self, event: Json) -> list[Json]:
        """Answer a ``session.update`` as the protocol has it."""
        outputs = self._core.receive(event)
        return [output.event for output in outputs if isinstance(output, Send)]
