"""Turns from events: texts replaced by finals, heard apart from generated, who is still awaited."""

from __future__ import annotations

from typing import Any

import pytest

from penny.cli.turn_log import TurnLog


pytestmark = pytest.mark.pure


Json = dict[str, Any]


def log_of(*events: Json) -> TurnLog:
    log = TurnLog()
    for event in events:
        log.feed(event)
    return log


def started(turn: str = "t1") -> Json:
    return {"type": "speech_started", "turn_id": turn}


def stopped(turn: str = "t1") -> Json:
    return {"type": "speech_stopped", "turn_id": turn}


def final(role: str, text: str, *, turn: str = "t1", item: str = "i1", **more: Any) -> Json:
    return {
        "type": "transcript_final",
        "role": role,
        "turn_id": turn,
        "item_id": item,
        "text": text,
        **more,
    }


def delta(text: str, item: str = "i1") -> Json:
    return {
        "type": "transcript_delta",
        "role": "penny",
        "turn_id": "t1",
        "item_id": item,
        "delta": text,
    }


def done(turn: str = "t1", status: str = "completed") -> Json:
    return {"type": "response_done", "turn_id": turn, "status": status}


def test_final_text_replaces_its_deltas() -> None:
    log = log_of(delta("Su fac"), delta("tura"), final("penny", "Su factura vence."))

    assert log.turns[0].penny == "Su factura vence."


def test_deltas_stand_when_no_final_comes() -> None:
    assert log_of(delta("Su "), delta("factura ")).turns[0].penny == "Su factura"


def test_items_of_one_answer_are_joined_in_order() -> None:
    log = log_of(final("penny", "Un momento."), final("penny", "Son veinte euros.", item="i2"))

    assert log.turns[0].penny == "Un momento. Son veinte euros."


def test_interruption_keeps_what_was_heard_apart_from_what_was_generated() -> None:
    log = log_of(
        final("penny", "Su factura vence el quince."),
        {"type": "interruption", "turn_id": "t1", "item_id": "i1", "heard_text": "Su factura"},
        done(status="cancelled"),
    )

    summary = log.turns[0].summarize()
    assert summary["interrupted"] is True
    assert summary["penny"] == "Su factura vence el quince."
    assert summary["heard"] == "Su factura"
    assert not log.turns[0].answered


def test_caller_is_waiting_from_speech_to_the_end_of_the_response() -> None:
    log = TurnLog()
    waiting = []
    for event in (started(), stopped(), final("user", "hola"), done()):
        log.feed(event)
        waiting.append(log.waiting)

    assert waiting == [True, True, True, False]


def test_only_turns_of_the_newest_utterance_count_as_its_answer() -> None:
    log = log_of(started(), stopped(), done())

    assert log.answered_since(0)
    assert not log.answered_since(1)
    log.feed(started("t2"))
    assert not log.answered_since(0)


def test_rejected_words_are_marked_as_not_understood() -> None:
    log = log_of(final("user", "", understood=False))

    assert log.turns[0].summarize()["understood"] is False


def test_errors_and_the_end_are_kept() -> None:
    log = log_of(
        {"type": "error", "code": "engine_failed", "message": "stt: no model"},
        {"type": "session_ended", "reason": "idle"},
        {"type": "never_heard_of"},
    )

    assert log.errors == ["engine_failed: stt: no model"]
    assert log.ended is not None
    assert log.turns == []
