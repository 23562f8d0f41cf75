"""Server-sent events: bytes of any cut -> the ``data`` of each event.

Pure, after the WHATWG definition (the fields ``event``, ``id`` and ``retry`` tell a chat client
nothing and are skipped).
"""

from __future__ import annotations


MAX_EVENT_BYTES = 1 << 20
"""A chat server's event holds a few tokens; one of a megabyte is another protocol."""


class ServerEvents:
    """``feed`` bytes as they come. Raises ValueError for an event beyond MAX_EVENT_BYTES."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[str]:
        """The data of every event that is whole now."""
        events = []
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            raise ValueError(f"an event is longer than {MAX_EVENT_BYTES} bytes")
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" ").decode("utf-8", "replace"))
            elif not line and self._data:
                events.append("\n".join(self._data))
                self._data.clear()
        return events
