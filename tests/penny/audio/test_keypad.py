"""Keys heard as tones: all sixteen at every rate, none twice, and none in speech."""

from __future__ import annotations

import numpy as np
import pytest

from penny.audio.format import AudioFormat
from penny.audio.keypad import KeyTones, name_key
from penny.edges.telephone.tones import write_keys
from tests.doubles.speech import speak


pytestmark = pytest.mark.pure

ALL = "123A456B789C*0#D"


def line_of(rate_hz: int) -> AudioFormat:
    return AudioFormat("pcm16", rate_hz)


def dial(digits: str, rate_hz: int = 24_000) -> bytes:
    return b"".join(write_keys(digits, line_of(rate_hz)))


def loud_ms(pcm: bytes, rate_hz: int = 24_000) -> float:
    samples = np.abs(np.frombuffer(pcm, "<i2").astype(int))
    return 1000 * int((samples > 500).sum()) / rate_hz


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 48_000])
@pytest.mark.parametrize("early_ms", [0, 5, 13])
def test_all_keys_are_known_wherever_their_tones_begin(rate_hz: int, early_ms: int) -> None:
    pcm = bytes(line_of(rate_hz).bytes_of(early_ms)) + dial(ALL, rate_hz)
    sound, keys = KeyTones(line_of(rate_hz)).take(pcm)
    assert keys == ALL
    assert loud_ms(sound, rate_hz) < len(ALL) * 40


def test_a_key_that_is_held_counts_once_and_one_that_is_pressed_again_twice() -> None:
    tones = KeyTones(line_of(24_000))
    at = np.arange(24_000) * 2 * np.pi / 24_000
    held = (8000 * (np.sin(at * 770) + np.sin(at * 1336))).astype("<i2").tobytes()
    pieces = [tones.take(held[start : start + 480]) for start in range(0, len(held), 480)]
    assert "".join(keys for _, keys in pieces) == "5"
    assert tones.take(bytes(4800) + dial("55"))[1] == "55"


def test_a_tone_that_crackles_is_pressed_once() -> None:
    tone = dial("7")[: 50 * 48]
    assert KeyTones(line_of(24_000)).take(tone + bytes(10 * 48) + tone)[1] == "7"


def test_the_shortest_tones_and_pauses_of_a_browser_are_enough() -> None:
    at = np.arange(40 * 24) * 2 * np.pi / 24_000
    tone = (5000 * np.sin(at * 697) + 5000 * np.sin(at * 1209)).astype("<i2").tobytes()
    for early in range(0, 480, 48):
        sound = bytes(early) + (tone + bytes(30 * 48)) * 4
        assert KeyTones(line_of(24_000)).take(sound)[1] == "1111"


def test_what_is_left_of_a_step_waits_for_its_end() -> None:
    tones = KeyTones(line_of(24_000))
    assert tones.take(b"\x01\x00" * 230) == (b"", "")
    sound, keys = tones.take(b"\x01\x00" * 20)
    assert (sound, keys) == (b"\x01\x00" * 240, "")


@pytest.mark.parametrize(
    ("first_hz", "second_hz", "level"),
    [(697, 770, 1.0), (697, 0, 1.0), (440, 480, 1.0), (697, 1209, 0.01), (697, 1209, 0.0)],
)
def test_other_tones_and_faint_ones_are_no_keys(
    first_hz: int, second_hz: int, level: float
) -> None:
    at = np.arange(480) * 2 * np.pi / 24_000
    samples = 8000 * level * (np.sin(at * first_hz) + np.sin(at * second_hz))
    assert name_key(samples.astype("<i2").tobytes(), 24_000) == ""


def test_one_tone_much_louder_than_the_other_is_no_key() -> None:
    at = np.arange(480) * 2 * np.pi / 24_000
    samples = 9000 * np.sin(at * 697) + 3000 * np.sin(at * 1209)
    assert name_key(samples.astype("<i2").tobytes(), 24_000) == ""


def test_speech_presses_nothing_and_is_heard_whole() -> None:
    said = speak("Uno, dos, tres, cuatro, cinco, seis, siete, ocho, nueve, cero, almohadilla.")
    said = said[: len(said) - len(said) % 960]
    assert KeyTones(line_of(24_000)).take(said) == (said, "")
