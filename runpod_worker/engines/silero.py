"""Silero VAD on ONNX without torch: one session for all callers, their frames in one call.

The model file comes with the ``silero-vad`` wheel, which is installed without its dependencies
and never imported (importing it imports torch). A row of a batch gives the same probability as
the row alone, so callers that are due together share one call: 0.14 ms for one, 0.08 ms each in
a batch of eight.
"""

from __future__ import annotations

import asyncio
import importlib.util
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from penny.errors import EngineError
from runpod_worker.stages import STT_RATE_HZ, EngineInfo, Window


# The model's own sizes at 16 kHz (silero-vad 6.2): it wants 64 samples of the window before.
WINDOW_SAMPLES = 512
CONTEXT_SAMPLES = 64
STATE_SHAPE = (2, 1, 128)
WINDOW_MS = WINDOW_SAMPLES * 1000 // STT_RATE_HZ

# No gain in time per row beyond this many rows.
MAX_BATCH = 32
# From this many open streams on, a row waits a little for others that are about to be due: fewer
# bring less than two rows in two milliseconds, and the wait would be for nothing.
GATHER_FROM_STREAMS = 32
# A larger batch takes longer than a loop turn should (0.3 ms): it runs in the engine's thread.
MAX_INLINE_ROWS = 2

Floats = npt.NDArray[np.float32]


@dataclass(slots=True)
class _Memory:
    """What the model remembers of one caller; replaced, never cleared, on reset."""

    state: Floats = field(default_factory=lambda: np.zeros(STATE_SHAPE, np.float32))
    context: Floats = field(default_factory=lambda: np.zeros(CONTEXT_SAMPLES, np.float32))


@dataclass(slots=True)
class _Row:
    """One window of one stream, waiting for its place in a batch."""

    memory: _Memory
    window: Floats
    probability: asyncio.Future[float]


class SileroStream:
    """VadStream of Silero.

    One caller. ``feed`` is for one task at a time: each window needs the state before it.
    """

    def __init__(self, vad: SileroVad) -> None:
        self._vad = vad
        self.reset()

    def reset(self) -> None:
        """Forget the caller so far; a window under way ends into the memory thrown away."""
        self._memory = _Memory()
        self._rest = b""

    async def feed(self, pcm: bytes) -> list[Window]:
        """Take PCM16 at 16 kHz, any amount; the 32 ms windows that are complete.

        Raises:
            EngineError: the model failed, or the engine is closed.
        """
        self._rest += pcm
        windows = []
        while len(self._rest) >= WINDOW_SAMPLES * 2:
            samples = np.frombuffer(self._rest, np.int16, WINDOW_SAMPLES).astype(np.float32)
            self._rest = self._rest[WINDOW_SAMPLES * 2 :]
            probability = await self._vad.judge(self._memory, samples * np.float32(1 / 32768))
            windows.append(Window(probability, WINDOW_MS))
        return windows


class SileroVad:
    """Vad with Silero on ONNX Runtime.

    Batches rows of many streams; at most one call runs at a time.

    The queue of rows is bounded by the open streams: each has one row under way at most.
    """

    def __init__(self, *, gather_ms: float = 2.0) -> None:
        """``gather_ms``: how long a row waits for others, where several callers are open.

        Raises EngineError if the model file is not installed or does not load.
        """
        self._gather_s = gather_ms / 1000
        self.info = EngineInfo(name="silero-vad", languages=("*",))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # A spinning thread would burn a core between windows for nothing.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(_model_path()), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises its own classes, by no common name
            raise EngineError(f"Silero VAD does not load: {error}", stage="vad") from error
        self._rate = np.array(STT_RATE_HZ, np.int64)
        # A stream ends by being dropped: the Protocol has no close, so nothing can forget it.
        self._streams: weakref.WeakSet[SileroStream] = weakref.WeakSet()
        self._due: list[_Row] = []
        self._timer: asyncio.Handle | None = None
        self._running: asyncio.Future[Floats] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="silero")
        self._closed = False

    def open(self) -> SileroStream:
        stream = SileroStream(self)
        self._streams.add(stream)
        return stream

    async def judge(self, memory: _Memory, window: Floats) -> float:
        """The probability of one window, batched with whatever else is due."""
        if self._closed:
            raise EngineError("the VAD is closed", stage="vad")
        loop = asyncio.get_running_loop()
        row = _Row(memory, window, loop.create_future())
        self._due.append(row)
        if len(self._due) >= min(MAX_BATCH, len(self._streams)):
            self._cancel_timer()
            self._start(loop)
        elif self._timer is None and self._running is None:
            few = len(self._streams) < GATHER_FROM_STREAMS
            self._timer = loop.call_later(0 if few else self._gather_s, self._start, loop)
        return await row.probability

    async def aclose(self) -> None:
        self._closed = True
        self._cancel_timer()
        rows, self._due = self._due, []
        self._fail(rows, EngineError("the VAD is closed", stage="vad"))
        self._thread.shutdown(wait=False)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run one batch, here or in the thread; rows that come meanwhile form the next."""
        self._timer = None
        if self._running is not None or not self._due:
            return
        rows, self._due = self._due[:MAX_BATCH], self._due[MAX_BATCH:]
        if len(rows) <= MAX_INLINE_ROWS:
            try:
                self._finish(rows, self._infer(rows))
            except Exception as error:
                self._fail(rows, error)
            return
        running = loop.run_in_executor(self._thread, self._infer, rows)
        self._running = running

        def take(done: asyncio.Future[Floats]) -> None:
            self._running = None
            failure = done.exception()
            if failure is None:
                self._finish(rows, done.result())
            else:
                self._fail(rows, failure)
            if self._due and not self._closed:
                self._start(loop)

        running.add_done_callback(take)

    def _infer(self, rows: list[_Row]) -> Floats:
        """The model over all rows; their memories move on."""
        windows = [np.concatenate((row.memory.context, row.window)) for row in rows]
        state = np.concatenate([row.memory.state for row in rows], axis=1)
        output, new_state = self._session.run(
            None, {"input": np.stack(windows), "state": state, "sr": self._rate}
        )
        for i, row in enumerate(rows):
            row.memory.state = new_state[:, i : i + 1]
            row.memory.context = row.window[-CONTEXT_SAMPLES:]
        probabilities: Floats = output[:, 0]
        return probabilities

    def _finish(self, rows: list[_Row], probabilities: Floats) -> None:
        for row, probability in zip(rows, probabilities, strict=True):
            if not row.probability.done():  # its caller may be gone
                row.probability.set_result(float(probability))

    def _fail(self, rows: list[_Row], error: BaseException) -> None:
        if not isinstance(error, EngineError):
            failure = EngineError(f"Silero VAD failed: {error}", stage="vad")
            failure.__cause__ = error
            error = failure
        for row in rows:
            if not row.probability.done():
                row.probability.set_exception(error)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _model_path() -> Path:
    """The ONNX file inside the wheel; ``find_spec`` finds it without importing the package."""
    spec = importlib.util.find_spec("silero_vad")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("silero-vad is not installed (make setup)")
    return Path(spec.submodule_search_locations[0]) / "data" / "silero_vad.onnx"
