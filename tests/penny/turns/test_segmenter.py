from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penny.turns.segmenter import (
    Paused,
    Resumed,
    Segmenter,
    SegmenterSettings,
    Started,
    Stopped,
    TurnEvent,
)


pytestmark = pytest.mark.pure


SPEECH, UNSURE, QUIET = 0.9, 0.4, 0.05


def windows(
    segmenter: Segmenter, probability: float, ms: int, silence_ms: int | None = None
) -> list[TurnEvent]:
    """Feed ``ms`` of 32 ms windows (``ms`` is a multiple of 32)."""
    assert ms % 32 == 0
    return [
        event
        for _ in range(ms // 32)
        for event in segmenter.feed(probability, silence_ms=silence_ms)
    ]


def test_speech_starts_after_three_windows_and_reaches_back_300_ms() -> None:
    segmenter = Segmenter()

    assert windows(segmenter, QUIET, 640) == []
    assert windows(segmenter, SPEECH, 64) == []
    assert not segmenter.speaking
    assert windows(segmenter, SPEECH, 32) == [Started(340)]
    assert segmenter.speaking
    assert segmenter.speech_ms == 96
    assert segmenter.position_ms == 736


def test_a_start_never_lies_before_the_recording() -> None:
    assert windows(Segmenter(), SPEECH, 96) == [Started(0)]


def test_a_start_never_lies_before_the_last_stop() -> None:
    segmenter = Segmenter(SegmenterSettings(silence_duration_ms=96))

    assert windows(segmenter, SPEECH, 320) == [Started(0)]
    assert windows(segmenter, QUIET, 96) == [Stopped(320)]
    assert windows(segmenter, SPEECH, 96) == [Started(320)]


def test_silence_ends_the_turn_where_speech_ended() -> None:
    segmenter = Segmenter()
    windows(segmenter, SPEECH, 640)

    assert windows(segmenter, QUIET, 480) == [Paused(640)]
    assert windows(segmenter, QUIET, 32) == [Stopped(640)]
    assert not segmenter.speaking
    assert segmenter.speech_ms == 0


def test_a_cough_yields_nothing() -> None:
    segmenter = Segmenter()

    assert windows(segmenter, SPEECH, 64) + windows(segmenter, QUIET, 2016) == []
    assert windows(segmenter, SPEECH, 64) == [], "two coughs do not add up"


def test_the_pause_of_the_moment_is_told() -> None:
    segmenter = Segmenter()
    windows(segmenter, SPEECH, 320)
    assert segmenter.quiet_ms == 0

    windows(segmenter, QUIET, 160)
    assert segmenter.quiet_ms == 160


def test_short_gaps_are_bridged_in_an_onset_and_in_speech() -> None:
    segmenter = Segmenter()

    assert windows(segmenter, SPEECH, 64) + windows(segmenter, QUIET, 64) == []
    assert windows(segmenter, SPEECH, 32) == [Started(0)]
    assert windows(segmenter, QUIET, 64) + windows(segmenter, SPEECH, 64) == []
    assert segmenter.pauses_ms == ()


def test_a_pause_is_told_and_so_is_its_end() -> None:
    segmenter = Segmenter()
    windows(segmenter, SPEECH, 320)

    assert windows(segmenter, QUIET, 96) == [Paused(320)]
    assert windows(segmenter, QUIET, 64) == []
    assert windows(segmenter, SPEECH, 64) == [Resumed(480)]
    assert segmenter.pauses_ms == (160,)
    assert segmenter.speech_ms == 384
    assert windows(segmenter, QUIET, 512) == [Paused(544), Stopped(544)]
    assert segmenter.pauses_ms == ()


def test_hysteresis_keeps_what_was_there() -> None:
    segmenter = Segmenter()

    assert windows(segmenter, UNSURE, 640) == [], "unsure windows start nothing"
    windows(segmenter, SPEECH, 96)
    assert windows(segmenter, UNSURE, 1024) == [], "nor do they end speech"
    windows(segmenter, QUIET, 32)
    assert windows(segmenter, UNSURE, 480) == [Paused(1760), Stopped(1760)], "nor end a silence"


def test_speech_ends_below_the_threshold_less_0_15() -> None:
    segmenter = Segmenter(SegmenterSettings(threshold=0.8))
    windows(segmenter, 0.8, 96)

    assert windows(segmenter, 0.66, 960) == []
    assert windows(segmenter, 0.64, 512) == [Paused(1056), Stopped(1056)]


def test_the_caller_of_feed_sets_the_silence_for_now() -> None:
    segmenter = Segmenter()
    windows(segmenter, SPEECH, 320)

    assert windows(segmenter, QUIET, 800, silence_ms=832) == [Paused(320)]
    assert segmenter.feed(QUIET, silence_ms=832) == [Stopped(320)]


def test_a_silence_shorter_than_a_pause_stops_without_pausing() -> None:
    segmenter = Segmenter()
    windows(segmenter, SPEECH, 320)

    assert segmenter.feed(QUIET, silence_ms=32) == [Stopped(320)]


def test_a_turn_that_is_too_long_is_cut_without_losing_audio() -> None:
    segmenter = Segmenter(SegmenterSettings(max_turn_ms=1600))

    events = windows(segmenter, SPEECH, 5248)

    assert events == [Started(0), Stopped(2624), Started(2624), Stopped(5248)]


def test_a_turn_that_is_too_long_ends_between_two_words_where_there_are_any() -> None:
    segmenter = Segmenter(SegmenterSettings(max_turn_ms=1600))

    assert windows(segmenter, SPEECH, 1728) == [Started(0)]
    assert windows(segmenter, QUIET, 32) == [Stopped(1728)]


def test_reset_forgets_speech_and_keeps_the_clock() -> None:
    segmenter = Segmenter()
    windows(segmenter, SPEECH, 640)
    segmenter.reset()

    assert not segmenter.speaking
    assert segmenter.position_ms == 640
    assert windows(segmenter, SPEECH, 96) == [Started(640)]


def test_bad_values_name_field_and_remedy() -> None:
    for field, value in (("threshold", 0.0), ("min_pause_ms", 0), ("max_turn_ms", 10)):
        with pytest.raises(ValueError, match=field):
            SegmenterSettings(**{field: value})
    with pytest.raises(ValueError, match="probability: nan is out of range"):
        Segmenter().feed(float("nan"))
    with pytest.raises(ValueError, match="window_ms: 0 is too short"):
        Segmenter().feed(0.5, 0)


fed = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([None, 64, 400])))


@given(fed, st.sampled_from([10, 20, 32]))
def test_events_alternate_and_never_go_back_in_time(
    stream: list[tuple[float, int | None]], window_ms: int
) -> None:
    segmenter = Segmenter(SegmenterSettings(max_turn_ms=1000, min_speech_ms=40))
    follows = {
        Started: {Paused, Stopped},
        Paused: {Resumed, Stopped},
        Resumed: {Paused, Stopped},
        Stopped: {Started},
    }
    allowed, at_ms = {Started}, 0
    for probability, silence_ms in stream:
        for event in segmenter.feed(probability, window_ms, silence_ms=silence_ms):
            assert type(event) in allowed
            allowed = follows[type(event)]
            match event:
                case Started(now_ms) | Paused(now_ms) | Resumed(now_ms) | Stopped(now_ms):
                    assert at_ms <= now_ms <= segmenter.position_ms
                    at_ms = now_ms
        assert segmenter.speaking == (allowed != {Started})
    assert segmenter.position_ms == window_ms * len(stream)
