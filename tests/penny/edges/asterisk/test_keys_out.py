"""Keys as sound: between the frames of what is said, whole, and no word is lost."""

from __future__ import annotations

import struct

import pytest

from penny.audio.format import AudioFormat
from penny.edges.asterisk.keys_out import KeysOut
from penny.edges.telephone.tones import write_keys
from penny.errors import LimitReached


pytestmark = pytest.mark.pure

LINE = AudioFormat("pcm16", 8_000)
SILENCE = bytes(320)
TONE = 5
"""Frames of a key's sound; as many are the pause behind it."""


def word(number: int) -> bytes:
    return struct.pack("<160h", *([1000 + number] * 160))


def test_keys_wait_until_nothing_is_said() -> None:
    keys = KeysOut(LINE)
    keys.send("5")
    words = [word(n) for n in range(20)]
    assert [keys.fill(each) for each in words] == words
    assert [keys.fill(SILENCE) for _ in range(10)] == write_keys("5", LINE)
    assert not keys.are_sounding
    assert keys.fill(SILENCE) == SILENCE


def test_a_key_that_sounds_is_finished_and_what_is_said_then_follows_whole() -> None:
    keys = KeysOut(LINE)
    keys.send("12")
    words = [word(n) for n in range(8)]
    told = [SILENCE, SILENCE, *words, *[SILENCE] * 30]
    out = [keys.fill(each) for each in told]
    one, two = write_keys("1", LINE), write_keys("2", LINE)
    assert out[:TONE] == one[:TONE]
    assert out[TONE : TONE + 8] == words
    assert [each for each in out[TONE + 8 :] if each != SILENCE] == two[:TONE]
    assert len(out) == len(told)


def test_speech_that_is_dropped_is_not_caught_up() -> None:
    keys = KeysOut(LINE)
    keys.send("1")
    for each in (SILENCE, SILENCE, word(1), word(2)):
        keys.fill(each)
    keys.flush()
    rest = [keys.fill(SILENCE) for _ in range(10)]
    assert [each for each in rest if each != SILENCE] == write_keys("1", LINE)[4:TONE]


def test_no_second_request_waits_behind_the_first() -> None:
    keys = KeysOut(LINE)
    keys.send("0" * 64)
    with pytest.raises(LimitReached) as refused:
        keys.send("1")
    assert (refused.value.code, refused.value.retry_after_s) == ("keys_still_sound", 12.8)
    assert sum(keys.fill(SILENCE) != SILENCE for _ in range(640)) == 64 * TONE
    keys.send("1")
