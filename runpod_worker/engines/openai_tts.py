"""TTS behind any OpenAI-compatible speech endpoint: Kokoro, Chatterbox, Pocket-TTS servers …

These serve voices whose licences allow business use; the audio is streamed as it is made.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from penny.audio.resample import Resampler
from runpod_worker.engines.http_server import HttpServer
from runpod_worker.settings import OpenAiTtsSettings
from runpod_worker.spoken_text import write_for_speech
from runpod_worker.stages import TTS_RATE_HZ, EngineInfo, Voice


class OpenAiTts:
    """Tts behind an OpenAI-compatible speech server.

    One server, one model, the voices that the settings name.
    """

    def __init__(self, settings: OpenAiTtsSettings) -> None:
        self.info = EngineInfo(name=f"openai-compatible {settings.model}", languages=("*",))
        self._settings = settings
        self._server = HttpServer(
            "tts",
            settings.base_url,
            key_variable=settings.api_key_variable,
            connect_s=settings.connect_timeout_s,
        )

    def voices(self) -> Sequence[str]:
        return (self._settings.voice, *self._settings.voices)

    async def synthesize(self, phrase: str, voice: Voice) -> AsyncIterator[bytes]:
        """Stream PCM16 at 24 kHz; closing the iterator closes the connection.

        Raises:
            EngineError: the server is away, refuses, or breaks off.
        """
        text = write_for_speech(phrase, voice.language)
        if not text.strip():
            return
        settings = self._settings
        resampler = Resampler(settings.rate_hz, TTS_RATE_HZ)
        rest = b""
        with self._server.errors():
            async with self._server.client.audio.speech.with_streaming_response.create(
                model=settings.model,
                input=text,
                voice=voice.name if voice.name in self.voices() else settings.voice,
                response_format="pcm",
                speed=voice.speed,
                extra_body=settings.extra_body,
            ) as response:
                async for received in response.iter_bytes():
                    pcm = rest + received
                    whole = len(pcm) - len(pcm) % 2
                    pcm, rest = pcm[:whole], pcm[whole:]
                    if pcm:
                        yield resampler.process(pcm)
        if tail := resampler.flush():
            yield tail

    async def aclose(self) -> None:
        await self._server.aclose()
