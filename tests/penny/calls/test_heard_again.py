"""The only copy that is kept, heard again by a real recogniser: what was masked is not in it."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest
import soundfile

from penny.audio.resample import Resampler
from penny.calls.masking import silenced
from penny.calls.numbers import read_words
from penny.calls.sound import write_sound
from penny.calls.spool import read_log
from runpod_worker.engines.sphinx import SphinxPool
from runpod_worker.stages import STT_RATE_HZ
from tests.doubles.speech import silence, speak
from tests.penny.calls.test_sound import Kept


pytestmark = pytest.mark.engines

CARDS = (
    "four five three nine seven eight one zero two two six four nine nine five seven",
    "my card is five one zero five one zero five one zero five one zero five one zero zero",
    "three seven eight two eight two two four six three one zero zero zero five",
)
BESIDE = "hello world"


def say(kept: Kept, words: str, from_ms: int, item_id: str) -> int:
    """Speech of a synthetic voice as it arrives, recognised right; when it is over, in ms."""
    pcm = silence(200) + speak(words, "en", "ash") + silence(800)
    pcm = pcm[: len(pcm) // 960 * 960]
    until_ms = from_ms + len(pcm) // 48
    begun = {"item_id": item_id, "audio_start_ms": from_ms}
    kept.speaker({"type": "input_audio_buffer.speech_started", **begun}, from_ms + 20)
    for at in range(0, len(pcm), 960):
        audio = b64encode(pcm[at : at + 960]).decode()
        came_ms = from_ms + at // 48 + 20
        kept.caller({"type": "input_audio_buffer.append", "audio": audio}, came_ms)
    over = {"item_id": item_id, "audio_end_ms": until_ms}
    kept.speaker({"type": "input_audio_buffer.speech_stopped", **over}, until_ms)
    heard = {"item_id": item_id, "transcript": words}
    kind = "conversation.item.input_audio_transcription.completed"
    kept.speaker({"type": kind, **heard}, until_ms + 200)
    return until_ms


async def count_numbers(ears: SphinxPool, samples: np.ndarray, rate_hz: int) -> tuple[str, int]:
    resampler = Resampler(rate_hz, STT_RATE_HZ)
    pcm = resampler.process(samples.tobytes()) + resampler.flush()
    utterance = ears.begin("en")
    for at in range(0, len(pcm), 640):
        utterance.feed(pcm[at : at + 640])
    utterance.pause()
    text = (await utterance.finish()).english.text
    return text, sum(word.is_number for word in read_words(text))


async def test_no_number_of_a_masked_turn_is_heard_in_the_copy_that_is_kept(
    tmp_path: Path,
) -> None:
    kept = Kept(tmp_path)
    at_ms, spans = say(kept, BESIDE, 0, "i0"), []
    for number, words in enumerate(CARDS):
        from_ms = at_ms
        at_ms = say(kept, words, from_ms, f"card{number}")
        spans.append((from_ms, at_ms))
        at_ms = say(kept, BESIDE, at_ms, f"beside{number}")
    kept.end(at_ms + 6000)
    whole, target = tmp_path / "whole.flac", tmp_path / "kept.flac"
    lines, call = read_log(tmp_path), kept.call()
    assert write_sound(tmp_path, lines, whole) is not None
    assert write_sound(tmp_path, lines, target, silenced(call.turns)) is not None
    before, rate_hz = soundfile.read(whole, dtype="int16")
    after, _ = soundfile.read(target, dtype="int16")
    assert len(before) == len(after)
    ears, audible = SphinxPool((), size=1), 0
    await ears.start()
    try:
        for from_ms, until_ms in spans:
            part = slice(from_ms * rate_hz // 1000, until_ms * rate_hz // 1000)
            text, heard = await count_numbers(ears, before[part, 0], rate_hz)
            audible += heard
            assert (await count_numbers(ears, after[part, 0], rate_hz))[1] == 0
        assert audible >= 4, text  # it does hear numbers
        text, _ = await count_numbers(ears, after[: spans[0][0] * rate_hz // 1000, 0], rate_hz)
        assert text  # what is beside a card stays
    finally:
        await ears.aclose()
