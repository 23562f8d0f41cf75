"""STT on a Triton server, with the local Whisper behind it for the same utterance.

Triton's readiness says nothing about its model processes, so a breaker counts how calls end. A
call that fails or exceeds its deadline is answered by the local model at once: the caller waits a
moment longer, and loses nothing. Triton speaks no OpenAI API; the SDK's client sends its requests.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import httpx2
import structlog

from penny.aio.breaker import CircuitBreaker
from penny.aio.tasks import TaskOwner
from penny.errors import EngineError
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
    """Stt on a Triton server, with a local engine behind it.

    ``local`` is asked wherever Triton cannot; its close is this engine's.
    """

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
        self.url = settings.url
        self._path = f"/v2/models/{settings.model}/infer"
        self._local = local
        self._transcriber = transcriber
        self._hot_words = hot_words
        self._thresholds = thresholds
        self.breaker = CircuitBreaker(
            settings.max_failures, settings.recovery_s, window=settings.failure_window
        )
        self._tasks = TaskOwner("triton")
        self.fallbacks = 0
        """Utterances that the local model answered."""

    def is_well(self) -> bool:
        """Whether the next utterance is asked of Triton, and not of the local model."""
        return self.breaker.state(time.monotonic()) == "closed"

    def begin(self, options: SttOptions) -> WholeUtterance:
        return WholeUtterance(self, options)

    def count_tokens(self, text: str) -> int:
        return self._local.count_tokens(text)

    async def transcribe(self, pcm: bytes, options: SttOptions) -> Transcript:
        """Ask Triton if it is well, else the local model. Raises EngineError if both fail."""
        now_s = time.monotonic()
        if self.breaker.state(now_s) == "half_open" and self.breaker.allows(now_s):
            # Beside the call: no caller waits for it.
            self._tasks.spawn(self._send_canary(), name="triton canary")
        if self.breaker.state(now_s) == "closed":
            try:
                transcript = await self._infer(pcm, options)
            except EngineError as error:
                opened = self.breaker.failed(time.monotonic())
                log.warning("triton_failed", code=error.code, rests=opened)
            else:
                self.breaker.succeeded()
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
            async with asyncio.timeout(limit_s):
                with self._server.errors():
                    response = await self._server.client.post(
                        self._path,
                        content=body,
                        options={"headers": headers},
                        cast_to=httpx2.Response,
                    )
                    head_length = response.headers.get(HEAD_LENGTH)
                    return read_response(response.content, head_length, self._thresholds)
        except TimeoutError:
            raise self._server.failure("timeout", f"no answer within {limit_s:.1f} s") from None

    async def _send_canary(self) -> None:
        try:
            await self._infer(CANARY_PCM, SttOptions(language="es"))
        except EngineError as error:
            self.breaker.failed(time.monotonic())
            log.info("triton_still_down", code=error.code)
        else:
            self.breaker.succeeded()
            log.info("triton_recovered")
