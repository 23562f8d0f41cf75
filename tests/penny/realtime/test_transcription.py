"""Sessions of the type ``transcription``: heard, committed, transcribed, and never answered."""

from __future__ import annotations

import pytest

from penny.realtime import commands as c
from tests.penny.realtime.talk import Json, Talk, kinds, the, the_error


pytestmark = pytest.mark.pure

LOGPROBS = "item.input_audio_transcription.logprobs"


def transcribing(**settings: object) -> Talk:
    talk = Talk(**settings)
    update(talk)
    return talk


def update(talk: Talk, **session: object) -> list[Json]:
    return talk.send("session.update", session={"type": "transcription", **session})


def test_the_first_update_makes_the_session_one_that_only_hears() -> None:
    talk = Talk(model="ears")
    before = talk.core.session
    heard = {"transcription": {"language": "es"}, "format": {"type": "audio/pcmu"}}
    (event,) = update(talk, audio={"input": heard})
    session = event["session"]
    assert (session["type"], session["object"]) == (
        "transcription",
        "realtime.transcription_session",
    )
    assert (session["id"], session["expires_at"]) == (before["id"], before["expires_at"])
    assert set(session) == {"type", "object", "id", "expires_at", "audio", "include"}
    assert set(session["audio"]) == {"input"}
    transcription = {"model": "ears", "language": "es", "prompt": None}
    assert session["audio"]["input"]["transcription"] == transcription
    assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 500
    assert talk.commands[-1] == c.Configure(session)


def test_a_turn_is_committed_and_transcribed_and_nothing_answers_it() -> None:
    talk = transcribing()
    events = talk.speak()
    assert kinds(events) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    commit = talk.last_command(c.CommitBuffer)
    assert commit.transcribe
    told = talk.report(
        c.TranscriptDelta(commit.item_id, "hola"), c.TranscriptDone(commit.item_id, "hola", 1000, 1)
    )
    completed = the(told, "conversation.item.input_audio_transcription.completed")
    assert (completed["item_id"], completed["transcript"]) == (commit.item_id, "hola")
    assert the(told, "conversation.item.input_audio_transcription.delta")["delta"] == "hola"
    assert not [each for each in talk.commands if isinstance(each, c.Generate)]


def test_without_turn_detection_each_commit_is_a_transcript() -> None:
    talk = transcribing()
    (updated,) = update(talk, audio={"input": {"turn_detection": None}})
    assert updated["session"]["audio"]["input"]["turn_detection"] is None
    for _ in range(2):
        talk.append(300)
        events = talk.send("input_audio_buffer.commit")
        assert the(events, "input_audio_buffer.committed")
        assert talk.last_command(c.CommitBuffer).transcribe
    assert the_error(talk.send("input_audio_buffer.commit"))["code"] == (
        "input_audio_buffer_commit_empty"
    )


def test_answers_asked_for_with_the_turns_are_not_made() -> None:
    talk = transcribing()
    wishes = {"type": "semantic_vad", "create_response": True, "interrupt_response": True}
    (updated,) = update(talk, audio={"input": {"turn_detection": wishes}})
    detection = updated["session"]["audio"]["input"]["turn_detection"]
    assert (detection["type"], detection["create_response"]) == ("semantic_vad", False)
    talk.speak()
    assert "response.created" not in kinds(talk.events)
    assert talk.core.preview("hola") is None


def test_a_transcription_that_is_switched_off_stays() -> None:
    talk = transcribing()
    (updated,) = update(talk, audio={"input": {"transcription": None}})
    assert updated["session"]["audio"]["input"]["transcription"]["model"] == "penny"


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"instructions": "x"}, "unknown_parameter", "session.instructions"),
        ({"tools": []}, "unknown_parameter", "session.tools"),
        ({"tool_choice": "auto"}, "unknown_parameter", "session.tool_choice"),
        ({"audio": {"output": {"voice": "x"}}}, "unknown_parameter", "session.audio.output"),
        ({"type": "realtime"}, "unsupported_session_type", "session.type"),
        ({"include": [LOGPROBS]}, "unsupported_value", "session.include[0]"),
        (
            {"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe-diarize"}}}},
            "unsupported_value",
            "session.audio.input.transcription.model",
        ),
    ],
)
def test_what_it_does_not_have_is_refused_by_name(session: Json, code: str, param: str) -> None:
    talk = transcribing()
    before = talk.core.session
    error = the_error(update(talk, **session))
    assert (error["code"], error["param"]) == (code, param)
    assert talk.core.session == before


def test_a_response_is_refused_and_the_session_goes_on() -> None:
    talk = transcribing()
    assert the_error(talk.send("response.create"))["code"] == "unsupported_event"
    assert the_error(talk.send("response.cancel"))["code"] == "response_cancel_not_active"
    assert kinds(talk.speak())[-1] == "conversation.item.done"


def test_a_conversation_that_has_begun_stays_one() -> None:
    talk = Talk()
    talk.append(100)
    assert the_error(update(talk))["code"] == "unsupported_session_type"


def test_log_probabilities_are_taken_where_a_recogniser_has_them() -> None:
    (updated,) = update(Talk(tells_logprobs=True), include=[LOGPROBS])
    assert updated["session"]["include"] == [LOGPROBS]
