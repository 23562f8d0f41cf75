"""When the VAD alone would have told an interruption: Silero's windows of 32 ms, nothing else."""

from __future__ import annotations

from penny.audio.resample import Resampler
from penny.turns.segmenter import Segmenter, SegmenterSettings, Started
from runpod_worker.engines.silero import SileroVad
from runpod_worker.stages import STT_RATE_HZ
from tests.bench.pipeline.speech import CHUNK_MS


SPEECH_MS = 96
"""Three windows."""


async def find_floors(sent: list[bytes], onsets: list[int], rate_hz: int) -> list[float]:
    """Seconds from each onset (an index into ``sent``) to the chunk that completes the third
    window of speech, with no time spent on computing, sockets or anything else."""
    vad = SileroVad()
    stream = vad.open()
    resampler = Resampler(rate_hz, STT_RATE_HZ) if rate_hz != STT_RATE_HZ else None
    segmenter = Segmenter(SegmenterSettings(min_speech_ms=SPEECH_MS, silence_duration_ms=300))
    started = []
    for index, chunk in enumerate(sent):
        pcm = resampler.process(chunk) if resampler else chunk
        events = [
            event
            for window in await stream.feed(pcm)
            for event in segmenter.feed(window.probability, window.ms)
        ]
        if any(isinstance(event, Started) for event in events):
            started.append(index)
    await vad.aclose()
    after = [next((at for at in started if at >= onset), onset) - onset for onset in onsets]
    return [chunks * CHUNK_MS / 1000 for chunks in after]
