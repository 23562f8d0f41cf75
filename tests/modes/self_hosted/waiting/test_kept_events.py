"""What a caller sends before there is a worker."""

from __future__ import annotations

from typing import Any

import pytest

from modes.self_hosted.positions import shift_positions
from modes.self_hosted.waiting.kept_events import (
    MAX_AUDIO_MS,
    MAX_EVENTS,
    PRE_ROLL_MS,
    KeptEvents,
)


pytestmark = pytest.mark.pure


Json = dict[str, Any]


def audio(name: str) -> Json:
    return {"type": "input_audio_buffer.append", "audio": name}


def take(kept: KeptEvents) -> list[str]:
    """Everything, in order, by its name."""
    taken = []
    while (event := kept.pop()) is not None:
        taken.append(event.get("audio") or event["type"])
    return taken


def feed(kept: KeptEvents, prefix: str, ms: int, *, speech: bool) -> None:
    for at in range(0, ms, 100):
        kept.keep_audio(audio(f"{prefix}{at}"), 100, is_speech=speech)


def test_of_the_silence_before_the_first_speech_a_second_is_kept_and_all_after_it() -> None:
    kept = KeptEvents()
    feed(kept, "before", 20_000, speech=False)
    feed(kept, "speech", 500, speech=True)
    feed(kept, "after", 20_000, speech=False)

    assert kept.lost_ms == 20_000 - PRE_ROLL_MS
    taken = take(kept)
    assert taken[0] == "before19000"
    assert len(taken) == PRE_ROLL_MS // 100 + 5 + 200
    assert taken[-1] == "after19900"


def test_too_much_audio_loses_its_oldest_part() -> None:
    kept = KeptEvents()
    assert kept.keep({"type": "input_audio_buffer.commit"})
    feed(kept, "a", MAX_AUDIO_MS + 2_000, speech=True)

    assert kept.lost_ms == 2_000
    taken = take(kept)
    assert taken[:2] == ["input_audio_buffer.commit", "a2000"]
    assert len(taken) == MAX_AUDIO_MS // 100 + 1


def test_events_stay_in_order_between_the_audio_and_are_limited() -> None:
    kept = KeptEvents()
    feed(kept, "a", 200, speech=True)
    assert kept.keep({"type": "input_audio_buffer.commit"})
    feed(kept, "b", 100, speech=True)
    accepted = [kept.keep({"type": "input_audio_buffer.clear"}) for _ in range(MAX_EVENTS)]

    assert accepted.count(False) == 1
    assert take(kept)[:4] == ["a0", "a100", "input_audio_buffer.commit", "b0"]
    assert kept.keep({"type": "input_audio_buffer.commit"})


def test_of_the_answers_asked_for_only_the_newest_is_kept() -> None:
    kept = KeptEvents()
    for name in ("one", "two"):
        kept.keep({"type": "conversation.item.create", "audio": name})
        kept.keep({"type": "response.create", "audio": f"answer {name}"})
    assert take(kept) == ["one", "two", "answer two"]


def test_words_are_forgotten_and_settings_stay() -> None:
    kept = KeptEvents()
    kept.keep({"type": "session.update", "session": {}})
    feed(kept, "secret", 500, speech=True)
    kept.keep({"type": "conversation.item.create", "item": {}})
    kept.keep({"type": "response.create"})
    kept.forget_words()

    assert kept.lost_ms == 500
    assert take(kept) == ["session.update"]


def test_positions_move_by_what_the_worker_never_heard() -> None:
    decided = {"type": "penny.turn.decided", "speech_end_ms": 1_400, "decided_ms": 1_900}
    assert shift_positions(decided, 19_000) == {
        "type": "penny.turn.decided",
        "speech_end_ms": 20_400,
        "decided_ms": 20_900,
    }
    cut = {"type": "conversation.item.truncated", "audio_end_ms": 40}
    assert shift_positions(cut, 19_000) is cut  # a place in an item is no place in the audio
    started = {"type": "input_audio_buffer.speech_started", "audio_start_ms": 7}
    assert shift_positions(started, 0.0) is started
