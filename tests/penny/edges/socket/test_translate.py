"""Realtime server events as one caller of `/ws` sees them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from penny.audio.format import PCM24K
from penny.edges.player import Player
from penny.edges.socket.translate import Effects, Translator


pytestmark = pytest.mark.pure


Json = dict[str, Any]


@pytest.fixture
def view() -> Translator:
    return Translator(Player(PCM24K, lead_ms=0, limit_ms=60_000))


def tell(view: Translator, *events: Json, at_s: float = 0.0) -> Effects:
    total = Effects()
    for event in events:
        effects = view.speaker_event(event, at_s)
        total.to_caller += effects.to_caller
        total.to_speaker += effects.to_speaker
    return total


def kinds(effects: Effects) -> list[str]:
    return [event.type for event in effects.to_caller]  # type: ignore[attr-defined]


def caller_speaks(item: str) -> list[Json]:
    return [
        {"type": "input_audio_buffer.speech_started", "item_id": item, "audio_start_ms": 100},
        {"type": "input_audio_buffer.speech_stopped", "item_id": item, "audio_end_ms": 900},
    ]


def created(response: str, conversation: str | None = "conv_1") -> Json:
    fields = {"id": response, "conversation_id": conversation}
    return {"type": "response.created", "response": fields}


def spoken(response: str, item: str, text: str, ms: int) -> list[Json]:
    place = {"response_id": response, "item_id": item, "content_index": 0}
    audio = b64encode(bytes(PCM24K.bytes_of(ms))).decode()
    return [
        {"type": "response.output_audio_transcript.delta", **place, "delta": text},
        {"type": "response.output_audio.delta", **place, "delta": audio},
    ]


def done(response: str, item: str, status: str = "completed") -> Json:
    fields = {"id": response, "status": status, "output": [{"id": item}]}
    return {"type": "response.done", "response": fields}


def test_a_spoken_turn_is_told_with_one_turn_id(view: Translator) -> None:
    effects = tell(
        view,
        *caller_speaks("item_u"),
        {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": "item_u",
            "transcript": "cuándo vence mi factura",
        },
        created("resp_1"),
        *spoken("resp_1", "item_p", "El quince.", 500),
        done("resp_1", "item_p"),
    )
    assert kinds(effects) == [
        "speech_started",
        "speech_stopped",
        "transcript_final",
        "transcript_delta",
        "response_done",
    ]
    assert {event.turn_id for event in effects.to_caller} == {"turn_1"}  # type: ignore[attr-defined]


def test_speech_over_the_answer_cuts_the_history_to_what_was_heard(view: Translator) -> None:
    tell(view, *caller_speaks("item_u"), created("resp_1"))
    tell(view, *spoken("resp_1", "item_p", "uno dos tres cuatro", 1000), done("resp_1", "item_p"))
    player = view._player
    for at_ms in range(500):
        player.due(at_ms / 1000)
    effects = tell(view, caller_speaks("item_v")[0], at_s=0.5)
    assert effects.to_speaker == [
        {
            "type": "conversation.item.truncate",
            "item_id": "item_p",
            "content_index": 0,
            "audio_end_ms": 500,
        }
    ]
    assert kinds(effects) == ["interruption", "transcript_heard", "speech_started"]
    interruption = effects.to_caller[0]
    assert interruption.turn_id == "turn_1"  # type: ignore[attr-defined]
    assert interruption.heard_text == "uno dos"  # type: ignore[attr-defined]
    assert interruption.cut_text == " tres cuatro"  # type: ignore[attr-defined]
    assert view.interruptions == 1


def test_an_answer_nobody_heard_is_taken_out_of_the_history(view: Translator) -> None:
    tell(view, *caller_speaks("item_u"), created("resp_1"))
    tell(view, *spoken("resp_1", "item_p", "hola", 300))
    effects = tell(view, caller_speaks("item_v")[0], at_s=0.0)
    assert effects.to_speaker == [{"type": "conversation.item.delete", "item_id": "item_p"}]


def test_nothing_of_a_cut_answer_is_played_or_told_afterwards(view: Translator) -> None:
    tell(view, *caller_speaks("item_u"), created("resp_1"))
    tell(view, *spoken("resp_1", "item_p", "uno ", 200))
    tell(view, caller_speaks("item_v")[0], at_s=0.1)
    late = tell(view, *spoken("resp_1", "item_p", "dos ", 200), at_s=0.2)
    assert kinds(late) == []
    assert view._player.due(5.0) == []


def test_the_button_cancels_the_response_and_cuts(view: Translator) -> None:
    tell(view, *caller_speaks("item_u"), created("resp_1"))
    tell(view, *spoken("resp_1", "item_p", "uno dos", 400))
    view._player.due(0.0)
    effects = view.interrupt(0.2)
    assert [event["type"] for event in effects.to_speaker] == [
        "response.cancel",
        "conversation.item.truncate",
    ]
    assert kinds(effects) == ["interruption", "transcript_heard"]


def test_the_button_does_nothing_when_penny_is_silent(view: Translator) -> None:
    effects = view.interrupt(1.0)
    assert effects == Effects()


def test_an_out_of_band_response_is_not_the_callers(view: Translator) -> None:
    effects = tell(view, created("resp_x", None), done("resp_x", "item_x"))
    assert kinds(effects) == []


def test_a_failed_answer_is_told_with_its_reason(view: Translator) -> None:
    failed = done("resp_1", "item_p", "failed")
    failed["response"]["status_details"] = {"error": {"code": "llm_timeout", "message": "too slow"}}
    effects = tell(view, *caller_speaks("item_u"), created("resp_1"), failed)
    assert kinds(effects)[-2:] == ["error", "response_done"]
    assert effects.to_caller[-2].message == "llm_timeout: too slow"  # type: ignore[attr-defined]


def test_races_that_nobody_can_avoid_are_not_the_callers_business(view: Translator) -> None:
    race = {"type": "error", "error": {"code": "response_cancel_not_active", "message": "no"}}
    assert kinds(tell(view, race)) == []


def test_an_answer_too_long_to_keep_is_cut_with_a_warning() -> None:
    view = Translator(Player(PCM24K, lead_ms=0, limit_ms=1000))
    effects = tell(view, created("resp_1"), *spoken("resp_1", "item_p", "largo", 1500))
    assert kinds(effects) == ["transcript_delta", "warning"]


ACTIVE = "conversation_already_has_active_response"


def refusal(event_id: str, code: str = ACTIVE) -> Json:
    return {"type": "error", "error": {"code": code, "event_id": event_id, "message": "wait"}}


def test_a_wish_refused_for_a_response_nobody_knew_of_replaces_it(view: Translator) -> None:
    assert view.wish.begin("event_1") == {"type": "response.create", "event_id": "event_1"}
    view.wish.begin("event_2")
    effects = tell(view, created("resp_1"), refusal("event_2"))
    assert effects.to_speaker == [
        {"type": "response.cancel", "response_id": "resp_1"},
        {"type": "response.create", "event_id": "event_2"},
    ]
    assert kinds(effects) == ["interruption"]


def test_only_the_newest_wish_is_wished_again(view: Translator) -> None:
    view.wish.begin("event_1")
    view.wish.begin("event_2")
    assert tell(view, refusal("event_1"), refusal("somebody_elses")) == Effects()


def test_a_wish_that_is_refused_for_ever_is_told(view: Translator) -> None:
    view.wish.begin("event_1")
    again = tell(view, *[refusal("event_1")] * 5)
    assert again.to_speaker.count({"type": "response.create", "event_id": "event_1"}) == 5
    assert again.to_caller == []
    assert kinds(tell(view, refusal("event_1"))) == ["error"]
