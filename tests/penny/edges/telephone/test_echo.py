"""What a line returns of Penny's voice is silence; the caller's own voice over it is heard."""

from __future__ import annotations

import numpy as np
import pytest

from penny.audio.convert import Converter
from penny.audio.format import PCM24K, AudioFormat
from penny.edges.telephone.echo import Echo
from tests.doubles.speech import speak


pytestmark = pytest.mark.engines

LINE = AudioFormat("pcm16", 8000)
PCMU = AudioFormat("pcmu", 8000)
SAID = "Su factura vence el quince de enero y son mil quinientos euros."
ANSWER = "No, perdone, quería preguntar otra cosa."


def voice(text: str, peak: int = 9000) -> np.ndarray:
    pcm = np.frombuffer(Converter(PCM24K, LINE).process(speak(text)), "<i2").astype(float)
    loud: np.ndarray = pcm * peak / np.abs(pcm).max()
    return loud


def heard_through(
    theirs: np.ndarray, ours: np.ndarray, echo_db: float, late_ms: float, shifts_ms: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """What came, and what was passed on, of a line that returns what is played."""
    echo = Echo(8000)
    rng = np.random.default_rng(4)
    delay = round(late_ms * 8)
    returned = np.concatenate((np.zeros(delay), ours * 10 ** (echo_db / 20)))
    size = max(returned.size, theirs.size) // 160 * 160 + 160
    came = np.zeros(size)
    came[: returned.size] += returned
    came[: theirs.size] += theirs
    out = []
    for at in range(0, size, 160):
        if at + 160 <= ours.size:
            shift_s = rng.uniform(0, shifts_ms) / 1000 if at == 0 else 0.0
            echo.play(ours[at : at + 160].astype("<i2").tobytes(), 10 + at / 8000 + shift_s)
        frame = PCMU.to_pcm16(PCMU.from_pcm16(came[at : at + 160].astype("<i2").tobytes()))
        out.append(np.frombuffer(echo.take(frame, 10 + (at + 160) / 8000), "<i2").astype(float))
    return came, np.concatenate(out)


@pytest.mark.parametrize("echo_db", [-12.0, -20.0, -30.0])
@pytest.mark.parametrize("late_ms", [5.0, 120.0, 301.25])
def test_an_echo_is_silence_from_its_first_words_on(echo_db: float, late_ms: float) -> None:
    ours = voice(SAID)
    came, passed = heard_through(np.zeros(0), ours, echo_db, late_ms, shifts_ms=15)
    after = round((late_ms + 300) * 8)
    assert np.abs(came[after:]).max() > 100, "there is an echo"
    frames = passed[after : passed.size // 160 * 160]
    loud = np.sqrt((frames[: frames.size // 160 * 160].reshape(-1, 160) ** 2).mean(1)) > 60
    assert loud.mean() <= 0.02
    assert not any(a and b and c for a, b, c in zip(loud, loud[1:], loud[2:], strict=False))


@pytest.mark.parametrize("echo_db", [-12.0, -100.0])
def test_a_caller_who_speaks_over_an_answer_is_heard(echo_db: float) -> None:
    ours, theirs = voice(SAID), np.concatenate((np.zeros(8000), voice(ANSWER)))
    _, passed = heard_through(theirs, ours, echo_db, 120.0)
    size = min(passed.size, theirs.size) // 160 * 160
    said = np.sqrt((theirs[:size].reshape(-1, 160) ** 2).mean(1)) > 1000
    kept = np.sqrt((passed[:size].reshape(-1, 160) ** 2).mean(1)) > 60
    assert kept[said].mean() >= 0.9


def test_a_caller_is_whole_where_nothing_is_played_and_on_a_line_that_returns_nothing() -> None:
    theirs = voice(ANSWER)
    for ours in (np.zeros(0), voice(SAID)):
        came, passed = heard_through(theirs, ours, -100.0, 120.0)
        assert np.abs(passed - came).max() <= 400, "but for the line's law"


def test_what_was_dropped_before_it_was_heard_returns_nothing() -> None:
    echo, ours = Echo(8000), voice(SAID)
    for at in range(0, 16_000, 160):
        echo.play(ours[at : at + 160].astype("<i2").tobytes(), 10 + at / 8000)
    echo.drop(10.5)
    loud = (9000 * np.sin(np.arange(160))).astype("<i2").tobytes()
    assert echo.take(loud, 11.5) == loud
    echo.drop(99.0)
    assert echo.take(b"", 12.0) == b""
