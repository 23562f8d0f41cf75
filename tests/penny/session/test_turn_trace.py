"""The spans of a turn, from events and times alone."""

from __future__ import annotations

from typing import Any

import pytest

from penny.session.turn_recorder import SETTLE_MS, TurnRecorder
from penny.session.turn_trace import TurnTrace
from tests.doubles.kept_spans import KeptSpans


pytestmark = pytest.mark.pure


Json = dict[str, Any]

FRAME = "A" * 1280
"""20 ms of PCM16 at 24 000 Hz, in base64."""
SECOND = "A" * 64_000


class Call:
    """A session's events on a clock of its own."""

    def __init__(self) -> None:
        self.kept = KeptSpans()
        self.turns = TurnRecorder(0.0)
        self.turns.add_reader(TurnTrace(self.kept.trace, 0.0))

    def at(self, now_s: float) -> Call:
        self.kept.now_s = now_s
        return self

    def pass_time(self, now_s: float) -> None:
        """The caller's line goes on; what is over by then is finished."""
        self.at(now_s).turns.caller_event({"type": "input_audio_buffer.append"}, now_s)

    def hear(self, seconds: float) -> None:
        """The caller's audio up to ``seconds``, as it arrives."""
        while self.kept.now_s + 0.02 <= seconds + 1e-9:
            self.at(round(self.kept.now_s + 0.02, 2))
            event = {"type": "input_audio_buffer.append", "audio": FRAME}
            self.turns.caller_event(event, self.kept.now_s)

    def caller(self, kind: str, **fields: Any) -> None:
        self.turns.caller_event({"type": kind, **fields}, self.kept.now_s)

    def speaker(self, kind: str, **fields: Any) -> None:
        self.turns.speaker_event({"type": kind, **fields}, self.kept.now_s)

    def begin_answer(self, response_id: str = "r1") -> None:
        self.speaker("response.created", response={"id": response_id, "conversation_id": "c"})

    def say(self, response_id: str = "r1", audio: str = SECOND) -> None:
        self.speaker(
            "response.output_audio.delta", response_id=response_id, item_id="p1", delta=audio
        )

    def end_answer(self, response_id: str = "r1", status: str = "completed") -> None:
        usage = {"input_tokens": 40, "output_tokens": 9}
        response = {"id": response_id, "status": status, "usage": usage}
        self.speaker("response.done", response=response)

    def ask(self) -> None:
        """A turn of speech from 1.0 to 2.0 s, decided at 2.5."""
        self.hear(1.2)
        self.speaker("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=1000)
        self.hear(2.5)
        self.speaker("input_audio_buffer.speech_stopped", item_id="u1", audio_end_ms=2500)


def test_each_stage_of_a_spoken_turn_has_its_own_time() -> None:
    call = Call()
    call.ask()
    call.at(2.6).speaker("penny.turn.decided", item_id="u1", speech_end_ms=1900, decided_ms=2500)
    kind = "conversation.item.input_audio_transcription.completed"
    call.at(2.7).speaker(kind, item_id="u1", transcript="no se guarda")
    call.begin_answer()
    call.at(3.0).say()
    call.say()
    call.at(3.2).end_answer()
    call.pass_time(9.0)

    times = call.kept.times
    assert times("endpointing") == pytest.approx((1.9, 2.5))
    assert times("transcription") == pytest.approx((1.9, 2.7))
    assert times("generation") == pytest.approx((2.7, 3.2))
    assert times("first_audio") == pytest.approx((1.9, 3.0))
    assert times("playback") == pytest.approx((3.0, 5.0))
    assert times("turn") == pytest.approx((1.0, 5.0))
    turn = call.kept.ended["turn"]
    assert turn.attributes is not None
    assert turn.attributes["penny.wait.ms"] == 1100
    for name in ("endpointing", "transcription", "generation", "first_audio", "playback"):
        parent = call.kept.ended[name].parent
        assert parent is not None
        assert parent.span_id == turn.context.span_id
    assert "no se guarda" not in str([span.to_json() for span in call.kept.all("transcription")])


def test_an_interruption_lasts_from_the_callers_onset_to_the_silence() -> None:
    call = Call()
    call.ask()
    call.hear(2.6)
    call.begin_answer()
    call.say(audio=SECOND * 5)
    call.hear(4.0)
    call.speaker("input_audio_buffer.speech_started", item_id="u2", audio_start_ms=3600)
    call.at(4.1).caller("conversation.item.truncate", item_id="p1", audio_end_ms=1400)
    call.end_answer(status="cancelled")
    call.turns.ended("client_ended", 6.0)

    assert call.kept.times("interruption") == pytest.approx((3.6, 4.1))
    assert call.kept.times("playback") == pytest.approx((2.6, 4.1))
    first, second = call.kept.all("turn")
    assert first.attributes is not None
    assert first.attributes["penny.interrupted"] is True
    assert second.attributes is not None
    assert second.attributes["penny.item.id"] == "u2"


def test_a_response_after_a_function_belongs_to_the_same_turn() -> None:
    call = Call()
    call.at(1.0).caller("conversation.item.create", item={"role": "user"})
    call.speaker("conversation.item.added", item={"id": "u1", "role": "user"})
    call.begin_answer()
    call.at(1.5).end_answer()
    call.at(1.5 + SETTLE_MS / 2000).begin_answer("r2")
    call.at(3.0).say("r2")
    call.end_answer("r2")
    call.pass_time(6.0)

    (turn,) = call.kept.all("turn")
    parents = {span.parent.span_id for span in call.kept.all("generation") if span.parent}
    assert parents == {turn.context.span_id}
    assert call.kept.times("turn") == pytest.approx((1.0, 4.0))


def test_the_end_of_a_session_ends_what_is_open_and_names_the_reason() -> None:
    call = Call()
    call.ask()
    call.at(2.6).begin_answer()
    call.at(3.0).turns.ended("speaker_lost", 3.0)

    session = call.kept.ended["session"]
    assert session.attributes is not None
    assert session.attributes["penny.end.reason"] == "speaker_lost"
    assert call.kept.ended["generation"].status.is_ok is False
    assert {"turn", "endpointing"} <= set(call.kept.ended)


def test_a_greeting_is_generated_before_any_turn() -> None:
    call = Call()
    call.begin_answer()
    call.say()
    call.end_answer()
    call.turns.ended("client_ended", 2.0)
    generation = call.kept.ended["generation"]
    assert generation.parent is not None
    assert generation.parent.span_id == call.kept.ended["session"].context.span_id
