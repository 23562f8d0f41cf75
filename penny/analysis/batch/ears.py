"""Kept calls heard again by the best engine of this machine. Nothing leaves it."""

from __future__ import annotations

import asyncio
import io

import numpy as np
import soundfile
import structlog

from penny.audio.resample import Resampler
from penny.calls.record import Call, Turn
from penny.calls.shelf import Shelf, ShelfUnavailable
from penny.errors import EngineError
from runpod_worker.engines.loaders import Loading, load_faster_whisper
from runpod_worker.settings import WorkerSettings
from runpod_worker.stages import STT_RATE_HZ, SttOptions


log = structlog.get_logger()

BESIDE_MS = 200.0
"""Of the call's line before and behind a turn."""


class Ears:
    """Whisper over turns of kept sound; the model is loaded with the first.

    Args:
        settings: of the worker, whose profile hears with Whisper.
        shelf: where sound lies.
    """

    def __init__(self, settings: WorkerSettings, shelf: Shelf) -> None:
        self._settings = settings
        self._shelf = shelf
        self._engine: object | None = None
        self._loading = asyncio.Lock()
        self._sound: tuple[str, bytes] = ("", b"")
        self.name = f"faster-whisper:{settings.engines.faster_whisper.model}"

    async def hear(self, call: Call, turn: Turn) -> str | None:
        """The words of a caller's turn; None where its sound is not there.

        Raises:
            EngineError: the model does not load.
        """
        span = turn.from_ms - BESIDE_MS, turn.until_ms + BESIDE_MS
        pcm = await self._cut(call, *span)
        if not pcm:
            return None
        async with self._loading:
            if self._engine is None:
                self._engine = await load_faster_whisper(Loading(self._settings))
        language = turn.language or call.language
        told = await self._engine.transcribe(pcm, SttOptions(language=language[:2] or None))  # type: ignore[attr-defined]
        return str(told.text).strip() or None

    async def aclose(self) -> None:
        """Let go of the model."""
        if self._engine is not None:
            await self._engine.aclose()  # type: ignore[attr-defined]

    async def _cut(self, call: Call, from_ms: float, until_ms: float) -> bytes:
        """The caller's side of the call's line as PCM16 at 16 kHz."""
        name = str(call.sound.get("path", ""))
        try:
            if self._sound[0] != name:
                size = await self._shelf.size(name)
                if size is None:
                    return b""
                pieces = [piece async for piece in self._shelf.read(name, 0, size)]
                self._sound = (name, b"".join(pieces))
            return await asyncio.to_thread(_cut, self._sound[1], from_ms, until_ms)
        except (ShelfUnavailable, OSError, soundfile.LibsndfileError) as error:
            raise EngineError(
                f"the sound of a call cannot be read: {type(error).__name__}", stage="stt"
            ) from error


def _cut(sound: bytes, from_ms: float, until_ms: float) -> bytes:
    with soundfile.SoundFile(io.BytesIO(sound)) as file:
        first = max(0, round(from_ms / 1000 * file.samplerate))
        count = min(file.frames, round(until_ms / 1000 * file.samplerate)) - first
        if count <= 0:
            return b""
        file.seek(first)
        samples = file.read(count, dtype="int16", always_2d=True)[:, 0]
        pcm = np.ascontiguousarray(samples).tobytes()
        resampler = Resampler(file.samplerate, STT_RATE_HZ)
        return resampler.process(pcm) + resampler.flush()
