"""Speaks the sentences with eSpeak NG, in voices to train on and in others to be tested on.

python -m tests.checkpoints.whisper.synthesize FOLDER
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np
import soxr

from runpod_worker.engines.espeak_library import EspeakLibrary
from tests.checkpoints.whisper.sentences import (
    ENGLISH,
    HELD_OUT_NEGATIVES,
    closed_set,
    negatives,
)


DIALECTS = ("es", "es-419")
TRAINING_VARIANTS = ("", "+m1", "+m2", "+m3", "+m6", "+m7", "+f1", "+f2", "+f4", "+f5")
HELD_OUT_VARIANTS = ("+m4", "+m5", "+f3")
NEGATIVES = 900
RATE_HZ = 16_000

Clip = tuple[str, int, str, str, int, int]  # split, phrase index or -1, text, voice, wpm, pitch


def speak(library: EspeakLibrary, text: str, voice: str, rate_wpm: int, pitch: int) -> np.ndarray:
    """Float samples at 16 kHz, silence around cut to 10 ms before and 50 ms after."""
    pieces: list[bytes] = []

    def collect(pcm: bytes) -> bool:
        pieces.append(pcm)
        return True

    library.speak(text, voice=voice, rate_wpm=rate_wpm, pitch=pitch, sink=collect)
    samples = np.frombuffer(b"".join(pieces), np.int16).astype(np.float32) / 32768
    samples = soxr.resample(samples, library.rate_hz, RATE_HZ)
    loud = np.nonzero(np.abs(samples) > 0.01)[0]
    return samples[max(0, loud[0] - 160) : loud[-1] + 800]


def plan(rng: random.Random) -> list[Clip]:
    phrases = closed_set()
    voices = [d + v for d in DIALECTS for v in TRAINING_VARIANTS]
    held_out = [d + v for d in DIALECTS for v in HELD_OUT_VARIANTS]
    clips: list[Clip] = []
    for index, text in enumerate(phrases):
        clips += [
            ("train", index, text, voice, wpm, rng.choice((35, 50, 65)))
            for voice in voices
            for wpm in (138, 162, 188)
        ]
        clips += [
            ("held_out_voice", index, text, voice, wpm, 50)
            for voice in held_out
            for wpm in (145, 175)
        ]
        for voice in ("es+m4", "es-419+f3"):
            clips.append(("held_out_both", index, text, voice, 128, 40))
            clips.append(("held_out_both", index, text, voice, 205, 60))
    for text in negatives(phrases, NEGATIVES, rng):
        chosen = ("en-us", "en-gb-x-rp") if text in ENGLISH else DIALECTS
        for _ in range(4):
            voice = rng.choice(chosen) + rng.choice(TRAINING_VARIANTS)
            clips.append(("negative", -1, text, voice, rng.randint(135, 195), rng.randint(35, 65)))
    clips += [
        ("held_out_negative", -1, text, voice, 165, 50)
        for text in HELD_OUT_NEGATIVES
        for voice in ("es+m4", "es-419+f3", "es-419+m5")
    ]
    return clips


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    library = EspeakLibrary()
    clips = plan(random.Random(0))
    audio = [speak(library, *clip[2:]) for clip in clips]
    np.savez(
        folder / "clips.npz",
        data=np.concatenate([(clip * 32767).astype(np.int16) for clip in audio]),
        lengths=np.array([len(clip) for clip in audio]),
        plan=np.array([json.dumps(clip) for clip in clips]),
    )
    seconds = [len(clip) / RATE_HZ for clip in audio]
    print(f"{len(clips)} clips, {sum(seconds) / 60:.0f} min, longest {max(seconds):.2f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
