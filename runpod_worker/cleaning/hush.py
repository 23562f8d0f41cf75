"""Hush: takes noise and other talkers out of a line, 10 ms late. For judging speech, not to hear.

Three ONNX models of the DeepFilterNet 3 kind (encoder, gains by band, filter of the low bins),
trained with talkers 12 to 24 dB below the main one. It takes about 8 dB off clean speech, too,
and distorts it: what it gives out goes to the VAD, never into a recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from penny.errors import EngineError
from runpod_worker.cleaning.stages import FRAME_SAMPLES, CleanerInfo, to_float, to_pcm16
from runpod_worker.stages import STT_RATE_HZ


HOP: Final = FRAME_SAMPLES
WINDOW: Final = 2 * HOP
BINS: Final = WINDOW // 2 + 1
BANDS: Final = 32
LEAST_BINS: Final = 2
"""Of a band."""
LOW_BINS: Final = 64
"""The deep filter's; the others have a gain by band alone."""
ORDER: Final = 5
"""Frames the deep filter sees: this one and four before."""
TAU_S: Final = 1.0
"""How long the features' normalisation remembers."""
STATE: Final = {"h_enc": (1, 1, 256), "h_erb_dec": (1, 1, 256), "h_df_dec": (3, 1, 256)}
MODELS: Final = ("enc", "erb_dec", "df_dec")

Floats = npt.NDArray[np.float32]


class Hush:
    """Cleaner with Hush on ONNX Runtime: three sessions for all callers."""

    info = CleanerInfo(
        name="hush",
        delay_ms=10,
        cpu_ms_per_s=98,
        license="Apache-2.0; trained on ESC-50 (non-commercial) and AudioSet among others: "
        "ask before you sell with it",
    )

    def __init__(self, folder: Path) -> None:
        """``folder`` holds enc.onnx, erb_dec.onnx and df_dec.onnx. Raises EngineError."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._sessions = {
                name: onnxruntime.InferenceSession(
                    str(folder / f"{name}.onnx"), options, providers=["CPUExecutionProvider"]
                )
                for name in MODELS
            }
        except Exception as error:  # onnxruntime raises its own classes, by no common name
            raise EngineError(f"Hush does not load from {folder}: {error}", stage="vad") from error

    def open(self) -> HushStream:
        return HushStream(self._sessions)


class HushStream:
    """CleanStream of Hush. One caller."""

    def __init__(self, sessions: Mapping[str, Any]) -> None:
        self._sessions = sessions
        self._states = {name: np.zeros(shape, np.float32) for name, shape in STATE.items()}
        self._before = np.zeros(HOP, np.float32)
        self._overlap = np.zeros(HOP, np.float32)
        self._low = np.zeros((ORDER, LOW_BINS), np.complex64)
        # Where the normalisation begins: DeepFilterNet's own lines, in dB and in magnitude.
        self._band_means = np.linspace(-60, -90, BANDS, dtype=np.float32)
        self._magnitudes = np.linspace(1e-3, 1e-4, LOW_BINS, dtype=np.float32)

    def process(self, frame: bytes) -> bytes:
        """See ``stages.CleanStream``. Raises EngineError."""
        samples = to_float(frame)
        spectrum = np.fft.rfft(np.concatenate((self._before, samples)) * _VORBIS) / WINDOW
        self._before = samples
        try:
            gains, taps = self._infer(*self._features(spectrum))
        except Exception as error:  # onnxruntime's own classes
            raise EngineError(f"Hush failed: {error}", stage="vad") from error
        self._low = np.concatenate((self._low[1:], spectrum[None, :LOW_BINS]))
        spectrum = spectrum * np.repeat(gains, BAND_BINS)
        spectrum[:LOW_BINS] = np.sum(taps * self._low, axis=0)
        wave = (np.fft.irfft(spectrum, WINDOW) * WINDOW * _VORBIS).astype(np.float32)
        out = self._overlap + wave[:HOP]
        self._overlap = wave[HOP:]
        return to_pcm16(out)

    def _features(self, spectrum: npt.NDArray[np.complex128]) -> tuple[Floats, Floats]:
        """Band levels beside their mean, and low bins beside their usual magnitude."""
        power = np.add.reduceat(np.abs(spectrum) ** 2, BAND_STARTS) / BAND_BINS
        levels = 10 * np.log10(power + 1e-10)
        self._band_means += (levels - self._band_means) * (1 - _KEEP)
        low = spectrum[:LOW_BINS]
        self._magnitudes += (np.abs(low) - self._magnitudes) * (1 - _KEEP)
        unit = low / np.sqrt(self._magnitudes)
        bands = ((levels - self._band_means) / 40).astype(np.float32)
        return bands[None, None, None], np.stack((unit.real, unit.imag)).astype(np.float32)[
            None, :, None
        ]

    def _infer(self, bands: Floats, low: Floats) -> tuple[Floats, npt.NDArray[np.complex64]]:
        """Gain by band, and the deep filter's taps, shape (ORDER, LOW_BINS)."""
        run, states = self._sessions, self._states
        e0, e1, e2, e3, embedding, c0, _, states["h_enc"] = run["enc"].run(
            ("e0", "e1", "e2", "e3", "emb", "c0", "lsnr", "h_enc_out"),
            {"feat_erb": bands, "feat_spec": low, "h_enc_in": states["h_enc"]},
        )
        gains, states["h_erb_dec"] = run["erb_dec"].run(
            None,
            {
                "emb": embedding,
                "e3": e3,
                "e2": e2,
                "e1": e1,
                "e0": e0,
                "h_erb_dec_in": states["h_erb_dec"],
            },
        )
        taps, states["h_df_dec"] = run["df_dec"].run(
            None, {"emb": embedding, "c0": c0, "h_df_dec_in": states["h_df_dec"]}
        )
        pairs = taps[0, 0].reshape(LOW_BINS, ORDER, 2)
        return gains[0, 0, 0], (pairs[..., 0] + 1j * pairs[..., 1]).T


def _vorbis_window() -> Floats:
    at = np.sin(np.pi * (np.arange(WINDOW) + 0.5) / WINDOW) ** 2
    return np.sin(np.pi / 2 * at).astype(np.float32)


def _band_bins() -> list[int]:
    """How many bins each band has: equal steps of the ERB rate (Glasberg and Moore 1990), none
    narrower than LEAST_BINS; what one took too much is left out of the next."""
    width_hz = STT_RATE_HZ / WINDOW
    scale = 24.7 * 9.265
    step = np.log1p(STT_RATE_HZ / 2 / scale) / BANDS
    edges = [round(scale * float(np.expm1(step * i)) / width_hz) for i in range(BANDS + 1)]
    bins, borrowed = [], 0
    for low, high in zip(edges, edges[1:], strict=False):
        wanted = high - low - borrowed
        borrowed = max(0, LEAST_BINS - wanted)
        bins.append(max(LEAST_BINS, wanted))
    bins[-1] += BINS - sum(bins)
    return bins


_VORBIS: Final = _vorbis_window()
_KEEP: Final = float(np.exp(-HOP / STT_RATE_HZ / TAU_S))
BAND_BINS: Final = np.array(_band_bins())
BAND_STARTS: Final = np.concatenate(([0], np.cumsum(BAND_BINS)[:-1]))
