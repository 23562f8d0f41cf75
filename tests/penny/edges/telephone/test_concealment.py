"""Gaps of a line: how long they are, and what is heard in them."""

from __future__ import annotations

import numpy as np
import pytest

from penny.audio.format import AudioFormat
from penny.edges.telephone.concealment import Arrivals, Concealment
from penny.edges.telephone.keys import MOST, Keys
from penny.edges.telephone.ticker import Grid
from penny.edges.telephone.tones import write_keys


pytestmark = pytest.mark.pure

RATE_HZ = 8000


def tone(ms: int, hz: float = 200.0, from_ms: int = 0) -> bytes:
    at = (np.arange(ms * 8) + from_ms * 8) / RATE_HZ
    return (8000 * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes()


def level(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    return float(np.sqrt((samples**2).mean())) if samples.size else 0.0


def test_a_lost_frame_of_a_voice_is_heard_on() -> None:
    stream = Concealment(RATE_HZ)
    for number in range(10):
        stream.pass_on(tone(20, from_ms=20 * number))
    lost = np.frombuffer(stream.fill(20), "<i2").astype(float)
    wanted = np.frombuffer(tone(20, from_ms=200), "<i2").astype(float)
    likeness = (lost @ wanted) / np.sqrt((lost @ lost) * (wanted @ wanted))
    assert likeness > 0.95


def test_a_gap_fades_out_within_60_ms() -> None:
    stream = Concealment(RATE_HZ)
    for number in range(10):
        stream.pass_on(tone(20, from_ms=20 * number))
    levels = [level(stream.fill(20)) for _ in range(5)]
    assert levels[0] > levels[1] > levels[2] > 0
    assert levels[3:] == [0.0, 0.0]


def test_the_seam_after_a_gap_has_no_step() -> None:
    stream = Concealment(RATE_HZ)
    for number in range(10):
        stream.pass_on(tone(20, from_ms=20 * number))
    filled = stream.fill(20)
    after = stream.pass_on(tone(20, from_ms=220))
    joined = np.frombuffer(filled + after, "<i2").astype(int)
    assert np.abs(np.diff(joined)).max() < 2500  # a tone of 200 Hz itself steps by 1257 at most
    assert stream.pass_on(tone(20)) == tone(20)


@pytest.mark.parametrize("step", [20, 160])
def test_a_jump_of_timestamps_is_filled_in_either_unit(step: int) -> None:
    line = Arrivals(RATE_HZ)
    heard = [line.take(tone(20), n * 0.02, n * step) for n in range(5)]
    assert [len(each) for each in heard] == [320] * 5
    after = line.take(tone(20), 0.18, 8 * step)  # three are missing
    assert len(after) == 320 * 4
    assert line.concealed_ms == 60


def test_timestamps_that_say_nothing_fill_nothing() -> None:
    line = Arrivals(RATE_HZ)
    for at in (0, 7, 99_999_999, -5, 3, None, 10):
        assert len(line.take(tone(20), 0.0, at)) == 320
    # After steps that told the unit: another clock, and one that goes back.
    steady = Arrivals(RATE_HZ)
    for at in (0, 20, 40, 90_000, 90_020, 20, 40):
        assert len(steady.take(tone(20), 0.0, at)) == 320


def test_what_the_clock_has_filled_is_not_filled_again() -> None:
    line = Arrivals(RATE_HZ)
    for n in range(5):
        line.take(tone(20), n * 0.02, n * 20)
    filled = sum(len(line.tick(0.08 + n * 0.02)) for n in range(1, 26)) / 16
    assert filled == pytest.approx(500, abs=20)
    after = line.take(tone(20), 0.6, 600)
    assert filled + len(after) / 16 == pytest.approx(540, abs=20)


def test_audio_that_comes_late_is_heard_all_the_same() -> None:
    line = Arrivals(RATE_HZ)
    for n in range(5):
        line.take(tone(20), n * 0.02, n * 20)
    assert line.tick(1.0)
    late = [line.take(tone(20), 1.0, n * 20) for n in range(5, 50)]
    assert [len(each) for each in late] == [320] * 45


@pytest.mark.parametrize("has_timestamps", [True, False])
def test_after_a_stall_whose_audio_comes_late_the_clock_is_right_again(
    has_timestamps: bool,
) -> None:
    line, heard = Arrivals(RATE_HZ), 0
    for n in range(300):  # six seconds; the third comes all at once, at its end
        now_s = (n + 1) * 0.02
        came = range(n, n + 1) if not 100 <= n < 150 else range(100, 150) if n == 149 else ()
        for each in came:
            speaks = each % 100 < 70
            pcm = tone(20) if speaks else bytes(320)
            passed = line.take(pcm, now_s, each * 20 if has_timestamps else None)
            assert passed or not speaks, "no speech is dropped"
            heard += len(passed)
        heard += len(line.tick(now_s))
    assert heard / 16 == pytest.approx(6000, abs=120)
    assert line.concealed_ms >= 800


def test_a_line_that_has_brought_nothing_yet_is_not_filled() -> None:
    assert Arrivals(RATE_HZ).tick(100.0) == b""


def test_five_percent_of_loss_keep_the_length_of_a_call() -> None:
    line, heard, rng = Arrivals(RATE_HZ), 0, np.random.default_rng(5)
    for n in range(3000):
        if n < 3 or rng.random() >= 0.05:
            heard += len(line.take(tone(20), n * 0.02, n * 20))
        heard += len(line.tick(n * 0.02))
    assert heard / 16 == pytest.approx(60_000, abs=40)


def test_an_entry_ends_with_its_sign_a_pause_or_its_length() -> None:
    keys = Keys()
    assert [keys.press(key, 0.0) for key in "1x23#"] == ["", "", "", "", "123"]
    assert not keys
    assert keys.press("#", 0.0) == ""  # one alone is a key
    assert (keys.due(2.9), keys.due(3.0), keys.due(9.0)) == ("", "#", "")
    assert [entry for n in range(MOST) if (entry := keys.press("5", n))] == ["5" * MOST]


def test_the_grid_goes_on_catches_up_and_shifts() -> None:
    grid = Grid()
    grid.begin(10.0)
    assert grid.due(9.99) == []
    assert grid.due(10.0) == [10.0]
    assert grid.due(10.045) == [10.02, 10.04]
    assert grid.shifted == 0
    slots = grid.due(11.0)
    assert len(slots) == 3
    assert slots[-1] == pytest.approx(11.0, abs=0.001)
    assert (grid.shifted, grid.due(11.01)) == (1, [])
    # An hour of it does not drift.
    for n in range(180_000):
        grid.due(11.0 + n * 0.02 + 0.003)
    assert grid.next_s == pytest.approx(11.0 + 180_000 * 0.02, abs=0.021)


def test_keys_sound_as_their_two_tones_for_100_ms_each() -> None:
    frames = write_keys("5w#x", AudioFormat("pcmu", RATE_HZ))
    assert {len(frame) for frame in frames} == {160}
    assert len(frames) * 20 == 200 + 500 + 200
    first = np.frombuffer(AudioFormat("pcmu", RATE_HZ).to_pcm16(b"".join(frames[:5])), "<i2")
    strength = np.abs(np.fft.rfft(first.astype(float)))
    loudest = sorted(np.argsort(strength)[-2:] * RATE_HZ / first.size)
    assert loudest == [770.0, 1340.0]  # in steps of 10 Hz
    assert write_keys("x", AudioFormat("pcmu", RATE_HZ)) == []
