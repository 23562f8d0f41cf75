"""The whole command against a scripted session over a real socket, on a clock that jumps."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from penny.audio.level import rms_dbfs
from penny.audio.wav import read_audio, write_wav
from penny.cli.main import build_parser, main
from penny.cli.talk import talk as call_penny
from penny.protocol.conversation import TextInput
from penny.protocol.error import SessionError
from penny.protocol.session import SessionEnd, SessionStart
from tests.penny.cli.scripted_session import ANSWER, QUESTION, Script, running_session, tone


pytestmark = pytest.mark.socket


Json = dict[str, Any]


@pytest.fixture
def question(tmp_path: Path) -> str:
    """A recording at a rate of its own: talk has to resample it."""
    path = tmp_path / "question.wav"
    write_wav(path, tone(400, rate_hz=8000), 8000)
    return str(path)


async def talk(
    script: Script, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, list[Json]]:
    async with running_session(script) as url:
        parsed = build_parser().parse_args(["talk", *arguments, "--url", url, "--json"])
        status = await call_penny(parsed)
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.virtual_time
async def test_recording_is_answered_and_the_summary_tells_the_turn(
    question: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script()
    out = tmp_path / "reply.wav"

    status, events = await talk(script, capsys, question, "--out", str(out), "--mode", "EXTERNAL")

    summary = events[-1]
    assert status == 0
    assert summary["type"] == "summary"
    assert summary["ok"] is True
    assert summary["mode"] == "EXTERNAL"
    assert summary["audio"]["duration_ms"] == 500
    assert summary["audio"]["rms_dbfs"] == pytest.approx(-13.5, abs=0.5)
    [turn] = summary["turns"]
    assert (turn["user"], turn["penny"], turn["heard"]) == (QUESTION, ANSWER, ANSWER)
    assert turn["interrupted"] is False
    assert turn["latency_ms"]["first_audio"] == 180
    assert summary["answer_delays_ms"][0] > 0
    assert summary["totals"]["turns"] == 1
    assert [event["type"] for event in events].count("turn_metrics") == 1
    assert "transcript_delta" not in {event["type"] for event in events}
    assert isinstance(script.messages[0], SessionStart)
    assert isinstance(script.messages[-1], SessionEnd)


@pytest.mark.virtual_time
async def test_what_was_heard_is_written_where_it_was_heard(
    question: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "reply.wav"

    _, events = await talk(Script(), capsys, question, "--out", str(out))

    pcm, rate_hz = read_audio(out)
    started_ms = next(event["at_ms"] for event in events if event["type"] == "audio_started")
    before = pcm[: (started_ms - 20) * rate_hz // 1000 * 2]
    after = pcm[(started_ms + 60) * rate_hz // 1000 * 2 :][: 300 * rate_hz // 1000 * 2]
    assert rms_dbfs(before) == -100.0
    assert rms_dbfs(after) == pytest.approx(-13.5, abs=0.5)


@pytest.mark.virtual_time
async def test_playback_is_reported_as_it_goes_and_once_at_its_end(
    question: str, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script()

    await talk(script, capsys, question)

    played = [report.played_ms for report in script.reports()]
    assert played == sorted(played)
    assert len(played) >= 4
    assert [report.ended for report in script.reports()] == [False] * (len(played) - 1) + [True]
    assert played[-1] == 500


@pytest.mark.virtual_time
async def test_second_recording_over_the_answer_interrupts_it_and_stops_playback(
    question: str, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script(answer=tone(3000))

    status, events = await talk(script, capsys, question, question, "--over", "400")

    first, second = events[-1]["turns"]
    assert status == 0
    assert first["interrupted"] is True
    assert first["heard"] == "Su factura"
    assert second["interrupted"] is False
    assert second["heard"] == ANSWER
    cut = next(report for report in script.reports() if report.item_id == "item_1" and report.ended)
    assert 400 <= cut.played_ms < 1000
    assert events[-1]["audio"]["duration_ms"] == pytest.approx(3000 + cut.played_ms, abs=1)


@pytest.mark.virtual_time
async def test_second_recording_waits_for_the_end_of_the_first_answer(
    question: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, events = await talk(Script(), capsys, question, question)

    ends = [event["at_ms"] for event in events if event["type"] == "transcript_heard"]
    starts = [event["at_ms"] for event in events if event["type"] == "utterance_started"]
    assert status == 0
    assert [turn["interrupted"] for turn in events[-1]["turns"]] == [False, False]
    assert starts[1] > ends[0]


@pytest.mark.virtual_time
async def test_typed_text_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    script = Script()

    status, events = await talk(script, capsys, "--text", "¿A qué hora abren?")

    assert status == 0
    assert events[-1]["turns"][0]["user"] == "¿A qué hora abren?"
    assert events[-1]["turns"][0]["input"] == "text"
    assert [message.text for message in script.messages if isinstance(message, TextInput)] == [
        "¿A qué hora abren?"
    ]


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (Script(answer=bytes(24_000)), "the answer cannot be heard (500 ms at -100.0 dBFS)"),
        (Script(answer=tone(60)), "the answer cannot be heard (60 ms"),
        (Script(sends_audio=False), "the turn was taken, but no audio came"),
        (Script(answers=False), "the turn was taken, but no audio came"),
        (Script(hangs_up_on_speech=True), "the connection was lost (close code 1011)"),
        (
            Script(
                refusal=SessionError(
                    code="mode_unknown",
                    message="mode: 'FAST' is not a mode; available: SELF_HOSTED",
                    retryable=False,
                )
            ),
            "'FAST' is not a mode; available: SELF_HOSTED",
        ),
    ],
    ids=["silent", "too short", "no audio", "no answer", "hung up", "refused"],
)
async def test_call_without_an_audible_answer_fails_with_the_reason(
    script: Script, reason: str, question: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, events = await talk(script, capsys, question, "--timeout", "1")

    assert status == 1
    assert events[-1]["ok"] is False
    assert reason in events[-1]["reason"]


@pytest.mark.virtual_time
async def test_recording_of_silence_is_told_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "silence.wav"
    write_wav(path, bytes(9600), 24_000)

    status, events = await talk(Script(), capsys, str(path), "--timeout", "0.5")

    assert status == 1
    assert "Penny noticed no speech" in events[-1]["reason"]


def test_nobody_at_the_address_says_how_to_start_penny(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{free.getsockname()[1]}/ws"

        status = main(["talk", "--text", "hola", "--url", url])

    assert status == 1
    assert f"cannot connect to {url}; start Penny with: make run" in capsys.readouterr().out


async def test_person_reads_who_said_what_and_how_long_it_took(
    question: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_session(Script()) as url:
        status = await asyncio.to_thread(main, ["talk", question, "--url", url])

    text = capsys.readouterr().out
    assert status == 0
    assert f"you    {QUESTION}" in text
    assert f"penny  {ANSWER}" in text
    assert (
        "turn decided 160 · transcript 170 · first token 175 · first audio 180 · done 190" in text
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "say something"),
        (["nobody.wav"], "nobody.wav is not a file"),
        ([__file__], "is not readable audio"),
        (["--text", "hola", "--mic"], "one kind at a time"),
        (["--text", "hola", "--out", "/nowhere/at/all.wav"], "there is no folder"),
        (["--text", "hola", "--over", "-5"], "must be 0 or more"),
        (["--text", "hola", "--timeout", "0"], "must be more than 0"),
    ],
)
def test_bad_usage_exits_2_and_says_why(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["talk", *arguments])

    assert left.value.code == 2
    assert words in capsys.readouterr().err


def test_microphone_without_portaudio_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)

    with pytest.raises(SystemExit) as left:
        main(["talk", "--mic"])

    assert left.value.code == 2
    assert "libportaudio2" in capsys.readouterr().err


@pytest.mark.virtual_time
async def test_silent_answer_that_was_spoken_over_is_not_taken_for_one(
    question: str, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script(answer=bytes(144_000))

    status, events = await talk(script, capsys, question, question, "--over", "400")

    assert status == 1
    assert f"{question}: the answer cannot be heard" in events[-1]["reason"]
    assert [turn["interrupted"] for turn in events[-1]["turns"]] == [True, False]
