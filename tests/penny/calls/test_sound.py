"""The sound of a call: where each stretch lies on the line, and what of an answer was heard."""

from __future__ import annotations

import hashlib
import random
from base64 import b64encode
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from brain.actions import read_consent
from penny.audio import g711
from penny.calls.keeper import make_call
from penny.calls.masking import silenced
from penny.calls.notice import Consent
from penny.calls.record import Call
from penny.calls.recorder import CallRecorder
from penny.calls.sound import place, write_sound
from penny.calls.spool import CALLER, LOG, SpooledCall, read_log
from penny.session.turn_recorder import TurnRecorder


pytestmark = pytest.mark.pure

Json = dict[str, Any]

PIECE = 960


class Kept:
    """A call that a test plays into a recorder; ``ms`` is the loop's clock."""

    def __init__(self, folder: Path, policy: str = "on", *, keeps_text: bool = True) -> None:
        self.spooled = SpooledCall(folder)
        self.turns = TurnRecorder(0.0)
        header = {"id": "sess_1", "tenant": "default", "edge": "socket", "mode": "SELF_HOSTED"}
        header |= {"consent": {"policy": policy, "text": keeps_text}}
        self.recorder = CallRecorder(
            self.spooled,
            header,
            0.0,
            {"usd": 0.5},
            lambda: 1_800_000_000.0,
            consent=Consent(policy, partial(read_consent, about="grabar"), keeps_text=keeps_text),
            on_ended=lambda: None,
        )
        self.turns.add_reader(self.recorder)
        self.folder = folder

    def caller(self, event: Json, ms: float) -> None:
        self.turns.caller_event(event, ms / 1000)
        self.recorder.caller_event(event, ms / 1000)

    def speaker(self, event: Json, ms: float) -> None:
        self.turns.speaker_event(event, ms / 1000)
        self.recorder.speaker_event(event, ms / 1000)

    def says(self, from_ms: int, until_ms: int, level: int) -> None:
        """The caller's audio as it arrives, 20 ms at a time."""
        for ms in range(from_ms, until_ms, 20):
            self.caller({"type": "input_audio_buffer.append", "audio": tone(20, level)}, ms + 20)

    def answers(self, at_ms: int, length_ms: int, level: int, item_id: str = "item_1") -> None:
        """An answer that arrives all at once."""
        response = {"id": f"resp_{item_id}"}
        self.speaker({"type": "response.created", "response": response}, at_ms)
        where = {"response_id": response["id"], "item_id": item_id, "content_index": 0}
        audio = {"type": "response.output_audio.delta", **where, "delta": tone(length_ms, level)}
        self.speaker(audio, at_ms)
        done = {**response, "status": "completed"}
        self.speaker({"type": "response.done", "response": done}, at_ms)

    def end(self, ms: float, reason: str = "client_ended") -> None:
        self.turns.ended(reason, ms / 1000)
        self.recorder.ended(reason, ms / 1000)
        self.spooled.write()

    def hears(self, words: str, from_ms: int, item_id: str) -> None:
        """A spoken turn, recognised 200 ms after its last sound."""
        begun = {"item_id": item_id, "audio_start_ms": from_ms}
        self.speaker({"type": "input_audio_buffer.speech_started", **begun}, from_ms)
        self.says(from_ms, from_ms + 1000, 100)
        over = {"item_id": item_id, "audio_end_ms": from_ms + 1000}
        self.speaker({"type": "input_audio_buffer.speech_stopped", **over}, from_ms + 1000)
        kind = "conversation.item.input_audio_transcription.completed"
        self.speaker({"type": kind, "item_id": item_id, "transcript": words}, from_ms + 1200)

    def call(self) -> Call:
        call = make_call(read_log(self.folder), {"caller": 0, "penny": 0})
        assert call is not None
        return call

    def sound(self) -> tuple[np.ndarray[Any, Any], int]:
        target = self.folder / "sound.flac"
        written = write_sound(self.folder, read_log(self.folder), target)
        assert written is not None
        assert written.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
        samples, rate_hz = soundfile.read(target, dtype="int16")
        assert written.duration_ms == round(len(samples) * 1000 / rate_hz)
        return samples, rate_hz


def tone(ms: float, level: int) -> str:
    """A constant at that level: where it lies can be read off any sample."""
    return b64encode(np.full(round(24 * ms), level, np.int16).tobytes()).decode()


def level_at(samples: np.ndarray[Any, Any], rate_hz: int, ms: float) -> list[int]:
    return [int(each) for each in samples[round(ms * rate_hz / 1000)]]


def test_both_voices_lie_on_one_line(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.says(0, 1000, 100)
    kept.answers(1500, 2000, 200)
    kept.says(1000, 4000, 100)
    kept.end(6000)
    samples, rate_hz = kept.sound()
    assert rate_hz == 24_000
    assert level_at(samples, rate_hz, 500) == [100, 0]
    assert level_at(samples, rate_hz, 1490) == [100, 0]
    assert level_at(samples, rate_hz, 1510) == [100, 200]
    assert level_at(samples, rate_hz, 3490) == [100, 200]
    assert level_at(samples, rate_hz, 3510) == [100, 0]
    assert len(samples) == 6000 * 24


def test_an_answer_ends_where_it_was_cut(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.says(0, 1000, 100)
    kept.answers(1000, 5000, 200)
    kept.says(1000, 3000, 100)
    cut = {"item_id": "item_1", "content_index": 0, "audio_end_ms": 1200}
    kept.caller({"type": "conversation.item.truncate", **cut}, 2300)
    kept.end(9000)
    samples, rate_hz = kept.sound()
    assert level_at(samples, rate_hz, 2190) == [100, 200]
    assert level_at(samples, rate_hz, 2210) == [100, 0]


def test_a_caller_who_was_muted_is_silent_then(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.says(0, 1000, 100)
    kept.says(5000, 6000, 300)
    kept.end(7000)
    samples, rate_hz = kept.sound()
    assert level_at(samples, rate_hz, 990) == [100, 0]
    assert level_at(samples, rate_hz, 3000) == [0, 0]
    assert level_at(samples, rate_hz, 5010) == [300, 0]
    assert len(samples) == 7000 * 24


@pytest.mark.parametrize("audio", ["ñ" * 1280, "!" * 1280, "AAA", "=", "A A " * 320])
def test_what_is_no_audio_is_as_much_silence_and_ends_nothing(tmp_path: Path, audio: str) -> None:
    kept = Kept(tmp_path)
    kept.says(0, 1000, 100)
    kept.caller({"type": "input_audio_buffer.append", "audio": audio}, 1020)
    kept.answers(1500, 1000, 200)
    kept.says(2000, 3000, 100)
    kept.end(4000)
    samples, rate_hz = kept.sound()
    assert level_at(samples, rate_hz, 990) == [100, 0]
    assert level_at(samples, rate_hz, 2400) == [100, 200]
    assert level_at(samples, rate_hz, 2990) == [100, 0]


def test_telephone_audio_is_kept_at_its_own_rate(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    form = {"format": {"type": "audio/pcmu"}}
    session = {"audio": {"input": form, "output": form}}
    kept.speaker({"type": "session.updated", "session": session}, 0)
    loud = g711.ulaw_encode(np.full(160, 8000, np.int16).tobytes())
    audio = b64encode(loud).decode()
    for ms in range(0, 1000, 20):
        kept.caller({"type": "input_audio_buffer.append", "audio": audio}, ms + 20)
    kept.end(2000)
    samples, rate_hz = kept.sound()
    assert rate_hz == 8000
    assert len(samples) == 16_000
    assert level_at(samples, rate_hz, 500)[0] == pytest.approx(8000, rel=0.05)


@pytest.mark.parametrize("ppm", [-150, 0, 150])
def test_a_network_that_stands_still_leaves_every_word_at_its_time(
    tmp_path: Path, ppm: int
) -> None:
    kept, chance = Kept(tmp_path), random.Random(5)
    frame, late, spoken_ms, arrivals = tone(20, 1), 0.0, 500.0, []
    while spoken_ms < 600_000:
        if spoken_ms > late and chance.random() < 0.002:  # muted
            spoken_ms += chance.uniform(500, 20_000)
        elif spoken_ms > late and chance.random() < 0.005:
            late = spoken_ms + chance.uniform(100, 2000)  # nothing comes until then, then all
        spoken_ms += 20 * (1 + ppm / 1e6)
        arrivals.append((spoken_ms, max(spoken_ms, late) + chance.uniform(5, 15)))
    for _, at_ms in arrivals:
        kept.caller({"type": "input_audio_buffer.append", "audio": frame}, at_ms)
    kept.end(600_000)
    size = 960 * len(arrivals)
    pieces = place(read_log(tmp_path), {"caller": size, "penny": 0})["caller"]
    assert sum(piece.until_bytes - piece.at_bytes for piece in pieces) == size
    for piece in pieces:
        for at in range(piece.at_bytes, piece.until_bytes, 960 * 25):
            lies_ms = piece.starts_ms + (at - piece.at_bytes) / 48
            assert lies_ms == pytest.approx(arrivals[at // 960][0] - 20, abs=80)
    last = pieces[-1]
    assert last.starts_ms + last.ms == pytest.approx(arrivals[-1][0], abs=80)


def test_a_card_that_a_network_brings_late_is_silence_all_the_same(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.says(0, 1000, 100)
    started = {"item_id": "i", "audio_start_ms": 1000}
    for _ in range(100):  # two seconds of speech, all in the same moment
        kept.caller({"type": "input_audio_buffer.append", "audio": tone(20, 500)}, 3010)
    kept.speaker({"type": "input_audio_buffer.speech_started", **started}, 3010)
    stopped = {"type": "input_audio_buffer.speech_stopped", "item_id": "i", "audio_end_ms": 3000}
    kept.speaker(stopped, 3010)
    heard = {"item_id": "i", "transcript": "4111 1111 1111 1111"}
    kind = "conversation.item.input_audio_transcription.completed"
    kept.speaker({"type": kind, **heard}, 3500)
    kept.says(4000, 5000, 100)
    kept.end(6000)
    call = kept.call()
    target = tmp_path / "masked.flac"
    assert write_sound(tmp_path, read_log(tmp_path), target, silenced(call.turns)) is not None
    samples, rate_hz = soundfile.read(target, dtype="int16")
    assert level_at(samples, rate_hz, 900)[0] == 100
    assert not (samples[:, 0] == 500).any()
    assert level_at(samples, rate_hz, 4500)[0] == 100


@pytest.mark.parametrize("by_action", [False, True])
def test_a_pause_keeps_silence_and_no_number(tmp_path: Path, by_action: bool) -> None:
    kept = Kept(tmp_path)
    kept.says(0, 1000, 100)
    if by_action:
        kept.speaker({"type": "penny.recording", "paused": True}, 1000)
    else:
        kept.recorder.pause(1.0)
    started = {"type": "input_audio_buffer.speech_started", "item_id": "i", "audio_start_ms": 1000}
    kept.speaker(started, 1000)
    kept.says(1000, 3000, 500)
    heard = {
        "item_id": "i",
        "transcript": "mi tarjeta es cuatro uno uno uno, 4111 y caduca en mayo",
    }
    kind = "conversation.item.input_audio_transcription.completed"
    kept.speaker({"type": kind, **heard}, 3000)
    if by_action:
        kept.speaker({"type": "penny.recording", "paused": False}, 3000)
    else:
        kept.recorder.resume(3.0)
    kept.says(3000, 4000, 100)
    kept.end(9000)
    samples, rate_hz = kept.sound()
    assert level_at(samples, rate_hz, 990) == [100, 0]
    assert {tuple(each) for each in samples[1100 * 24 : 2900 * 24]} == {(0, 0)}
    assert level_at(samples, rate_hz, 3500) == [100, 0]
    call = make_call(read_log(tmp_path), {"caller": 0, "penny": 0})
    assert call is not None
    *_, turn = [turn for turn in call.turns if turn.number == 1]
    assert turn.words == "mi tarjeta es • • • •, •••• y caduca en mayo"


def test_nothing_is_kept_before_a_yes(tmp_path: Path) -> None:
    kept = Kept(tmp_path, policy="ask")
    kept.answers(0, 1000, 200)
    kept.hears("mi clave es secreta", 1000, "i1")
    kept.hears("sí, de acuerdo", 3000, "i2")
    kept.says(4000, 6000, 300)
    kept.hears("quiero mi factura", 6000, "i3")
    kept.end(12_000)
    samples, rate_hz = kept.sound()
    assert {tuple(each) for each in samples[: 3990 * 24]} == {(0, 0)}
    assert level_at(samples, rate_hz, 5000) == [300, 0]
    call = kept.call()
    assert [turn.words for turn in call.turns if turn.number] == [
        None,
        "sí, de acuerdo",
        "quiero mi factura",
    ]
    (answer,) = [line for line in call.consent["told"] if "answer" in line]
    assert answer == {"at_ms": 4200.0, "answer": "yes", "said": "sí, de acuerdo"}


@pytest.mark.parametrize("words", ["no", "no quiero que me graben"])
def test_a_no_leaves_neither_sound_nor_words(tmp_path: Path, words: str) -> None:
    kept = Kept(tmp_path, policy="ask")
    kept.hears(words, 0, "i1")
    kept.hears("sí", 3000, "i2")
    kept.says(4000, 6000, 300)
    kept.end(12_000)
    assert not (tmp_path / CALLER).exists()
    call = kept.call()
    assert [turn.words for turn in call.turns] == [None, None]
    assert [line["answer"] for line in call.consent["told"]] == ["no"]


def test_a_yes_to_another_question_is_no_consent(tmp_path: Path) -> None:
    kept = Kept(tmp_path, policy="ask")
    for number, words in enumerate(("¿cuánto debo?", "¿y cuándo vence?", "sí")):
        kept.hears(words, 3000 * number, f"i{number}")
    kept.end(12_000)
    assert not (tmp_path / CALLER).exists()
    assert {turn.words for turn in kept.call().turns} == {None}


@pytest.mark.parametrize(("key", "answer"), [("1", "yes"), ("2", "no")])
def test_a_key_answers_too(tmp_path: Path, key: str, answer: str) -> None:
    kept = Kept(tmp_path, policy="ask")
    kept.speaker({"type": "input_audio_buffer.dtmf_event_received", "event": key}, 500)
    kept.says(1000, 2000, 300)
    kept.end(9000)
    assert (tmp_path / CALLER).exists() == (answer == "yes")
    assert [line["answer"] for line in kept.call().consent["told"] if "answer" in line] == [answer]


def test_an_announcement_is_kept_with_what_follows_and_noted_as_heard(tmp_path: Path) -> None:
    kept = Kept(tmp_path, policy="announce")
    kept.says(0, 1000, 300)
    kept.answers(1000, 2000, 200)
    kept.says(1000, 5000, 300)
    kept.end(9000)
    samples, rate_hz = kept.sound()
    assert level_at(samples, rate_hz, 500) == [0, 0]
    assert level_at(samples, rate_hz, 1500) == [300, 200]
    assert [sorted(line) for line in kept.call().consent["told"]] == [["at_ms", "heard"]]


def test_a_card_is_silence_in_both_voices(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.hears("hola", 0, "i0")
    kept.hears("4111 1111 1111 1111", 3000, "i1")
    kept.answers(4500, 500, 200)
    kept.hears("gracias", 8000, "i2")
    kept.end(12_000)
    lines = read_log(tmp_path)
    call = kept.call()
    assert [turn.is_masked for turn in call.turns] == [False, True, False]
    target = tmp_path / "sound.flac"
    assert write_sound(tmp_path, lines, target, silenced(call.turns)) is not None
    samples, rate_hz = soundfile.read(target, dtype="int16")
    assert level_at(samples, rate_hz, 500) == [100, 0]
    assert {tuple(each) for each in samples[3010 * 24 : 3490 * 24]} == {(0, 0)}
    assert level_at(samples, rate_hz, 4600) == [0, 200]
    assert level_at(samples, rate_hz, 8100) == [100, 0]


def test_a_record_alone_holds_no_sound(tmp_path: Path) -> None:
    kept = Kept(tmp_path, policy="off")
    kept.says(0, 1000, 100)
    kept.answers(1000, 500, 200)
    kept.end(5000)
    assert not (tmp_path / CALLER).exists()
    assert write_sound(tmp_path, read_log(tmp_path), tmp_path / "sound.flac") is None


def test_without_text_no_word_is_kept_and_a_card_is_silence_all_the_same(tmp_path: Path) -> None:
    kept = Kept(tmp_path, keeps_text=False)
    kept.hears("hola", 0, "i0")
    kept.hears("4111 1111 1111 1111", 3000, "i1")
    kept.speaker({"type": "penny.tool_call", "name": "pagar", "arguments": {"a": "b"}}, 4300)
    kept.answers(4500, 500, 200)
    kept.hears("gracias", 8000, "i2")
    kept.end(12_000)
    call = kept.call()
    assert call.consent == {"policy": "on", "text": False}
    said = [(turn.words, turn.text, turn.timed_words) for turn in call.turns]
    assert said == [(None, "", [])] * 3
    assert [mark["fields"] for turn in call.turns for mark in turn.marks] == [{}]
    target = tmp_path / "sound.flac"
    assert write_sound(tmp_path, read_log(tmp_path), target, silenced(call.turns)) is not None
    samples, rate_hz = soundfile.read(target, dtype="int16")
    assert level_at(samples, rate_hz, 500) == [100, 0]
    assert {tuple(each) for each in samples[3010 * 24 : 3490 * 24]} == {(0, 0)}
    assert level_at(samples, rate_hz, 8100) == [100, 0]


@pytest.mark.parametrize(
    ("reason", "stopped"),
    [("client_ended", "end"), ("handoff", "transfer"), ("speaker_lost", "fault")],
)
def test_the_record_says_until_when_it_was_recorded_and_why(
    tmp_path: Path, reason: str, stopped: str
) -> None:
    kept = Kept(tmp_path)
    kept.says(0, 1000, 100)
    kept.recorder.pause(1.0)
    kept.recorder.pause(1.5)
    kept.recorder.resume(3.0)
    kept.says(3000, 4000, 100)
    kept.end(9000, reason)
    told = [(each.from_ms, each.until_ms, each.stopped) for each in kept.call().recorded]
    assert told[0] == (0.0, 1000.0, "pause")
    assert (told[1][0], told[1][2]) == (3000.0, stopped)
    assert len(told) == 2


def test_who_agrees_no_more_is_kept_no_more(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.hears("mi factura", 0, "i1")
    kept.hears("no quiero que me graben", 6000, "i2")
    kept.speaker({"type": "penny.recording", "paused": True, "withdrawn": True}, 7500)
    kept.speaker({"type": "penny.recording", "paused": False}, 8000)
    kept.hears("cuatro uno uno", 9000, "i3")
    kept.end(14_000)
    call = kept.call()
    assert [turn.words for turn in call.turns] == ["mi factura", None, None]
    assert call.consent["told"] == [{"at_ms": 7500.0, "answer": "withdrawn"}]
    (only,) = call.recorded
    assert (only.from_ms, only.until_ms, only.stopped) == (0.0, 7500.0, "withdrawn")
    samples, rate_hz = kept.sound()
    assert level_at(samples, rate_hz, 6500) == [100, 0]
    assert not samples[7500 * rate_hz // 1000 :].any()


def test_what_a_call_belongs_to_is_in_its_record(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.recorder.link(parent="sess_0")
    kept.recorder.link(pbx_recording="1732980000.42")
    kept.end(1000)
    call = kept.call()
    assert (call.parent, call.pbx_recording) == ("sess_0", "1732980000.42")


def test_a_call_that_was_cut_off_is_kept_to_its_last_sound(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.says(0, 1000, 100)
    kept.answers(1000, 5000, 200)
    kept.says(1000, 2500, 100)
    kept.spooled.write()
    with (tmp_path / LOG).open("ab") as file:
        file.write(b'{"kind": "turn", "tur')  # the process died in the middle of a line
    lines = read_log(tmp_path)
    sizes = {"caller": (tmp_path / CALLER).stat().st_size, "penny": 0}
    call = make_call(lines, sizes)
    assert call is not None
    assert call.status == "interrupted"
    assert (call.ended_at - call.started_at).total_seconds() == pytest.approx(2.5)
    assert [(each.until_ms, each.stopped) for each in call.recorded] == [(2500.0, "fault")]
    samples, _ = kept.sound()
    assert len(samples) >= 2500 * 24


def test_a_log_without_a_header_makes_no_call(tmp_path: Path) -> None:
    (tmp_path / LOG).write_bytes(b'{"kind": "turn"}\n')
    assert make_call(read_log(tmp_path), {"caller": 0, "penny": 0}) is None
