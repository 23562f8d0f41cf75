"""Whisper by faster-whisper: the same file for the project's small closed set and for large-v3.

A pause starts a transcription in the thread pool; if the caller goes on it is thrown away, else
its text is there when the turn ends.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.transcribe import Segment, TranscriptionInfo

from penny.errors import EngineError
from runpod_worker.stages import STT_RATE_HZ, EngineInfo, SttOptions, Transcript, Word


MAX_UTTERANCE_BYTES = STT_RATE_HZ * 2 * 60


@dataclass(frozen=True, slots=True)
class WhisperSettings:
    """``model`` is a folder with ``model.bin`` and ``tokenizer.json``; nothing is downloaded.

    The thresholds are Whisper's own: text below ``log_prob`` is not understood, and speech is
    denied above ``no_speech`` when the text is unlikely too.
    """

    model: str
    name: str = "faster-whisper"
    device: str = "auto"
    compute_type: str = "default"
    cpu_threads: int = 1
    workers: int = 1
    beam_size: int = 5
    temperature: float = 0.0
    log_prob: float = -1.0
    no_speech: float = 0.6
    compression_ratio: float = 2.4
    words: bool = True
    language: str | None = None
    closed_set: bool = False


class FasterWhisper:
    """Stt. One model for all callers; ``workers`` transcriptions run at once, others wait."""

    def __init__(self, settings: WhisperSettings) -> None:
        """Loads the model (blocking). Raises EngineError if it is not there or not whole."""
        self.settings = settings
        self.info = EngineInfo(name=settings.name, languages=("*",), closed_set=settings.closed_set)
        try:
            self._model = WhisperModel(
                settings.model,
                device=settings.device,
                compute_type=settings.compute_type,
                cpu_threads=settings.cpu_threads,
                num_workers=settings.workers,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise EngineError(
                f"Whisper does not load from {settings.model}: {error}", stage="stt"
            ) from error
        self._threads = ThreadPoolExecutor(settings.workers, thread_name_prefix="whisper")

    def begin(self, options: SttOptions) -> WhisperUtterance:
        return WhisperUtterance(self, options)

    def count_tokens(self, text: str) -> int:
        return len(self._model.hf_tokenizer.encode(text, add_special_tokens=False).ids)

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def submit(self, pcm: bytes, options: SttOptions) -> asyncio.Future[Transcript]:
        """Transcribe in a thread. Raises EngineError when closed."""
        loop = asyncio.get_running_loop()
        try:
            return loop.run_in_executor(self._threads, self.transcribe, pcm, options)
        except RuntimeError as error:
            raise EngineError("the STT is closed", stage="stt") from error

    def transcribe(self, pcm: bytes, options: SttOptions) -> Transcript:
        """In a thread: PCM16 at 16 kHz -> text. Raises EngineError."""
        settings = self.settings
        samples = np.frombuffer(pcm, np.int16).astype(np.float32) / 32768
        try:
            segments, info = self._model.transcribe(
                samples,
                language=options.language or settings.language,
                beam_size=settings.beam_size,
                temperature=settings.temperature,
                compression_ratio_threshold=settings.compression_ratio,
                log_prob_threshold=settings.log_prob,
                no_speech_threshold=settings.no_speech,
                condition_on_previous_text=False,
                initial_prompt=options.prompt or None,
                hotwords=", ".join(options.hot_words) or None,
                word_timestamps=settings.words,
            )
            return self._write(list(segments), info)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"Whisper failed: {error}", stage="stt") from error

    def _write(self, segments: list[Segment], info: TranscriptionInfo) -> Transcript:
        text = "".join(segment.text for segment in segments).strip()
        if not text:
            return Transcript("", info.language, understood=False)
        lengths = [max(0.01, segment.end - segment.start) for segment in segments]
        mean = float(np.average([s.avg_logprob for s in segments], weights=lengths))
        words = tuple(
            Word(
                word.word.strip(),
                round(word.start * 1000),
                round(word.end * 1000),
                word.probability,
            )
            for segment in segments
            for word in segment.words or ()
        )
        return Transcript(
            text,
            info.language,
            understood=mean >= self.settings.log_prob,
            confidence=float(np.exp(mean)),
            words=words,
        )


class WhisperUtterance:
    """Utterance. Audio beyond 60 s is not heard."""

    def __init__(self, engine: FasterWhisper, options: SttOptions) -> None:
        self._engine = engine
        self._options = options
        self._audio = bytearray()
        self._early: asyncio.Future[Transcript] | None = None
        self._early_bytes = 0

    def feed(self, pcm: bytes) -> None:
        self._audio += pcm[: max(0, MAX_UTTERANCE_BYTES - len(self._audio))]

    def pause(self) -> None:
        self._drop()
        if self._audio:
            self._early = self._engine.submit(bytes(self._audio), self._options)

    def resume(self) -> None:
        self._drop()

    def partial(self) -> str:
        early = self._early
        if early is None or not early.done() or early.cancelled() or early.exception():
            return ""
        return early.result().text

    async def finish(self) -> Transcript:
        """Raises EngineError."""
        early, self._early = self._early, None
        if early is None:
            early = self._engine.submit(bytes(self._audio), self._options)
        return await early

    def cancel(self) -> None:
        """What a thread has begun it finishes, and nobody reads it."""
        self._drop()
        self._audio.clear()

    def _drop(self) -> None:
        early, self._early = self._early, None
        if early is not None and not early.cancel() and not early.cancelled():
            early.exception()  # looked at, so that a failure nobody waits for is not reported
