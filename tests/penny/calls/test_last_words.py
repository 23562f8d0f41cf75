"""What is said when the caller hangs up, and how long its words are waited for."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from penny.calls.last_words import WITHIN_S, LastWords
from penny.calls.record import measure
from penny.session.edge import EdgeSink
from penny.webhooks.telling import events_of
from tests.penny.calls.test_sound import Kept


pytestmark = pytest.mark.virtual_time

Json = dict[str, Any]

STARTED = {"type": "input_audio_buffer.speech_started", "item_id": "i1"}
STOPPED = {"type": "input_audio_buffer.speech_stopped", "item_id": "i1"}
COMMITTED = {"type": "input_audio_buffer.committed", "item_id": "i1"}
KNOWN = {
    "type": "conversation.item.input_audio_transcription.completed",
    "item_id": "i1",
    "transcript": "adiós",
}


class Caller:
    """An edge, and the session behind it, as a test sees both."""

    name = "socket"
    end_reason = "client_ended"

    def __init__(self) -> None:
        self.delivered: list[Json] = []
        self.sent: list[Json] = []
        self.ended_s: list[float] = []
        self._loop = asyncio.get_running_loop()
        self.edge = LastWords(self, self._loop)
        self.edge.start(self)

    def start(self, sink: EdgeSink) -> None:
        self.hang_up = sink.on_closed

    def deliver(self, event: Json) -> None:
        self.delivered.append(event)

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    async def aclose(self, reason: str, totals: Json) -> None: ...

    def on_event(self, event: Json) -> None:
        self.sent.append(event)

    def on_closed(self) -> None:
        self.ended_s.append(self._loop.time())


async def test_who_says_nothing_is_gone_at_once() -> None:
    caller = Caller()
    for event in (STARTED, STOPPED, COMMITTED, KNOWN):
        caller.edge.deliver(event)
    caller.hang_up()
    assert len(caller.ended_s) == 1
    assert caller.sent == []


async def test_speech_is_committed_and_its_words_end_the_call() -> None:
    caller = Caller()
    caller.edge.deliver(STARTED)
    caller.hang_up()
    assert caller.sent == [{"type": "input_audio_buffer.commit"}]
    caller.edge.deliver(COMMITTED)
    assert caller.ended_s == []
    caller.edge.deliver(KNOWN)
    assert len(caller.ended_s) == 1
    assert caller.delivered == [STARTED]


@pytest.mark.parametrize("heard", [[STARTED], [STARTED, STOPPED], [STARTED, STOPPED, COMMITTED]])
async def test_words_that_never_come_end_it_in_time_and_once(heard: list[Json]) -> None:
    caller = Caller()
    for event in heard:
        caller.edge.deliver(event)
    begun_s = asyncio.get_running_loop().time()
    caller.hang_up()
    await asyncio.sleep(10)
    caller.edge.deliver(KNOWN)
    assert caller.ended_s == [begun_s + WITHIN_S]


async def test_speech_with_nothing_to_commit_ends_at_once() -> None:
    caller = Caller()
    caller.edge.deliver(STARTED)
    caller.hang_up()
    caller.edge.deliver({"type": "error", "error": {"code": "input_audio_buffer_commit_empty"}})
    assert len(caller.ended_s) == 1


async def test_a_session_that_ends_meanwhile_is_not_ended_again() -> None:
    caller = Caller()
    caller.edge.deliver(STARTED)
    caller.hang_up()
    await caller.edge.aclose("drain", {})
    await asyncio.sleep(10)
    assert caller.ended_s == []


async def hang_up_while_speaking(folder: Path, random_: random.Random) -> None:
    """One call that ends in mid-word; its words come within what is waited for."""
    loop = asyncio.get_running_loop()
    begun_s, caller, kept = loop.time(), Caller(), Kept(folder)

    def deliver(event: Json) -> None:
        caller.edge.deliver(event)
        kept.speaker(event, (loop.time() - begun_s) * 1000)

    await asyncio.sleep(random_.uniform(0, 3))
    from_ms = round((loop.time() - begun_s) * 1000)
    deliver({**STARTED, "audio_start_ms": from_ms})
    await asyncio.sleep(random_.uniform(0.1, 2))
    is_said = random_.random() < 0.5
    until_ms = round((loop.time() - begun_s) * 1000)
    if is_said:
        deliver({**STOPPED, "audio_end_ms": until_ms})
        deliver(COMMITTED)
    caller.hang_up()
    if not is_said:
        assert caller.sent == [{"type": "input_audio_buffer.commit"}]
        deliver(COMMITTED)
    assert caller.ended_s == []
    await asyncio.sleep(random_.uniform(0, WITHIN_S - 0.01))
    deliver(KNOWN)
    assert len(caller.ended_s) == 1
    kept.end((loop.time() - begun_s) * 1000)
    call = kept.call()
    call.metrics = measure(call)
    told = sorted(events_of(call), key=lambda event: event.data["call_sequence"])
    types = [event.type for event in told]
    words = told[types.index("turn.completed")].data["words"]
    assert (words, call.turns[-1].words) == ("adiós", "adiós")
    assert types.index("turn.completed") < types.index("call.ended")


async def test_a_hundred_last_words_are_kept_and_told_before_the_end(tmp_path: Path) -> None:
    random_ = random.Random(5)
    folders = [tmp_path / str(number) for number in range(100)]
    await asyncio.gather(*(hang_up_while_speaking(folder, random_) for folder in folders))
