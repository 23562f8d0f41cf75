"""The cleaners' own arithmetic, with models that change nothing: what goes in comes out, late."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from penny.errors import EngineError
from runpod_worker.cleaning.deepfilter import OWN_FRAME, DeepFilter, DeepFilterStream
from runpod_worker.cleaning.hush import BAND_BINS, BANDS, BINS, LOW_BINS, ORDER, Hush, HushStream
from runpod_worker.cleaning.stages import FRAME_BYTES, FRAME_SAMPLES


pytestmark = pytest.mark.pure

SHAPES = {"feat_erb": (1, 1, 1, BANDS), "feat_spec": (1, 2, 1, LOW_BINS)}


class Session:
    """A model by a function of its inputs; refuses shapes that the real one refuses."""

    def __init__(self, answer: Callable[[dict[str, Any]], list[Any]]) -> None:
        self._answer = answer
        self.calls = 0

    def run(self, _names: object, inputs: dict[str, Any]) -> list[Any]:
        for name, shape in SHAPES.items():
            if name in inputs and (inputs[name].shape, inputs[name].dtype) != (shape, np.float32):
                raise RuntimeError(f"INVALID_ARGUMENT: {name} {inputs[name].shape}")
        self.calls += 1
        return self._answer(inputs)


def unchanging(gain: float = 1.0) -> dict[str, Session]:
    """Hush's three models with every gain ``gain`` and only the newest tap set."""
    taps = np.zeros((1, 1, LOW_BINS, ORDER, 2), np.float32)
    taps[..., -1, 0] = gain
    return {
        "enc": Session(lambda given: [0, 0, 0, 0, 0, 0, 0, given["h_enc_in"] + 1]),
        "erb_dec": Session(
            lambda given: [np.full((1, 1, 1, BANDS), gain, np.float32), given["h_erb_dec_in"]]
        ),
        "df_dec": Session(lambda given: [taps.reshape(1, 1, LOW_BINS, -1), given["h_df_dec_in"]]),
    }


def frames(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]


def voice(frames: int) -> np.ndarray[Any, Any]:
    at = np.arange(frames * FRAME_SAMPLES)
    wave: np.ndarray[Any, Any] = 8000 * np.sin(at * 2 * np.pi * 700 / 16_000)
    return np.asarray(np.rint(wave + 3000 * np.sin(at * 0.9)))


def test_bands_cover_every_bin_once() -> None:
    assert len(BAND_BINS) == BANDS
    assert BAND_BINS.sum() == BINS
    assert BAND_BINS.min() >= 2


def test_hush_gives_back_what_its_models_leave_ten_milliseconds_late() -> None:
    said = voice(50)
    stream = HushStream(unchanging())
    pcm = said.astype("<i2").tobytes()
    heard = np.frombuffer(b"".join(map(stream.process, frames(pcm))), "<i2")
    assert len(heard) == len(said)
    assert np.abs(heard[FRAME_SAMPLES:] - said[:-FRAME_SAMPLES]).max() <= 1


def test_hush_applies_gains_and_taps_and_carries_its_states() -> None:
    models = unchanging(0.5)
    stream = HushStream(models)
    said = voice(20)
    heard = np.frombuffer(
        b"".join(map(stream.process, frames(said.astype("<i2").tobytes()))), "<i2"
    )
    assert np.abs(heard[FRAME_SAMPLES:] - said[:-FRAME_SAMPLES] / 2).max() <= 1
    assert stream._states["h_enc"].max() == models["enc"].calls == 20


def test_a_model_that_fails_is_an_engine_error() -> None:
    models = unchanging()

    def fail(_given: object) -> list[Any]:
        raise RuntimeError("out of memory")

    models["erb_dec"] = Session(fail)
    with pytest.raises(EngineError, match="Hush failed: out of memory"):
        HushStream(models).process(bytes(FRAME_BYTES))


def test_weights_that_are_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="Hush does not load"):
        Hush(tmp_path)
    (tmp_path / "library.so").write_bytes(b"no library")
    with pytest.raises(EngineError, match="DeepFilterNet does not load"):
        DeepFilter(tmp_path / "library.so", tmp_path / "model")


class Runtime:
    """The C runtime: copies what it gets, counts what it holds."""

    def __init__(self, handle: int = 7) -> None:
        self.handle = handle
        self.freed: list[int] = []

    def df_create(self, path: bytes, limit_db: float, level: None) -> int:
        assert (path, limit_db, level) == (b"weights", 12.0, None)
        return self.handle

    def df_process_frame(self, state: int, sound: int, out: int) -> float:
        assert state == self.handle
        ctypes.memmove(out, sound, OWN_FRAME * 4)
        return 0.0

    def df_free(self, state: int) -> None:
        self.freed.append(state)


def open_deep_filter(runtime: Runtime) -> DeepFilterStream:
    thread = ThreadPoolExecutor(1)
    engine: Any = SimpleNamespace(library=runtime, model="weights", thread=thread)
    stream = DeepFilterStream(engine)
    thread.shutdown()  # the state is there, or failed
    return stream


def test_deep_filter_goes_to_its_rate_and_back_and_frees_its_state() -> None:
    runtime = Runtime()
    stream = open_deep_filter(runtime)
    said = voice(60)
    heard = np.frombuffer(
        b"".join(map(stream.process, frames(said.astype("<i2").tobytes()))), "<i2"
    )
    late = 24  # samples: 0.75 ms each way
    assert np.corrcoef(heard[late + 800 :], said[800:-late])[0, 1] > 0.999
    del stream
    gc.collect()
    assert runtime.freed == [runtime.handle]


def test_frames_are_raw_until_the_weights_are_read() -> None:
    runtime, reading = Runtime(), threading.Event()
    thread = ThreadPoolExecutor(1)
    thread.submit(reading.wait)
    engine: Any = SimpleNamespace(library=runtime, model="weights", thread=thread)
    stream = DeepFilterStream(engine)
    frame = b"\3\0" * FRAME_SAMPLES
    assert stream.process(frame) == frame
    reading.set()
    stream.wait()
    thread.shutdown()
    assert stream.process(frame) != frame


def test_a_runtime_that_gives_no_state_is_told_and_nothing_is_freed() -> None:
    runtime = Runtime(0)
    stream = open_deep_filter(runtime)
    with pytest.raises(EngineError, match="no state"):
        stream.process(bytes(FRAME_BYTES))
    del stream
    gc.collect()
    assert runtime.freed == []
