from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penny.audio.resample import Resampler


pytestmark = pytest.mark.pure


RATES_HZ = (8000, 16000, 22050, 24000, 44100, 48000)
PAIRS = list(permutations(RATES_HZ, 2))
pairs = st.sampled_from(PAIRS)


def sine(rate_hz: int, tone_hz: float, seconds: float = 0.5, peak: float = 20000) -> bytes:
    at = np.arange(int(rate_hz * seconds)) / rate_hz
    return np.rint(peak * np.sin(2 * np.pi * tone_hz * at)).astype("<i2").tobytes()


def settled(pcm16: bytes, rate_hz: int) -> npt.NDArray[np.float64]:
    """Samples behind the first 50 ms, where the filter is full."""
    return np.frombuffer(pcm16, "<i2").astype(float)[rate_hz // 20 :]


def rms(samples: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(samples**2)))


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_one_frame_in_is_one_frame_out(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    frame = bytes(from_hz // 50 * 2)

    assert {len(resampler.process(frame)) for _ in range(20)} == {to_hz // 50 * 2}


@given(pairs, st.integers(0, 3000))
def test_length_is_within_one_sample(pair: tuple[int, int], n_samples: int) -> None:
    from_hz, to_hz = pair

    out = len(Resampler(from_hz, to_hz).process(bytes(n_samples * 2))) // 2

    assert 0 <= out - n_samples * to_hz / from_hz < 1


@given(
    pairs,
    st.binary(max_size=3000),
    st.lists(st.integers(0, 3000), max_size=12),
)
def test_any_cutting_gives_the_same_bytes(
    pair: tuple[int, int], pcm16: bytes, cuts: list[int]
) -> None:
    whole, pieces = Resampler(*pair), Resampler(*pair)
    edges = [0, *sorted(min(cut, len(pcm16)) for cut in cuts), len(pcm16)]

    expected = whole.process(pcm16) + whole.flush()
    actual = b"".join(pieces.process(pcm16[a:b]) for a, b in pairwise(edges)) + pieces.flush()

    assert actual == expected


def test_a_file_in_one_chunk_equals_the_file_in_frames() -> None:
    rng = np.random.default_rng(7)
    pcm16 = rng.integers(-32768, 32767, 40_000).astype("<i2").tobytes()
    frames = Resampler(24000, 16000)

    expected = b"".join(frames.process(pcm16[at : at + 960]) for at in range(0, len(pcm16), 960))

    assert Resampler(24000, 16000).process(pcm16) == expected


@settings(max_examples=40)
@given(pairs, st.floats(0.02, 0.74))
def test_a_sine_stays_that_sine(pair: tuple[int, int], relative: float) -> None:
    from_hz, to_hz = pair
    tone_hz = relative * min(pair) / 2
    out = settled(Resampler(from_hz, to_hz).process(sine(from_hz, tone_hz)), to_hz)
    at = 2 * np.pi * tone_hz * np.arange(out.size) / to_hz
    waves = np.stack([np.sin(at), np.cos(at)], axis=1)
    fit = np.linalg.lstsq(waves, out)[0]

    residue_db = 20 * np.log10(rms(out - waves @ fit) / rms(out))
    assert residue_db < -60
    assert np.hypot(*fit) == pytest.approx(20000, rel=0.02)


ALIASES = [
    (from_hz, to_hz, relative * to_hz / 2)
    for from_hz, to_hz in PAIRS
    for relative in (1.15, 1.25, 1.6, 1.9, 2.5)
    if relative * to_hz < from_hz  # a tone above the input's own Nyquist frequency cannot be made
]


@pytest.mark.parametrize(("from_hz", "to_hz", "tone_hz"), ALIASES)
def test_aliases_are_60_db_down(from_hz: int, to_hz: int, tone_hz: float) -> None:
    out = settled(Resampler(from_hz, to_hz).process(sine(from_hz, tone_hz)), to_hz)

    assert 20 * np.log10((rms(out) + 1e-9) / (20000 / 2**0.5)) < -60


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_the_group_delay_is_12_samples_of_the_lower_rate(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    click = np.zeros(from_hz // 10, "<i2")
    click[from_hz // 20] = 30000

    out = np.frombuffer(resampler.process(click.tobytes()), "<i2").astype(float)
    heard_at_ms = float(out @ np.arange(out.size) / out.sum()) / to_hz * 1000

    assert resampler.delay_ms <= 2
    assert resampler.delay_ms == pytest.approx(12 / min(from_hz, to_hz) * 1000)
    assert heard_at_ms - 50 == pytest.approx(resampler.delay_ms, abs=0.1)


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_a_constant_stays_constant_and_loud_audio_does_not_wrap(from_hz: int, to_hz: int) -> None:
    constant = np.full(from_hz // 5, 32767, "<i2").tobytes()
    square = np.repeat(np.array([32767, -32768] * 50, "<i2"), from_hz // 1000).tobytes()

    assert set(settled(Resampler(from_hz, to_hz).process(constant), to_hz)) == {32767.0}
    out = settled(Resampler(from_hz, to_hz).process(square), to_hz)
    assert out.max() > 30000
    assert out.min() < -30000


def test_flush_gives_the_tail_and_starts_anew() -> None:
    resampler = Resampler(8000, 16000)
    pcm16 = sine(8000, 440, seconds=0.1)

    first = resampler.process(pcm16 + b"\x01")
    tail = resampler.flush()

    assert len(tail) == 2 * 24
    assert rms(np.frombuffer(tail, "<i2").astype(float)) > 1000
    assert resampler.process(pcm16) == first


def test_equal_rates_touch_nothing_but_hold_half_a_sample() -> None:
    resampler = Resampler(24000, 24000)

    assert resampler.process(b"abc") == b"ab"
    assert resampler.process(b"d") == b"cd"
    assert resampler.flush() == b""
    assert resampler.delay_ms == 0


def test_bad_rates_name_field_and_remedy() -> None:
    with pytest.raises(ValueError, match="to_hz: 0 is not a rate"):
        Resampler(8000, 0)
    with pytest.raises(ValueError, match="from_hz: -1 is not a rate"):
        Resampler(-1, 8000)
    with pytest.raises(ValueError, match="44100 -> 47999 Hz share no useful divisor"):
        Resampler(44100, 47999)
