"""An hour's recording is as long as the hour: what a network and a slow answer do to a call moves
nothing."""

from __future__ import annotations

import random
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from penny.audio import g711
from penny.calls.sound import write_sound
from penny.calls.spool import read_log
from tests.penny.calls.test_sound import Kept


pytestmark = pytest.mark.pure

Json = dict[str, Any]

PIECE_MS = 40
HOUR_MS = 3_600_000
WITHIN_MS = 50
RATE_HZ = 8000
MARK_EVERY_MS = 60_000
QUIET, LOUD = 500, 20_000


def spoken(level: int, ms: int = PIECE_MS) -> str:
    samples = np.full(ms * RATE_HZ // 1000, level, np.int16)
    return b64encode(g711.ulaw_encode(samples.tobytes())).decode()


def arrivals(random_: random.Random) -> list[tuple[float, int]]:
    """(when it arrives, when it was spoken), ms, of each piece: jitter, stalls of 0.1 to 2 s whose
    pieces come at once, and gaps in which the caller is muted."""
    made: list[tuple[float, int]] = []
    held_until = muted_until = 0.0
    for at in range(0, HOUR_MS - PIECE_MS, PIECE_MS):
        chance = random_.random()
        if at < muted_until:
            continue
        if chance < 0.002 and at >= held_until:
            held_until = at + random_.uniform(100, 2000)
        elif chance > 0.9995 and at >= held_until:
            muted_until = at + random_.uniform(1000, 20_000)
            continue
        came = max(at + PIECE_MS + random_.uniform(0, 15), held_until)
        made.append((max(came, made[-1][0] if made else 0.0), at))
    return [each for each in made if each[0] <= HOUR_MS]


@pytest.mark.slow
def test_the_recording_of_an_hour_is_an_hour_long_and_every_word_at_its_time(
    tmp_path: Path,
) -> None:
    kept, random_ = Kept(tmp_path), random.Random(1)
    form = {"type": "audio/pcmu"}
    told = {"audio": {"input": {"format": form}, "output": {"format": form}}}
    kept.speaker({"type": "session.updated", "session": told}, 0)
    quiet, loud = spoken(QUIET), spoken(LOUD)
    answer = spoken(LOUD, 3000)
    answers: dict[str, float] = {}
    next_answer_ms = 20_000.0
    line = arrivals(random_)
    for came_ms, at in line:
        if came_ms >= next_answer_ms:  # a tool took its time, and the answer comes all at once
            item = f"item_{len(answers)}"
            answers[item] = came_ms
            response = {"id": f"resp_{item}"}
            kept.speaker({"type": "response.created", "response": response}, came_ms)
            where = {"response_id": response["id"], "item_id": item, "content_index": 0}
            audio = {"type": "response.output_audio.delta", **where, "delta": answer}
            kept.speaker(audio, came_ms)
            done = {**response, "status": "completed"}
            kept.speaker({"type": "response.done", "response": done}, came_ms)
            next_answer_ms = came_ms + random_.uniform(8000, 40_000)
        piece = loud if at % MARK_EVERY_MS == 0 else quiet
        kept.caller({"type": "input_audio_buffer.append", "audio": piece}, came_ms)
    kept.end(HOUR_MS)

    target = tmp_path / "sound.flac"
    written = write_sound(tmp_path, read_log(tmp_path), target)
    assert written is not None
    assert abs(written.duration_ms - HOUR_MS) <= WITHIN_MS
    samples, rate_hz = soundfile.read(target, dtype="int16")
    assert (rate_hz, samples.shape[1]) == (RATE_HZ, 2)
    assert abs(len(samples) * 1000 / rate_hz - HOUR_MS) <= WITHIN_MS
    marks = [at for _, at in line if at % MARK_EVERY_MS == 0]
    assert len(marks) > 40
    for side, expected in enumerate([marks, answers.values()]):
        is_loud = np.concatenate([[False], samples[:, side] > LOUD // 2])
        begins = np.flatnonzero(is_loud[1:] & ~is_loud[:-1]) * 1000 / rate_hz
        assert len(begins) == len(expected)
        assert np.abs(begins - np.array(list(expected))).max() <= WITHIN_MS
