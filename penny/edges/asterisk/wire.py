"""What both wires of Asterisk's do alike: keys as sound, and what the dialplan does afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod

from penny.audio.format import AudioFormat
from penny.edges.asterisk.announced import Next, Places
from penny.edges.asterisk.keys_out import KeysOut


LINE = AudioFormat("pcm16", 8_000)
FRAME_BYTES = 320


class AsteriskWire(ABC):
    """A ``Wire`` that is let go in every case: its ``then`` tells the dialplan what comes next.

    Args:
        places: who can be rung after the call.
    """

    format = LINE
    needs_audio = True
    heard_within_s: float | None = 2.0

    def __init__(self, places: Places) -> None:
        self._places = places
        self._keys = KeysOut(LINE)
        self.then: Next = "away"
        """What the dialplan does once the connection is let go."""
        self.summary = ""
        """For the person who is rung then."""
        self.is_again = False
        """The call was connected before, and nothing came."""

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether Asterisk is still there."""

    @abstractmethod
    async def leave(self) -> None:
        """Let the connection go; the dialplan goes on as if Penny were away."""

    def send_keys(self, digits: str) -> None:
        """As sound, where nothing is said: neither wire has a command that keeps the call."""
        self._keys.send(digits)

    def can_transfer(self, destination: str) -> bool:
        return destination in self._places.names

    async def transfer(self, destination: str, summary: str) -> bool:
        """Leave; the dialplan rings the place. False where it knows none."""
        found = self._places.find(destination)
        if found is None:
            return False
        self.then, self.summary = found, summary
        await self.leave()
        return True

    async def connect_anew(self) -> None:
        """The dialplan announces the call again; the second time it goes on without Penny."""
        if self.is_open and not self.is_again:
            self.then = "again"
        await self.leave()

    async def hang_up(self) -> None:
        """Let the connection go; the dialplan hangs up, unless it has lost Penny already."""
        if self.is_open:
            self.then = "done"
        await self.leave()
