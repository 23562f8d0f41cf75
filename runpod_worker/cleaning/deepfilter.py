"""DeepFilterNet 3 by its C runtime: noise out of a line, 31.5 ms late, for ears and recordings.

The runtime and its weights are two files, loaded by ctypes; neither torch nor ONNX Runtime has a
part in it. It works at 48 kHz, so a caller's 16 kHz go up and come down again.
"""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np

from penny.audio.resample import Resampler
from penny.errors import EngineError
from runpod_worker.cleaning.stages import CleanerInfo, to_float, to_pcm16
from runpod_worker.stages import STT_RATE_HZ


OWN_RATE_HZ: Final = 48_000
OWN_FRAME: Final = OWN_RATE_HZ // 100
WARM_FRAMES: Final = 10
LIMIT_DB: Final = 12.0
"""Most that is taken away. Without a limit old or echoing speech is taken for noise: of clean
recordings 27 % of Whisper base's words went wrong, with it 8 %, raw 7 %."""


class DeepFilter:
    """Cleaner with DeepFilterNet 3. The library is loaded once; a stream has its own weights
    (65 MB for the first, less for others)."""

    info = CleanerInfo(
        name="deepfilternet3",
        delay_ms=32,
        cpu_ms_per_s=123,
        license="MIT or Apache-2.0, code and weights",
    )

    def __init__(self, library: Path, model: Path) -> None:
        """Raises EngineError where the library is of another kind of machine, or missing."""
        try:
            self.library = _bind(ctypes.CDLL(str(library)))
        except (OSError, AttributeError) as error:
            raise EngineError(f"DeepFilterNet does not load: {error}", stage="stt") from error
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="deepfilter")
        self.model = model
        if not model.is_file():
            raise EngineError(f"DeepFilterNet's weights are missing: {model}", stage="stt")

    def open(self) -> DeepFilterStream:
        return DeepFilterStream(self)


class DeepFilterStream:
    """CleanStream of DeepFilterNet 3. One caller.

    Its weights are read in a thread, about half a second; until they are there, frames are let
    through raw.
    """

    def __init__(self, engine: DeepFilter) -> None:
        self._library = engine.library
        self._opening = engine.thread.submit(self._create, str(engine.model).encode())
        self._up = Resampler(STT_RATE_HZ, OWN_RATE_HZ)
        self._down = Resampler(OWN_RATE_HZ, STT_RATE_HZ)
        self._out = np.empty(OWN_FRAME, np.float32)

    def wait(self) -> None:
        """Until the weights are read. Raises EngineError."""
        self._opening.result()

    def process(self, frame: bytes) -> bytes:
        """See ``stages.CleanStream``. Raises EngineError."""
        if not self._opening.done():
            return frame
        state = self._opening.result()
        wide = to_float(self._up.process(frame))
        self._library.df_process_frame(state, wide.ctypes.data, self._out.ctypes.data)
        return self._down.process(to_pcm16(self._out))

    def _create(self, model: bytes) -> int:
        """A state whose first, slow frames are behind it."""
        state: int | None = self._library.df_create(model, LIMIT_DB, None)
        if not state:
            raise EngineError("DeepFilterNet gives no state", stage="stt")
        nothing, out = np.zeros(OWN_FRAME, np.float32), np.empty(OWN_FRAME, np.float32)
        for _ in range(WARM_FRAMES):
            self._library.df_process_frame(state, nothing.ctypes.data, out.ctypes.data)
        return state

    def __del__(self) -> None:
        # The thread holds the stream while it creates, so this comes after it.
        if self._opening.exception() is None:
            self._library.df_free(self._opening.result())


def _bind(library: ctypes.CDLL) -> ctypes.CDLL:
    """The runtime's functions with their types: a pointer has 64 bits, which ctypes cannot know."""
    library.df_create.restype = ctypes.c_void_p
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_process_frame.restype = ctypes.c_float
    library.df_process_frame.argtypes = [ctypes.c_void_p] * 3
    library.df_free.restype = None
    library.df_free.argtypes = [ctypes.c_void_p]
    return library
