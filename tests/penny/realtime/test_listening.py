"""The input buffer, commits, detected speech and transcripts."""

from __future__ import annotations

import base64
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penny.realtime import commands as c
from tests.penny.realtime.talk import MS, Talk, kinds, the_error


pytestmark = pytest.mark.pure


MANUAL = {"input": {"turn_detection": None}}


def test_an_empty_commit_is_refused_by_name() -> None:
    talk = Talk()
    error = the_error(talk.send("input_audio_buffer.commit", event_id="c1"))
    assert error["code"] == "input_audio_buffer_commit_empty"
    assert error["event_id"] == "c1"


def test_a_commit_of_less_than_100_ms_is_refused_by_name() -> None:
    talk = Talk()
    talk.update(audio=MANUAL)
    talk.append(99)
    error = the_error(talk.send("input_audio_buffer.commit"))
    assert error["code"] == "input_audio_buffer_commit_empty"
    assert "99.00ms" in error["message"]
    talk.append(1)
    assert len(talk.send("input_audio_buffer.commit")) == 3
    assert len(talk.send("input_audio_buffer.commit")) == 1


def test_the_silence_after_a_detected_turn_is_nothing_to_commit() -> None:
    talk = Talk()
    talk.append(600)
    talk.report(c.SpeechStarted(100))
    talk.append(1_500)
    talk.report(c.SpeechStopped(600))
    error = the_error(talk.send("input_audio_buffer.commit"))
    assert error["code"] == "input_audio_buffer_commit_empty"
    assert "0.00ms" in error["message"]
    talk.append(500)
    talk.report(c.SpeechStarted(2_200))
    assert len(talk.send("input_audio_buffer.commit")) == 3
    talk.append(500)
    assert len(talk.send("input_audio_buffer.commit")) == 3, "as much as the client says is a turn"


@pytest.mark.parametrize("then", ["clear", "manual"])
def test_what_comes_after_the_silence_was_let_go_is_the_clients_to_commit(then: str) -> None:
    talk = Talk()
    talk.append(600)
    talk.report(c.SpeechStarted(100))
    talk.report(c.SpeechStopped(600))
    if then == "clear":
        talk.send("input_audio_buffer.clear")
    else:
        talk.update(audio=MANUAL)
    talk.append(500)
    assert len(talk.send("input_audio_buffer.commit")) == 3


def test_clear_forgets_the_uncommitted_audio_and_the_speech_in_it() -> None:
    talk = Talk()
    talk.append(500)
    talk.report(c.SpeechStarted(100))
    assert kinds(talk.send("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert talk.commands[-1] == c.ClearBuffer()
    assert talk.report(c.SpeechStopped(400)) == []
    assert the_error(talk.send("input_audio_buffer.commit"))


def test_positions_go_on_after_a_clear() -> None:
    talk = Talk()
    talk.update(audio=MANUAL)
    talk.append(500)
    talk.send("input_audio_buffer.clear")
    talk.append(200)
    talk.send("input_audio_buffer.commit")
    commit = talk.commands[-1]
    assert isinstance(commit, c.CommitBuffer)
    assert (commit.start_ms, commit.end_ms) == (500, 700)


def test_a_commit_during_speech_takes_the_item_that_was_announced() -> None:
    talk = Talk()
    talk.append(600)
    (started,) = talk.report(c.SpeechStarted(200))
    committed = talk.send("input_audio_buffer.commit")[0]
    assert committed["item_id"] == started["item_id"]
    assert talk.report(c.SpeechStopped(600)) == []


def test_a_second_onset_inside_speech_and_a_stop_without_one_are_dropped() -> None:
    talk = Talk()
    talk.append(600)
    assert talk.report(c.SpeechStopped(300)) == []
    talk.report(c.SpeechStarted(100))
    assert talk.report(c.SpeechStarted(200)) == []


def test_turns_do_not_overlap_and_each_follows_the_item_before() -> None:
    talk = Talk()
    vad = {"type": "server_vad", "create_response": False}
    talk.update(audio={"input": {"turn_detection": vad}})
    talk.speak(0, 1000)
    events = talk.speak(900, 2000)  # padding reaches back into the turn before
    assert events[0]["audio_start_ms"] == 1000
    assert events[2]["previous_item_id"] == "item_1"
    spans = [
        (each.start_ms, each.end_ms) for each in talk.commands if isinstance(each, c.CommitBuffer)
    ]
    assert spans == [(0, 1000), (1000, 2000)]


def test_switching_detection_off_during_speech_leaves_the_audio_to_the_client() -> None:
    talk = Talk()
    talk.append(600)
    talk.report(c.SpeechStarted(200))
    talk.update(audio=MANUAL)
    assert talk.report(c.SpeechStopped(500)) == []
    talk.send("input_audio_buffer.commit")
    commit = talk.commands[-1]
    assert isinstance(commit, c.CommitBuffer)
    assert (commit.start_ms, commit.end_ms) == (0, 600)


def test_a_manual_buffer_that_is_full_refuses_and_loses_nothing() -> None:
    talk = Talk(max_buffer_ms=1000)
    talk.update(audio=MANUAL)
    talk.append(1001)
    audio = base64.b64encode(bytes(MS)).decode()
    error = the_error(talk.send("input_audio_buffer.append", audio=audio))
    assert error["code"] == "input_audio_buffer_full"
    talk.send("input_audio_buffer.commit")
    commit = talk.commands[-1]
    assert isinstance(commit, c.CommitBuffer)
    assert commit.end_ms == 1001


def test_with_detection_on_old_silence_is_let_go() -> None:
    talk = Talk(max_buffer_ms=1000)
    for _ in range(5):
        talk.append(1000)
    talk.update(audio=MANUAL)
    talk.send("input_audio_buffer.commit")
    commit = talk.commands[-1]
    assert isinstance(commit, c.CommitBuffer)
    assert (commit.start_ms, commit.end_ms) == (4000, 5000)


@pytest.mark.parametrize(
    ("audio", "code"),
    [
        (None, "invalid_type"),
        (5, "invalid_type"),
        ("@@@@", "invalid_value"),
        ("AAA", "invalid_value"),
        ("AA==AA==", "invalid_value"),
        ("ñ", "invalid_value"),
        ("A" * 44, "audio_too_large"),
    ],
)
def test_audio_that_is_not_base64_is_refused(audio: object, code: str) -> None:
    talk = Talk(max_append_bytes=30)
    error = the_error(talk.send("input_audio_buffer.append", audio=audio))
    assert (error["code"], error["param"]) == (code, "audio")
    missing = the_error(talk.send("input_audio_buffer.append"))
    assert missing["code"] == "missing_required_parameter"


@settings(max_examples=60, deadline=None)
@given(
    pcm=st.binary(min_size=1, max_size=40).map(lambda grain: (grain * 12_000)[:11_999]),
    cuts=st.lists(st.integers(0, 12_000), max_size=12),
    kind=st.sampled_from(["audio/pcm", "audio/pcmu", "audio/pcma"]),
)
def test_any_split_of_the_bytes_commits_the_same_audio(
    pcm: bytes, cuts: list[int], kind: str
) -> None:
    whole, parts = Talk(), Talk()
    bounds = [0, *sorted(min(cut, len(pcm)) for cut in cuts), len(pcm)]
    pieces = [pcm[start:end] for start, end in pairwise(bounds)]
    for talk, chunks in ((whole, [pcm]), (parts, pieces)):
        talk.update(audio={"input": {"turn_detection": None, "format": {"type": kind}}})
        for chunk in chunks:
            audio = base64.b64encode(chunk).decode()
            talk.send("input_audio_buffer.append", audio=audio)
        talk.send("input_audio_buffer.commit")
    heard = [
        b"".join(each.pcm for each in talk.commands if isinstance(each, c.BufferAudio))
        for talk in (whole, parts)
    ]
    assert heard[0] == heard[1]
    assert whole.commands[-1] == parts.commands[-1]
    assert kinds(whole.events) == kinds(parts.events)


def test_a_failed_transcription_is_told_and_lets_the_answer_begin() -> None:
    talk = Talk()
    talk.update(audio={"input": {"transcription": {}}})
    response_id = talk.speak()[-1]["response"]["id"]
    (failed,) = talk.report(c.TranscriptFailed("item_1", "stt_timeout", "too slow"))
    assert failed["type"] == "conversation.item.input_audio_transcription.failed"
    assert failed["error"]["code"] == "stt_timeout"
    assert talk.ask(response_id).items[0]["content"][0]["transcript"] == ""
    assert talk.report(c.TranscriptDone("item_1", "tarde", 1000)) == []


def test_a_second_failure_of_a_transcription_is_dropped() -> None:
    talk = Talk()
    talk.update(audio={"input": {"transcription": {}}})
    talk.speak()
    failed = c.TranscriptFailed("item_1", "stt_timeout", "too slow")
    assert talk.report(failed)
    assert talk.report(failed) == []


def test_a_failed_transcription_that_was_not_asked_for_is_not_told() -> None:
    talk = Talk()
    response_id = talk.speak()[-1]["response"]["id"]
    assert talk.report(c.TranscriptFailed("item_1", "stt_timeout", "too slow")) == []
    assert talk.ask(response_id).items[0]["content"][0]["transcript"] == ""


def test_a_transcript_of_a_deleted_item_is_dropped() -> None:
    talk = Talk()
    talk.update(audio={"input": {"transcription": {}}})
    talk.speak()
    talk.send("conversation.item.delete", item_id="item_1")
    late = talk.report(c.TranscriptDelta("item_1", "x"), c.TranscriptDone("item_1", "x", 1000))
    assert late == []


def test_whether_to_transcribe_is_decided_at_the_commit() -> None:
    talk = Talk()
    talk.speak()
    assert talk.last_command(c.CommitBuffer).transcribe is False
    talk.update(audio={"input": {"transcription": {}}})
    assert talk.report(c.TranscriptDone("item_1", "hola", 1000)) == []


def test_the_language_of_the_caller_is_remembered() -> None:
    talk = Talk()
    talk.speak()
    talk.report(c.TranscriptDone("item_1", "hello", 1000, 1, "en"))
    assert talk.ask(talk.core.active_response_id or "").language == "en"


def test_a_second_transcript_of_the_same_item_is_dropped() -> None:
    talk = Talk()
    talk.update(audio={"input": {"transcription": {}}})
    talk.speak()
    assert len(talk.report(c.TranscriptDone("item_1", "hola", 1000))) == 1
    assert talk.report(c.TranscriptDone("item_1", "adiós", 1000)) == []
    assert talk.report(c.TranscriptDelta("item_1", "más")) == []


def test_half_a_sample_before_a_clear_does_not_shift_what_follows() -> None:
    talk = Talk()
    talk.send("input_audio_buffer.append", audio=base64.b64encode(b"\x01").decode())
    talk.send("input_audio_buffer.clear")
    talk.send("input_audio_buffer.append", audio=base64.b64encode(b"\x02\x03").decode())
    assert talk.commands[-1] == c.BufferAudio(b"\x02\x03")


def test_an_idle_timeout_that_nobody_asked_for_or_that_comes_during_speech_is_dropped() -> None:
    talk = Talk()
    talk.append(500)
    assert talk.report(c.IdleTimeout(0, 500)) == []
    talk.update(audio={"input": {"turn_detection": {"idle_timeout_ms": 400}}})
    talk.report(c.SpeechStarted(100))
    assert talk.report(c.IdleTimeout(0, 500)) == []


def test_a_users_seeded_audio_with_its_transcript_is_not_transcribed_again() -> None:
    talk = Talk()
    audio = base64.b64encode(bytes(200 * MS)).decode()
    part = {"type": "input_audio", "audio": audio, "transcript": "hola"}
    talk.create({"type": "message", "role": "user", "content": [part]})
    assert not any(isinstance(each, c.ItemAudio) for each in talk.commands)
    assert talk.report(c.TranscriptDone("item_1", "otra", 200)) == []
