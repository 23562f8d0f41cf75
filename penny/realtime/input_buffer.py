"""The input audio buffer: positions only. The audio itself goes straight to the engine."""

from __future__ import annotations

from dataclasses import dataclass

from penny.realtime.speech import BYTES_PER_MS
from penny.realtime.table import INPUT_BUFFER, Staged


@dataclass(slots=True)
class InputBuffer(Staged):
    """Where the uncommitted audio begins on the input audio clock, and whether speech runs.

    Attributes:
        state: in the table ``INPUT_BUFFER``.
        item_id: announced for the speech in progress.
        is_quiet: what is uncommitted came after a detected turn, and has no detected speech.
    """

    table = INPUT_BUFFER

    state: str = "empty"
    item_id: str | None = None
    is_quiet: bool = False
    speech_start_ms: int = 0
    _total_bytes: int = 0
    _start_bytes: int = 0

    @property
    def end_ms(self) -> int:
        return self._total_bytes // BYTES_PER_MS

    @property
    def start_ms(self) -> int:
        return self._start_bytes // BYTES_PER_MS

    @property
    def uncommitted_ms(self) -> float:
        return (self._total_bytes - self._start_bytes) / BYTES_PER_MS

    def append(self, n_bytes: int, keep_ms: int | None) -> None:
        """Count core audio. Outside speech, what is older than ``keep_ms`` is let go."""
        self.apply("append")
        self._total_bytes += n_bytes
        if keep_ms is not None and self.state != "speaking":
            self._start_bytes = max(self._start_bytes, self._total_bytes - keep_ms * BYTES_PER_MS)

    def start_speech(self, audio_start_ms: int, item_id: str) -> None:
        self.item_id = item_id
        self.is_quiet = False
        self.speech_start_ms = max(audio_start_ms, self.start_ms)

    def take(self, end_ms: int | None = None) -> tuple[int, int]:
        """Commit what lies before ``end_ms`` (None: everything); return the span in ms."""
        start = self.speech_start_ms if self.item_id is not None else self.start_ms
        end = self.end_ms if end_ms is None else max(end_ms, start)
        if end_ms is None:
            self._start_bytes = self._total_bytes
        else:
            self._start_bytes = max(self._start_bytes, min(end * BYTES_PER_MS, self._total_bytes))
            if self._start_bytes < self._total_bytes:
                self.apply("append")  # what was said or silent after the turn stays
        self.item_id = None
        self.is_quiet = end_ms is not None
        return start, end

    def clear(self) -> None:
        self._start_bytes = self._total_bytes
        self.item_id = None
        self.is_quiet = False
