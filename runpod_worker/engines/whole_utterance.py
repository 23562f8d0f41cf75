"""An utterance for engines that transcribe recorded audio: collected, tried at pauses, finished.

At the first pause the words so far are transcribed while the turn detector still waits. If the
caller goes on, that is thrown away; if the turn ends there, the text is already at hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from penny.errors import EngineError
from runpod_worker.stages import STT_RATE_HZ, SttOptions, Transcript, has_words


log = structlog.get_logger()

BYTES_PER_MS = STT_RATE_HZ * 2 // 1000
MAX_HEARD_MS = 300_000
"""The longest turn the settings allow; what a client appends beyond it is not heard."""
MIN_TRIED_MS = 250
"""Less audio holds no word: trying it would only cost the others their turn in the batch."""


class Transcriber(Protocol):
    """Recorded audio to text."""

    async def transcribe(self, pcm: bytes, options: SttOptions) -> Transcript:
        """``pcm``: mono PCM16 at 16 kHz. Cancelling gives the place up. Raises EngineError."""
        ...


class WholeUtterance:
    """Utterance that is recorded, and transcribed whole at each pause.

    One turn of the caller; fulfils ``stages.Utterance``.

    Args:
        on_end: called once, when nothing more will be asked of this utterance.
    """

    def __init__(
        self,
        transcriber: Transcriber,
        options: SttOptions,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._transcriber = transcriber
        self._options = options
        self._on_end = on_end
        self._pcm = bytearray()
        self._trial: asyncio.Task[Transcript] | None = None
        self._words = ""
        self._ended = False

    def feed(self, pcm: bytes) -> None:
        self._pcm += pcm[: max(0, MAX_HEARD_MS * BYTES_PER_MS - len(self._pcm))]

    def pause(self) -> None:
        """Transcribe what is there, in case the turn ends here."""
        if self._ended or self._trial is not None:
            return
        if len(self._pcm) < MIN_TRIED_MS * BYTES_PER_MS:
            return
        self._trial = asyncio.create_task(
            self._transcriber.transcribe(bytes(self._pcm), self._options), name="stt trial"
        )
        self._trial.add_done_callback(self._note_trial)

    def resume(self) -> None:
        """The caller went on: the trial lacks words."""
        self._drop_trial()

    def partial(self) -> str:
        """The words at the last pause that was tried, or ''."""
        return self._words

    async def finish(self) -> Transcript:
        """The transcript of all that was fed; at once where the last trial already has it.

        Raises:
            EngineError: the engine failed, for a trial that failed once more on the whole.
        """
        try:
            if self._trial is not None:
                try:
                    return await self._trial
                except EngineError:
                    self._trial = None  # logged; the whole is worth another attempt
            return await self._transcriber.transcribe(bytes(self._pcm), self._options)
        finally:
            self._end()

    def cancel(self) -> None:
        """The words are not wanted: end the trial and drop the audio."""
        self._drop_trial()
        self._pcm.clear()
        self._end()

    def _drop_trial(self) -> None:
        if self._trial is not None:
            self._trial.cancel()
            self._trial = None

    def _note_trial(self, trial: asyncio.Task[Transcript]) -> None:
        if trial.cancelled():
            return
        failure = trial.exception()
        if failure is None:
            words = trial.result().text
            self._words = words if has_words(words) else ""
        else:
            code = failure.code if isinstance(failure, EngineError) else type(failure).__name__
            log.warning("stt_trial_failed", code=code)

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._on_end()
