"""XTTS-v2 by coqui-tts: natural, cloned voices; a pool of processes, one stream each.

The model cannot speak two phrases at once, so a pool of K processes takes phrases in the order
they come, of all callers. An interrupted phrase frees its process at the next piece.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import stamina
import structlog

from penny.aio.tasks import TaskOwner
from penny.audio.resample import Resampler
from penny.errors import EngineError, find_failure
from runpod_worker.engines.xtts_instance import XttsInstance
from runpod_worker.settings import XttsSettings
from runpod_worker.spoken_text import write_for_speech
from runpod_worker.stages import TTS_RATE_HZ, EngineInfo, Voice
from runpod_worker.voice_samples import VoiceSamples


log = structlog.get_logger()

FILES = ("config.json", "model.pth", "vocab.json")
DEFAULT_LANGUAGE = "es"
CANCEL_S = 5.0
"""A cancelled phrase ends at its next piece; a process that takes longer is stuck."""
MAX_CHARS = 220
"""The model loses what is beyond its limit, which is 239 characters for Spanish."""
LICENCE = (
    "worker.engines.xtts.accept_license: XTTS-v2's weights are licensed for non-commercial use "
    "only (Coqui Public Model License); set it to true to accept that, or choose another voice "
    "in profiles: tts: kokoro, openai-compatible (a server of another model) or espeak"
)


class XttsTts:
    """Tts with a pool of XTTS processes.

    ``start`` loads the processes; the settings must accept the licence.
    """

    def __init__(self, settings: XttsSettings) -> None:
        """Raises EngineError when the licence is not accepted or the weights are not there."""
        if not settings.accept_license:
            raise EngineError(LICENCE, stage="tts", code="license_not_accepted", retryable=False)
        missing = [name for name in FILES if not (settings.model / name).is_file()]
        if missing:
            raise EngineError(
                f"XTTS-v2 is not in {settings.model} ({', '.join(missing)} missing); "
                "get it: python -m penny models pull xtts-v2",
                stage="tts",
                code="weights_missing",
                retryable=False,
            )
        self.info = EngineInfo(name="xtts-v2", languages=("es", "en"))
        self._settings = settings
        self._samples = VoiceSamples(settings.voices)
        self._free: asyncio.Queue[XttsInstance] = asyncio.Queue(settings.processes)
        self._instances: list[XttsInstance] = []
        self._tasks = TaskOwner("xtts")
        self._languages: frozenset[str] = frozenset()
        self._named: tuple[str, ...] = ()
        self.restarts = 0

    async def start(self) -> None:
        """Load every process. Raises EngineError if one does not come up."""
        settings = self._settings
        python = str(settings.python or sys.executable)
        self._instances = [
            XttsInstance(python, settings.model, settings.device) for _ in range(settings.processes)
        ]
        failure: Exception | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for instance in self._instances:
                    group.create_task(instance.start(settings.start_timeout_s))
        except ExceptionGroup as failures:
            failure = find_failure(failures, EngineError) or failures
        if failure is not None:
            await self.aclose()
            raise failure
        told = self._instances[0].ready
        self._languages = frozenset(told["languages"])
        self._named = tuple(told["voices"])
        self.info = EngineInfo(name="xtts-v2", languages=tuple(sorted(self._languages)))
        for instance in self._instances:
            self._free.put_nowait(instance)

    def voices(self) -> Sequence[str]:
        """The cloned voices first, then the model's own."""
        return (*self._samples.names(), *self._named)

    async def synthesize(self, phrase: str, voice: Voice) -> AsyncIterator[bytes]:
        """Stream PCM16 at 24 kHz; closing the iterator frees the process.

        Raises:
            EngineError: the model failed, or its process ended.
        """
        text = write_for_speech(phrase, voice.language)
        if not text.strip():
            return
        sample = self._samples.find(voice.name) or self._samples.find(self._settings.voice)
        instance = await self._free.get()
        try:
            resampler = Resampler(instance.ready["rate_hz"], TTS_RATE_HZ)
            for part in _cut(text):
                stream = instance.speak(
                    text=part,
                    language=self._language(voice.language),
                    sample=str(sample or ""),
                    speaker=voice.name if voice.name in self._named else self._settings.voice,
                    speed=voice.speed,
                )
                async with aclosing(stream) as pieces:
                    async for pcm in pieces:
                        yield resampler.process(pcm)
            if tail := resampler.flush():
                yield tail
        finally:
            self._tasks.spawn(self._put_back(instance), name="xtts put back")

    async def aclose(self) -> None:
        await self._tasks.aclose()
        for instance in self._instances:
            await instance.kill()

    def _language(self, language: str) -> str:
        tag = language.lower()
        for known in (tag, tag.split("-", 1)[0], "zh-cn" if tag.startswith("zh") else ""):
            if known in self._languages:
                return known
        return DEFAULT_LANGUAGE

    async def _put_back(self, instance: XttsInstance) -> None:
        """Into the pool when its phrase has ended; a stuck or dead process is replaced first."""
        if not await instance.until_idle(CANCEL_S):
            await self._restart(instance)
        self._free.put_nowait(instance)

    async def _restart(self, instance: XttsInstance) -> None:
        await instance.kill()
        async for attempt in stamina.retry_context(
            on=EngineError, attempts=None, timeout=None, wait_initial=0.5, wait_max=30.0
        ):
            with attempt:
                await instance.start(self._settings.start_timeout_s)
        self.restarts += 1
        log.info("xtts_restarted")


def _cut(text: str) -> list[str]:
    """Parts that the model can say whole, cut at a comma or else at a space."""
    parts = []
    while len(text) > MAX_CHARS:
        head = text[:MAX_CHARS]
        at = max(head.rfind(", "), head.rfind("; ")) + 1 or head.rfind(" ")
        at = at if at > 0 else MAX_CHARS
        parts.append(text[:at])
        text = text[at:].lstrip()
    return [*parts, text]
