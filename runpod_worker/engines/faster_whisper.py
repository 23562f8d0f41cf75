"""Whisper by faster-whisper: the same file for the project's small closed set and for large-v3.

One model for all callers, behind a queue that decodes those of the same moment together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from faster_whisper import WhisperModel

from penny.errors import EngineError
from runpod_worker.engines.whisper_batch import WhisperBatch
from runpod_worker.engines.whisper_decoder import Decoding, WhisperDecoder
from runpod_worker.engines.whole_utterance import WholeUtterance
from runpod_worker.machine import usable_cores
from runpod_worker.stages import EngineInfo, SttOptions, Transcript


@dataclass(frozen=True, slots=True)
class WhisperSettings:
    """Settings of a Whisper model, resolved.

    ``model`` is a folder with ``model.bin`` and ``tokenizer.json``; nothing is downloaded.

    The thresholds are Whisper's own: text below ``log_prob`` is not understood, and speech is
    denied above ``no_speech`` when the text is unlikely too. ``hot_words`` are for sessions that
    bring none of their own.
    """

    model: str
    name: str = "faster-whisper"
    device: str = "auto"
    compute_type: str = "default"
    cpu_threads: int = 1
    window_s: int = 30
    languages: tuple[str, ...] = ()
    beam_size: int = 5
    temperatures: tuple[float, ...] = (0.0,)
    log_prob: float = -1.0
    no_speech: float = 0.6
    compression_ratio: float = 2.4
    language: str | None = None
    hot_words: tuple[str, ...] = ()
    batch_window_ms: float = 15.0
    max_batch: int = 8


class FasterWhisper:
    """Whisper in process, on CTranslate2.

    Stt, and the Transcriber behind other engines.
    """

    def __init__(self, settings: WhisperSettings) -> None:
        """Loads the model (blocking). Raises EngineError if it is not there or not whole."""
        self.settings = settings
        self.info = EngineInfo(name=settings.name, languages=("*",))
        try:
            model = WhisperModel(
                settings.model,
                device=settings.device,
                compute_type=settings.compute_type,
                cpu_threads=settings.cpu_threads or usable_cores(),
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise EngineError(
                f"Whisper does not load from {settings.model}: {error}",
                stage="stt",
                retryable=False,
            ) from error
        decoding = Decoding(
            beam_size=settings.beam_size,
            temperatures=settings.temperatures,
            compression_ratio_threshold=settings.compression_ratio,
            log_prob_threshold=settings.log_prob,
            no_speech_threshold=settings.no_speech,
            window_s=settings.window_s,
            languages=settings.languages,
        )
        self._decoder = WhisperDecoder(model, decoding)
        self.batch = WhisperBatch(
            self._decoder,
            window_s=settings.batch_window_ms / 1000,
            max_batch=settings.max_batch,
        )

    def begin(self, options: SttOptions) -> WholeUtterance:
        self.batch.enter()
        return WholeUtterance(self, options, on_end=self.batch.leave)

    async def transcribe(self, pcm: bytes, options: SttOptions) -> Transcript:
        """PCM16 at 16 kHz -> text. Raises EngineError."""
        completed = replace(
            options,
            language=options.language or self.settings.language,
            hot_words=options.hot_words or self.settings.hot_words,
        )
        return await self.batch.transcribe(pcm, completed)

    def count_tokens(self, text: str) -> int:
        return self._decoder.count_tokens(text)

    async def aclose(self) -> None:
        """Take nothing more, and wait for the run in progress."""
        await self.batch.aclose()
