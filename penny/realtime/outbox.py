"""Collects what one call of the core answers, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penny.realtime.commands import Output, Send


class Outbox:
    """Outputs since the last drain. Bounded by what a single message or report can cause."""

    def __init__(self, new_id: Callable[[str], str]) -> None:
        self._new_id = new_id
        self._outputs: list[Output] = []

    def send(self, event_type: str, **fields: Any) -> None:
        """Add a server event with an ``event_id`` of its own."""
        self._outputs.append(
            Send({"type": event_type, "event_id": self._new_id("event"), **fields})
        )

    def command(self, output: Output) -> None:
        self._outputs.append(output)

    def drain(self) -> list[Output]:
        outputs, self._outputs = self._outputs, []
        return outputs
