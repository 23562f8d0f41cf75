"""What is told of a live call: as private as the call is by then, and no number that is hidden."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from penny.calls.keeper import make_call
from penny.calls.notice import Consent
from penny.calls.record import Alert
from penny.calls.recorder import CallRecorder
from penny.calls.spool import SpooledCall, read_log
from penny.session.observers import MODE_CHANGED
from penny.session.turn_record import TurnReader, TurnRecord
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.events import Event
from penny.webhooks.live import LiveTelling
from penny.webhooks.telling import events_of


pytestmark = pytest.mark.virtual_time

HEADER = {"id": "sess_1", "tenant": "default", "edge": "socket", "mode": "EXTERNAL"}
HANDOFF = {"type": "penny.handoff", "reason": "acaba en 4242", "summary": "caduca 11/28, 123"}


class Told:
    """An outbox that takes all."""

    def __init__(self, *receivers: Endpoint) -> None:
        self.events: list[Event] = []
        self.receivers = {each.name: each for each in receivers}

    async def add(self, told: list[Event], *, is_live: bool = False) -> None:
        assert is_live
        self.events += told


class Turns:
    """What records turns, by hand."""

    def __init__(self) -> None:
        self.readers: list[TurnReader] = []

    def add_reader(self, reader: TurnReader) -> None:
        self.readers.append(reader)

    def finish(self, words: str, number: int = 1) -> None:
        for reader in self.readers:
            reader.turn_finished(TurnRecord(number, 0.0, words=words, finished_ms=900.0))


def recorder_of(folder: Path, policy: str = "on") -> CallRecorder:
    spooled = SpooledCall(folder)
    return CallRecorder(
        spooled, HEADER, 0.0, {}, lambda: 1.8e9, consent=Consent(policy), on_ended=lambda: None
    )


async def tell(recorder: CallRecorder, *events: dict[str, Any]) -> list[Event]:
    told = Told()
    telling = LiveTelling(told)  # type: ignore[arg-type]
    observer = telling.watch(recorder, 0.0, Turns())
    for at_s, event in enumerate(events, start=1):
        observer.speaker_event(event, float(at_s))
    await asyncio.sleep(0.1)
    await telling.aclose()
    return told.events


async def test_a_call_that_went_private_is_private_from_then_on(tmp_path: Path) -> None:
    moved = {"type": MODE_CHANGED, "mode": "SELF_HOSTED"}
    began, handed = await tell(recorder_of(tmp_path), moved, HANDOFF)
    assert (began.type, began.is_private) == ("call.started", False)
    assert (handed.type, handed.is_private) == ("handoff.requested", True)
    assert handed.data["mode"] == "SELF_HOSTED"


@pytest.mark.parametrize("resumes", [False, True])
async def test_numbers_of_a_pause_are_in_no_summary_after_it(tmp_path: Path, resumes: bool) -> None:
    recorder = recorder_of(tmp_path)
    _, plain = await tell(recorder, HANDOFF)
    assert "4242" in str(plain.data)
    recorder.pause(0.5)
    if resumes:
        recorder.resume(0.8)
    _, hidden = await tell(recorder, HANDOFF)
    assert hidden.data["summary"]
    assert not any(digit in str(hidden.data["summary"]) for digit in "0123456789")
    assert "4242" not in str(hidden.data)


async def test_words_of_a_call_without_consent_are_not_told(tmp_path: Path) -> None:
    _, handed = await tell(recorder_of(tmp_path, "ask"), HANDOFF)
    assert (handed.data["reason"], handed.data["summary"]) == (None, None)


ALERT = Alert(
    kind="sentiment", turns=[2], score=-0.9, reason="muy molesto, tarjeta 4111 1111 1111 1111"
)


async def test_an_alert_is_told_at_once_and_with_the_record_by_the_same_id(tmp_path: Path) -> None:
    told, recorder = Told(), recorder_of(tmp_path)
    telling = LiveTelling(told)  # type: ignore[arg-type]
    telling.watch(recorder, 0.0, Turns())
    recorder.raise_alert(ALERT, 3.0)
    recorder.raise_alert(Alert(kind="intent"), 4.0)
    await asyncio.sleep(0.1)
    await telling.aclose()
    live = {event.id: event for event in told.events if event.type == "alert.raised"}
    recorder.ended("client", 9.0)
    recorder._spooled.write()
    call = make_call(read_log(tmp_path), {"caller": 0, "penny": 0})
    assert call is not None
    kept = {event.id: event for event in events_of(call) if event.type == "alert.raised"}
    assert list(kept) == list(live)
    assert len(kept) == 2
    assert list(kept.values()) == list(live.values())
    first = next(iter(live.values())).data
    assert (first["kind"], first["turns"], first["state"]) == ("sentiment", [2], "live")
    assert "muy molesto" in first["reason"]
    assert "4111" not in str(first)


@pytest.mark.parametrize("policy", ["ask", "on"])
async def test_an_alert_without_consent_has_no_words(tmp_path: Path, policy: str) -> None:
    told, recorder = Told(), recorder_of(tmp_path, policy)
    telling = LiveTelling(told)  # type: ignore[arg-type]
    telling.watch(recorder, 0.0, Turns())
    recorder.raise_alert(ALERT, 3.0)
    await asyncio.sleep(0.1)
    await telling.aclose()
    assert (told.events[-1].data["reason"] is None) == (policy == "ask")


async def turns_told(recorder: CallRecorder, *said: str, live: bool = True) -> list[Event]:
    told, turns = Told(Endpoint("screen", "https://x.example", (), live_turns=live)), Turns()
    telling = LiveTelling(told)  # type: ignore[arg-type]
    telling.watch(recorder, 0.0, turns)
    for number, words in enumerate(said):
        turns.finish(words, number)
    await asyncio.sleep(0.1)
    await telling.aclose()
    return [event for event in told.events if event.type == "turn.completed"]


async def test_a_turn_is_told_live_without_any_number(tmp_path: Path) -> None:
    said = ("", "quiero pagar", "cuatro uno uno uno", "vence el 15")
    told = await turns_told(recorder_of(tmp_path), *said)
    assert [event.data["turn"] for event in told] == [1, 2, 3]
    assert [event.data["is_masked"] for event in told] == [False, True, True]
    assert told[0].data["words"] == "quiero pagar"
    words = " ".join(event.data["words"] for event in told)
    assert not any(number in words for number in ("cuatro", "uno", "15"))
    assert await turns_told(recorder_of(tmp_path), *said, live=False) == []


async def test_a_live_turn_without_consent_has_no_words(tmp_path: Path) -> None:
    (told,) = await turns_told(recorder_of(tmp_path, "ask"), "", "quiero pagar")
    assert (told.data["words"], told.data["turn"]) == (None, 1)
