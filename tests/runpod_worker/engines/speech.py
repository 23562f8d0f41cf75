"""Synthetic speech for the tests of engines: eSpeak NG at the rate that STT and VAD take."""

from __future__ import annotations

from penny.audio.resample import Resampler
from runpod_worker.engines.espeak import EspeakTts
from runpod_worker.stages import STT_RATE_HZ, TTS_RATE_HZ, Voice


async def speak(text: str, voice: Voice) -> bytes:
    """PCM16 at 16 kHz, 300 ms of silence before and after."""
    tts = EspeakTts(pool_size=1)
    pcm = b"".join([chunk async for chunk in tts.synthesize(text, voice)])
    await tts.aclose()
    resampler = Resampler(TTS_RATE_HZ, STT_RATE_HZ)
    silence = bytes(STT_RATE_HZ * 2 * 3 // 10)
    return silence + resampler.process(pcm) + resampler.flush() + silence
