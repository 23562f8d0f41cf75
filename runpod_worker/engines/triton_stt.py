"""STT on a Triton server, with the local Whisper behind it for the same utterance.

Triton's readiness says nothing about its model processes, so a breaker counts how calls end. A
call that fails or exceeds its deadline is answered by the local model at once: the caller waits a
moment longer, and loses nothing.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import structlog

from penny.aio.tasks import TaskOwner
from penny.errors import EngineError
from runpod_worker.breaker import Breaker
from runpod_worker.engines.http_server import HttpServer
from runpod_worker.engines.whole_utterance import Transcriber, WholeUtterance
from runpod_worker.settings import TritonSettings
from runpod_worker.stages import STT_RATE_HZ, EngineInfo, Stt, SttOptions, Transcript
from runpod_worker.triton.inference import (
    HEAD_LENGTH,
    WHISPERS_OWN,
    Thresholds,
    read_response,
    write_request,
)


log = structlog.get_logger()

BASE_DEADLINE_S = 0.5
DEADLINE_PER_AUDIO = 0.3
"""A healthy copy needs less than a third of the audio's length; a dead one fails after a second."""
CANARY_PCM = bytes(STT_RATE_HZ)
"""Half a second of silence: a real inference, cheap on the server."""


class TritonStt:
    """``local`` is asked wherever Triton cannot; its close is this engine's."""

    def __init__(
        self,
        settings: TritonSettings,
        local: Stt,
        transcriber: Transcriber,
        *,
        hot_words: tuple[str, ...] = (),
        thresholds: Thresholds = WHISPERS_OWN,
    ) -> None:
        """``transcriber`` is the local engine's own, for recorded audio; ``hot_words`` are for
        sessions that bring none of their own."""
        self.info = EngineInfo(name=f"triton {settings.model}", languages=("*",))
        self._server = HttpServer("stt", settings.url, connect_s=settings.connect_timeout_s)
        self._path = f"/v2/models/{settings.model}/infer"
        self._local = local
        self._transcriber = transcriber
        self._hot_words = hot_words
        self._thresholds = thresholds
        self.breaker = Breaker(settings.max_failures, settings.failure_window, settings.recovery_s)
        self._tasks = TaskOwner("triton")
        self.fallbacks = 0
        """Utterances that the local model answered."""

    def begin(self, options: SttOptions) -> WholeUtterance:
        return WholeUtterance(self, options)

    def count_tokens(self, text: str) -> int:
        return self._local.count_tokens(text)

    async def transcribe(self, pcm: bytes, options: SttOptions) -> Transcript:
        """Ask Triton if it is well, else the local model. Raises EngineError if both fail."""
        self._probe()
        if self.breaker.allows():
            try:
                transcript = await self._infer(pcm, options)
            except EngineError as error:
                self._note(False)
                log.warning("triton_failed", code=error.code, breaker=self.breaker.state)
            else:
                self._note(True)
                return transcript
        self.fallbacks += 1
        return await self._transcriber.transcribe(pcm, options)

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await self._server.aclose()
        await self._local.aclose()

    async def _infer(self, pcm: bytes, options: SttOptions) -> Transcript:
        completed = replace(options, hot_words=options.hot_words or self._hot_words)
        body, headers = write_request(pcm, completed, self._thresholds)
        audio_s = len(pcm) / 2 / STT_RATE_HZ
        limit_s = BASE_DEADLINE_S + DEADLINE_PER_AUDIO * audio_s
        try:
            async with (
                asyncio.timeout(limit_s),
                self._server.post(self._path, data=body, headers=headers) as response,
            ):
                told = await response.read()
                return read_response(told, response.headers.get(HEAD_LENGTH), self._thresholds)
        except TimeoutError:
            raise self._server.failure("timeout", f"no answer within {limit_s:.1f} s") from None
        except (ValueError, KeyError, TypeError) as error:
            raise self._server.failure("malformed", "it sent no transcript") from error

    def _probe(self) -> None:
        """Send a canary beside the call when it is time; no caller waits for it."""
        if self.breaker.wants_canary(time.monotonic()):
            self._tasks.spawn(self._send_canary(), name="triton canary")

    async def _send_canary(self) -> None:
        try:
            await self._infer(CANARY_PCM, SttOptions(language="es"))
        except EngineError as error:
            self._note(False)
            log.info("triton_still_down", code=error.code)
        else:
            self._note(True)
            log.info("triton_recovered")

    def _note(self, succeeded: bool) -> None:
        self.breaker.note(succeeded, time.monotonic())
