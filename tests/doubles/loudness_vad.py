"""A VAD that calls everything loud speech: for tests of what is around the pipeline."""

from __future__ import annotations

import numpy as np

from runpod_worker.stages import EngineInfo, Window


WINDOW_BYTES = 2 * 512


class LoudnessStream:
    def __init__(self) -> None:
        self._rest = b""

    async def feed(self, pcm: bytes) -> list[Window]:
        data = self._rest + pcm
        whole = len(data) - len(data) % WINDOW_BYTES
        self._rest = data[whole:]
        windows = np.frombuffer(data[:whole], "<i2").reshape(-1, WINDOW_BYTES // 2)
        return [Window(1.0 if np.abs(window).max() > 500 else 0.0, 32) for window in windows]

    def reset(self) -> None:
        self._rest = b""


class LoudnessVad:
    def __init__(self) -> None:
        self.info = EngineInfo("loudness", ())

    def open(self) -> LoudnessStream:
        return LoudnessStream()

    async def aclose(self) -> None:
        return None
