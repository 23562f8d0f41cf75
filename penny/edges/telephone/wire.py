"""What a telephone edge asks of its carrier: one call's connection, whatever protocol it speaks.

Two directions. The edge calls a ``Wire``; the carrier's side calls ``PhoneEdge.hear``, ``press``,
``marked``, ``left`` and ``lost``. Nothing here waits: what a carrier is slow to take it buffers and
bounds itself, and says ``lost`` when it gives up.
"""

from __future__ import annotations

from typing import Protocol

from penny.audio.format import AudioFormat
from penny.errors import PennyError


class Wire(Protocol):
    """One call's connection to its carrier."""

    format: AudioFormat
    """Of both directions, for the whole call."""
    lead_ms: int
    """How far ahead of being heard audio leaves: what the far side buffers and can drop again. 0
    where it passes on at once what it gets, so that what was written cannot be recalled."""
    tells_played: bool
    """Whether a mark comes back (``PhoneEdge.marked``) once the audio before it was played."""
    needs_audio: bool
    """Whether the far side drops a call that sends nothing: then silence flows too."""
    dead_after_s: float | None
    """A peer of whom nothing came for so long is gone; None where the connection finds out by
    itself (pings)."""
    heard_within_s: float | None
    """A caller of whom no sound came so long after the answer is not connected; None: not looked
    at."""

    def play(self, frame: bytes) -> None:
        """Send 20 ms of audio in ``format``; always whole frames."""
        ...

    def mark(self, name: str) -> None:
        """Have ``name`` (20 characters at most) come back when the audio so far was played. Only
        where ``tells_played``."""
        ...

    def flush(self) -> None:
        """Drop what the far side has not played yet, where it can. Marks of what is dropped may
        come back or not."""
        ...

    def send_keys(self, digits: str) -> None:
        """Send DTMF to the far side: of 0-9, *, #, A-D, and w for half a second's wait."""
        ...

    def can_transfer(self, destination: str) -> bool:
        """Whether ``destination`` is a name that ``transfer`` knows as such."""
        ...

    async def transfer(self, destination: str, summary: str) -> bool:
        """Hand the call over and leave; False where that cannot be done, and the call is still
        here. ``destination`` is a name of the operator's, never a number from a model;
        ``summary`` is for the one who takes it, where the carrier can tell them."""
        ...

    async def hang_up(self) -> None:
        """End the call on the carrier's side and let the connection go. Idempotent."""
        ...

    async def leave(self) -> None:
        """Let the connection go without ending the call: something failed here, and what the
        carrier was told to do then (a sentence, a person) comes next. Idempotent."""
        ...

    async def connect_anew(self) -> None:
        """No sound of the caller's came: ``leave``, and where the carrier can, have it connect the
        call once more, once. Idempotent."""
        ...


class CarrierRefused(PennyError):
    """The carrier did not take a request; ``retryable`` where it may take the same one later.

    Args:
        is_open: whether it may have done it all the same.
        status: of its HTTP answer; 0 where none came.
    """

    code = "carrier_refused"

    def __init__(
        self, message: str, *, retryable: bool, is_open: bool = False, status: int = 0
    ) -> None:
        super().__init__(message, retryable=retryable)
        self.is_open = is_open
        self.status = status
