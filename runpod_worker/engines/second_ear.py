"""A closed-set Whisper as the second opinion on a Spanish phrase."""

from __future__ import annotations

from typing import Protocol


class SecondHearing(Protocol):
    """The second recogniser's side of one utterance.

    One utterance; ``finish`` gives the text heard, or "". Raises EngineError.
    """

    def feed(self, pcm: bytes) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    async def finish(self) -> str: ...

    def cancel(self) -> None: ...


class SecondEar(Protocol):
    """A second recogniser that hears the same utterance as the embedded one."""

    def begin(self) -> SecondHearing: ...

    def close(self) -> None: ...
