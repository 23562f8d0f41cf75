from __future__ import annotations

import pytest

from penny.audio.level import SILENCE_DBFS
from penny.turns.levels import Levels


pytestmark = pytest.mark.pure


def feed(levels: Levels, dbfs: float, ms: int, *, speech: bool = False) -> None:
    for _ in range(ms // 20):
        levels.feed(dbfs, 20, speech=speech)


def test_in_a_quiet_room_every_sound_is_near() -> None:
    levels = Levels()
    feed(levels, -70, 3000)
    feed(levels, -45, 100)
    assert levels.is_near


def test_in_a_loud_room_only_what_stands_out_is_near() -> None:
    levels = Levels()
    feed(levels, -31, 3000)
    assert not levels.is_near
    feed(levels, -24, 40)
    assert levels.is_near
    feed(levels, -31, 200)
    assert not levels.is_near


@pytest.mark.parametrize("room_dbfs", [-70, -45])
def test_a_fluent_voice_is_near_to_its_soft_end_though_nothing_was_heard_before_it(
    room_dbfs: float,
) -> None:
    levels = Levels()
    for syllable in range(30):
        feed(levels, -26 - syllable / 3, 140, speech=True)
        assert levels.is_near
        feed(levels, room_dbfs, 40, speech=True)


def test_shorter_frames_are_taken_together() -> None:
    levels = Levels()
    for _ in range(300):
        levels.feed(-31, 10, speech=False)
    assert not levels.is_near
    feed(levels, -24, 40)
    assert levels.is_near


def test_many_voices_at_once_are_a_room_within_two_seconds() -> None:
    levels = Levels()
    for piece in range(100):
        levels.feed(-31 + 3 * (piece % 3 - 1), 20, speech=True)
    assert not levels.is_near


def test_a_turn_is_told_beside_the_callers_usual_level() -> None:
    levels = Levels()
    levels.begin()
    feed(levels, -26, 1000, speech=True)
    assert levels.beside_usual_db == 0.0
    levels.learn()
    levels.begin()
    feed(levels, -38, 1000, speech=True)
    assert levels.beside_usual_db == pytest.approx(-12)
    levels.doubt(3)
    assert levels.beside_usual_db == pytest.approx(-9)


def test_a_voice_that_ends_leaves_silence_and_a_room_does_not() -> None:
    voice, room = Levels(), Levels()
    for levels, after in ((voice, -60), (room, -30)):
        levels.begin()
        feed(levels, -28, 1000, speech=True)
        feed(levels, after, 600)
    assert voice.has_fallen(600)
    assert not room.has_fallen(600)


def test_before_a_caller_has_spoken_there_is_no_usual_level_to_be_beside() -> None:
    levels = Levels()
    levels.learn()
    levels.doubt(3)
    assert levels.speech_dbfs == SILENCE_DBFS
    assert levels.beside_usual_db == levels.now_beside_usual_db == 0.0


def test_the_loudest_of_just_now_is_told_beside_the_usual_level() -> None:
    levels = Levels()
    levels.begin()
    feed(levels, -26, 1000, speech=True)
    levels.learn()
    feed(levels, -60, 1000)
    feed(levels, -36, 20)
    assert levels.now_beside_usual_db == pytest.approx(-10)


def test_a_room_is_loud_and_a_voice_stands_out_of_it() -> None:
    levels = Levels()
    assert not levels.is_loud_around
    feed(levels, -40, 3000)
    assert levels.is_loud_around
    assert levels.snr_db == pytest.approx(14)  # a nominal voice
    levels.begin()
    feed(levels, -30, 400, speech=True)
    levels.learn()
    assert levels.snr_db == pytest.approx(10)
