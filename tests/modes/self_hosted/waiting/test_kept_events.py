"""What a caller sends before there is a worker."""

from __future__ import annotations

from typing import Any

from modes.self_hosted.waiting.kept_events import (
    AROUND_SPEECH_MS,
    MAX_AUDIO_MS,
    MAX_EVENTS,
    KeptEvents,
)


Json = dict[str, Any]


def audio(name: str) -> Json:
    return {"type": "input_audio_buffer.append", "audio": name}


def names(events: list[Json]) -> list[str]:
    return [event.get("audio") or event["type"] for event in events]


def feed(kept: KeptEvents, prefix: str, ms: int, *, speech: bool) -> None:
    for at in range(0, ms, 100):
        kept.keep_audio(audio(f"{prefix}{at}"), 100, worth_it=speech)


def test_speech_is_kept_with_a_second_of_silence_around_it() -> None:
    kept = KeptEvents()
    feed(kept, "before", 20_000, speech=False)
    feed(kept, "speech", 500, speech=True)
    feed(kept, "after", 20_000, speech=False)
    feed(kept, "again", 300, speech=True)
    events, _ = kept.take()

    around = AROUND_SPEECH_MS // 100
    assert len(events) == around + 5 + around + around + 3
    assert names(events)[:2] == ["before19000", "before19100"]
    assert names(events)[around : around + 6] == [
        "speech0",
        "speech100",
        "speech200",
        "speech300",
        "speech400",
        "after0",
    ]


def test_what_the_worker_hears_is_told_in_the_callers_own_time() -> None:
    kept = KeptEvents()
    feed(kept, "before", 20_000, speech=False)
    feed(kept, "speech", 500, speech=True)
    feed(kept, "after", 10_000, speech=False)
    _, time = kept.take()

    started = {"type": "input_audio_buffer.speech_started", "audio_start_ms": 1_000}
    assert time.restore(started)["audio_start_ms"] == 20_000
    decided = {"type": "penny.turn.decided", "speech_end_ms": 1_400, "decided_ms": 1_900}
    restored = time.restore(decided)
    assert (restored["speech_end_ms"], restored["decided_ms"]) == (20_400, 20_900)
    live = {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 3_600}
    assert time.restore(live)["audio_end_ms"] == 30_500 + 100  # 3500 ms were handed over
    cut = {"type": "conversation.item.truncated", "audio_end_ms": 40}
    assert time.restore(cut) == cut  # a place in an item is no place in the caller's time


def test_too_much_speech_loses_its_oldest_part_and_says_how_much() -> None:
    kept = KeptEvents()
    assert kept.keep({"type": "response.create"})
    feed(kept, "a", MAX_AUDIO_MS + 2_000, speech=True)
    events, _ = kept.take()

    assert kept.lost_ms == 2_000
    assert names(events)[:2] == ["response.create", "a2000"]
    assert len(events) == MAX_AUDIO_MS // 100 + 1


def test_events_stay_in_order_between_the_audio_and_are_limited() -> None:
    kept = KeptEvents()
    feed(kept, "a", 200, speech=True)
    assert kept.keep({"type": "input_audio_buffer.commit"})
    feed(kept, "b", 100, speech=True)
    accepted = [kept.keep({"type": "response.cancel"}) for _ in range(MAX_EVENTS)]
    events, _ = kept.take()

    assert names(events)[:4] == ["a0", "a100", "input_audio_buffer.commit", "b0"]
    assert accepted.count(False) == 1


def test_words_are_forgotten_and_settings_stay() -> None:
    kept = KeptEvents()
    kept.keep({"type": "session.update", "session": {}})
    feed(kept, "secret", 500, speech=True)
    kept.keep({"type": "conversation.item.create", "item": {}})
    kept.keep({"type": "response.create"})
    kept.forget_words()
    events, time = kept.take()

    assert names(events) == ["session.update"]
    begun = {"type": "input_audio_buffer.speech_started", "audio_start_ms": 300}
    assert time.restore(begun)["audio_start_ms"] == 800
