"""What is told of a live call: as private as the call is by then, and no number that is hidden."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from penny.calls.notice import Consent
from penny.calls.recorder import CallRecorder
from penny.calls.spool import SpooledCall
from penny.session.observers import MODE_CHANGED
from penny.webhooks.events import Event
from penny.webhooks.live import LiveTelling


pytestmark = pytest.mark.virtual_time

HEADER = {"id": "sess_1", "tenant": "default", "edge": "socket", "mode": "EXTERNAL"}
HANDOFF = {"type": "penny.handoff", "reason": "acaba en 4242", "summary": "caduca 11/28, 123"}


class Told:
    """An outbox that takes all."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def add(self, told: list[Event]) -> None:
        self.events += told


def recorder_of(folder: Path, policy: str = "on") -> CallRecorder:
    spooled = SpooledCall(folder, lambda: 0.0)
    return CallRecorder(
        spooled, HEADER, 0.0, {}, lambda: 1.8e9, consent=Consent(policy), on_ended=lambda: None
    )


async def tell(recorder: CallRecorder, *events: dict[str, Any]) -> list[Event]:
    told = Told()
    telling = LiveTelling(told)  # type: ignore[arg-type]
    observer = telling.watch(recorder, 0.0)
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
