"""Long audio cut into windows where it is quietest, for ears that hear half a minute at most."""

from __future__ import annotations

from itertools import pairwise

import numpy as np


STEP_MS = 20


def cut_quietly(pcm16: bytes, rate_hz: int, longest_ms: int, back_ms: int) -> list[bytes]:
    """Cut mono PCM16 into windows of at most ``longest_ms``; together they are all of it.

    A cut lies in the quietest 200 ms of the last ``back_ms`` of its window. Nothing in, no window.
    """
    step, window = rate_hz * STEP_MS // 1000, 10
    samples = np.frombuffer(pcm16, "<i2").astype(np.float32)
    frames = samples[: len(samples) // step * step].reshape(-1, step)
    energy = np.concatenate([[0.0], np.cumsum((frames**2).mean(axis=1))])
    longest, back = longest_ms // STEP_MS, max(window, back_ms // STEP_MS)
    cuts, at = [0], 0
    while len(frames) - at > longest:
        first = at + longest - back
        loudness = (
            energy[first + window : at + longest + 1] - energy[first : at + longest + 1 - window]
        )
        at = first + int(loudness.argmin()) + window // 2
        cuts.append(at * step)
    cuts.append(len(samples))
    return [pcm16[start * 2 : end * 2] for start, end in pairwise(cuts) if end > start]
