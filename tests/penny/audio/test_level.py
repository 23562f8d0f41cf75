from __future__ import annotations

import numpy as np
import pytest

from penny.audio.level import SILENCE_DBFS, rms_dbfs


pytestmark = pytest.mark.pure


def test_a_square_wave_is_0_dbfs_and_a_sine_3_below() -> None:
    sine = np.rint(32767 * np.sin(np.arange(48000) * 2 * np.pi / 48)).astype("<i2")

    assert rms_dbfs(np.full(960, -32768, "<i2").tobytes()) == 0
    assert rms_dbfs(sine.tobytes()) == pytest.approx(-3.01, abs=0.01)
    assert rms_dbfs((sine // 10).tobytes()) == pytest.approx(-23.01, abs=0.05)


def test_silence_has_a_floor() -> None:
    single = np.zeros(48000, "<i2")
    single[0] = 1

    assert rms_dbfs(b"") == rms_dbfs(bytes(960)) == SILENCE_DBFS
    assert rms_dbfs(single.tobytes()) == SILENCE_DBFS


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="pcm16: 1 bytes"):
        rms_dbfs(b"\0")
