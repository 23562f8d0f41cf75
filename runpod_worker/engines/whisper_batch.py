"""One Whisper model for all calls: passages that come together are decoded together.

A thread of its own takes the first passage, waits a few milliseconds for others and decodes them
in one run. Whisper's encoder costs the same for one second and for thirty, and a GPU decodes
eight at nearly the price of one; several threads on one model only queue inside it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from penny.errors import EngineError
from runpod_worker.engines.whisper_decoder import Passage
from runpod_worker.stages import SttOptions, Transcript


class Decoder(Protocol):
    """What decodes a batch of passages in one call."""

    def group(self, passage: Passage) -> Hashable: ...

    def decode(self, passages: Sequence[Passage]) -> list[Transcript]: ...


@dataclass(slots=True)
class _Waiting:
    """A passage in the queue, and the future that gets its transcript."""

    passage: Passage
    group: Hashable
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Transcript]
    since_s: float = field(default_factory=time.monotonic)


class WhisperBatch:
    """Batching queue before one Whisper model.

    The queue before one model.

    Bounded: a passage beyond ``max_waiting`` is refused with ``stt_overloaded``, because a caller
    behind that many would be answered too late to care. A batch closes after ``window_s``, when
    it is full, or when no other caller is speaking who could still join it.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        window_s: float = 0.015,
        max_batch: int = 8,
        max_waiting: int = 64,
    ) -> None:
        self._decoder = decoder
        self._window_s = window_s
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._waiting: list[_Waiting] = []
        self._changed = threading.Condition()
        self._callers = 0
        self._closed = False
        self.batches: dict[int, int] = {}
        """How many runs had how many passages."""
        self._thread = threading.Thread(target=self._run, name="whisper", daemon=True)
        self._thread.start()

    def enter(self) -> None:
        """A caller began to speak and may want a place soon."""
        with self._changed:
            self._callers += 1

    def leave(self) -> None:
        """That caller wants nothing more."""
        with self._changed:
            self._callers -= 1
            self._changed.notify()

    async def transcribe(self, pcm: bytes, options: SttOptions) -> Transcript:
        """PCM16 at 16 kHz to text. Cancelling gives up the place, or the result of the run.

        Raises:
            EngineError: overloaded, closed, or the model failed.
        """
        audio = np.frombuffer(pcm, "<i2").astype(np.float32) * np.float32(1 / 32768)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Transcript] = loop.create_future()
        passage = Passage(audio, options, lambda: not answer.cancelled())
        waiting = _Waiting(passage, self._decoder.group(passage), loop, answer)
        with self._changed:
            if self._closed:
                raise EngineError("the STT is closed", stage="stt", retryable=False)
            if len(self._waiting) >= self._max_waiting:
                raise EngineError(
                    f"{self._max_waiting} passages already wait for the model",
                    stage="stt",
                    code="stt_overloaded",
                )
            self._waiting.append(waiting)
            self._changed.notify()
        return await waiting.answer

    def close(self) -> None:
        """Take nothing more; the run in progress ends by itself, and with it the thread."""
        with self._changed:
            self._closed = True
            rest, self._waiting = self._waiting, []
            self._changed.notify()
        for waiting in rest:
            _deliver(waiting, EngineError("the STT is closed", stage="stt", retryable=False))

    async def aclose(self) -> None:
        """As ``close``, and wait for the run in progress."""
        self.close()
        await asyncio.to_thread(self._thread.join)

    # -- the model's thread ---------------------------------------------------------------------

    def _run(self) -> None:
        while batch := self._next_batch():
            self.batches[len(batch)] = self.batches.get(len(batch), 0) + 1
            try:
                transcripts = self._decoder.decode([waiting.passage for waiting in batch])
            except Exception as error:  # whatever a native library raises, its callers must know
                for waiting in batch:
                    _deliver(waiting, _failure(error))
            else:
                for waiting, transcript in zip(batch, transcripts, strict=True):
                    _deliver(waiting, transcript)

    def _next_batch(self) -> list[_Waiting]:
        """Wait for a batch; empty when closed."""
        with self._changed:
            while True:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return []
                closes_s = self._waiting[0].since_s + self._window_s
                while not self._is_full() and (left_s := closes_s - time.monotonic()) > 0:
                    self._changed.wait(left_s)
                batch = self._take()
                if batch:
                    return batch

    def _is_full(self) -> bool:
        waiting = [one for one in self._waiting if not one.answer.cancelled()]
        return self._closed or len(waiting) >= min(self._max_batch, max(1, self._callers))

    def _take(self) -> list[_Waiting]:
        """The oldest passage and those of its group; others keep their places."""
        self._waiting = [one for one in self._waiting if not one.answer.cancelled()]
        if not self._waiting:
            return []
        group = self._waiting[0].group
        batch = [one for one in self._waiting if one.group == group][: self._max_batch]
        taken = set(map(id, batch))
        self._waiting = [one for one in self._waiting if id(one) not in taken]
        return batch


def _failure(error: Exception) -> EngineError:
    if isinstance(error, EngineError):
        return error
    failure = EngineError(f"Whisper failed: {error}", stage="stt")
    failure.__cause__ = error
    return failure


def _deliver(waiting: _Waiting, outcome: Transcript | EngineError) -> None:
    def set_answer() -> None:
        if waiting.answer.done():
            return
        if isinstance(outcome, EngineError):
            waiting.answer.set_exception(outcome)
        else:
            waiting.answer.set_result(outcome)

    if not waiting.loop.is_closed():
        waiting.loop.call_soon_threadsafe(set_answer)
