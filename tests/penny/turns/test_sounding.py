"""How long what was sent still sounds."""

from __future__ import annotations

from typing import Any

import pytest

from penny.turns.sounding import Sounding


Json = dict[str, Any]


def delta(chars: int) -> Json:
    return {"type": "response.output_audio.delta", "delta": "A" * chars}


def format_event(kind: str, name: str) -> Json:
    return {"type": kind, "session": {"audio": {"output": {"format": {"type": name}}}}}


def test_pieces_play_one_after_the_other_and_silence_comes() -> None:
    sounding = Sounding()
    sounding.speaker_event(delta(64_000), 10.0)
    sounding.speaker_event(delta(64_000), 10.1)
    assert sounding.left_s(10.1) == pytest.approx(1.9)
    assert sounding.left_s(20.0) == 0.0
    sounding.speaker_event(delta(64_000), 20.0)
    assert sounding.left_s(20.0) == pytest.approx(1.0)


def test_a_caller_who_speaks_over_it_makes_silence() -> None:
    sounding = Sounding()
    sounding.speaker_event(delta(640_000), 1.0)
    sounding.speaker_event({"type": "input_audio_buffer.speech_started"}, 3.0)
    assert sounding.left_s(3.0) == 0.0


@pytest.mark.parametrize("kind", ["session.updated", "penny.session"])
@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
def test_a_telephones_audio_is_six_times_as_long(kind: str, name: str) -> None:
    sounding = Sounding()
    sounding.speaker_event(format_event(kind, name), 0.0)
    sounding.speaker_event(delta(32_000), 0.0)
    assert sounding.left_s(0.0) == pytest.approx(3.0)
    sounding.speaker_event(format_event(kind, "audio/pcm"), 0.0)
    sounding.speaker_event(delta(64_000), 0.0)
    assert sounding.left_s(0.0) == pytest.approx(4.0)
