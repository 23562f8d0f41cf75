"""A telephone call on the virtual clock: pacing, position, keys, gaps and endings."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from config.schema import Config
from config.trust import LimitsSection
from penny.edges.telephone.edge import PhoneEdge
from penny.edges.telephone.ticker import Ticker
from penny.gateway.phones import PhoneCall as PhoneCallOf
from penny.gateway.phones import Phones
from penny.trust.tenants import Tenants
from tests.doubles.phone_wire import SILENCE, FarSide, PhoneCall, Sink
from tests.virtual_time import VirtualTimeLoop


pytestmark = pytest.mark.virtual_time

LOUD = b"\x20" * 160
"""20 ms of a voice, u-law."""


def stall(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.now_s += seconds


async def test_a_wire_without_a_buffer_gets_a_frame_every_20_ms_in_silence_too() -> None:
    call = PhoneCall(FarSide(lead_ms=0, tells_played=False, needs_audio=True))
    await asyncio.sleep(0.5)
    call.answer(1000)
    await asyncio.sleep(2.0)
    times = [at for at, _ in call.far.sent]
    gaps = {round((b - a) * 1000) for a, b in zip(times, times[1:], strict=False)}
    assert gaps == {20}
    # A second, and what the filter held back of its end.
    assert call.far.loud() == 51


@pytest.mark.parametrize("stalled_s", [0.010, 0.025, 0.070, 0.1, 0.5])
async def test_after_a_stall_no_more_than_three_frames_leave_at_once(stalled_s: float) -> None:
    call = PhoneCall(FarSide(lead_ms=0, tells_played=False, needs_audio=True))
    call.answer(5000)
    await asyncio.sleep(0.305)
    before = len(call.far.sent)
    stall(stalled_s)
    await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    burst = len(call.far.sent) - before
    assert burst <= 3
    at_s = asyncio.get_running_loop().time()
    await asyncio.sleep(1.0)
    later = [at for at, _ in call.far.sent if at > at_s + 0.001]
    gaps = [round((b - a) * 1000) for a, b in zip(later, later[1:], strict=False)]
    assert set(gaps) == {20}
    await asyncio.sleep(6.0)
    assert call.far.loud() == 251  # late, and all of it


async def test_one_ticker_serves_every_call_and_rests_without_any() -> None:
    clock = asyncio.get_running_loop().time
    late: list[float] = []
    ticker = Ticker(clock, late.append)
    calls = [PhoneCall(FarSide(needs_audio=True), ticker) for _ in range(5)]
    await asyncio.sleep(1.0)
    assert len({len(call.far.sent) for call in calls}) == 1
    assert len(late) == pytest.approx(51, abs=1)
    for call in calls:
        await call.edge.aclose("operator", {})
    await asyncio.sleep(0.1)
    ended = len(late)
    await asyncio.sleep(1.0)
    assert (len(late), ticker.calls) == (ended, 0)


@pytest.mark.parametrize("latency_s", [0.0, 0.04])
@pytest.mark.parametrize("returns_cleared", [True, False])
@pytest.mark.parametrize("at_s", [0.01, 0.33, 1.77])
async def test_the_position_is_what_the_far_side_played(
    latency_s: float, returns_cleared: bool, at_s: float
) -> None:
    call = PhoneCall(FarSide(latency_s=latency_s, returns_cleared=returns_cleared))
    await asyncio.sleep(0.5)
    call.answer(4000)
    await asyncio.sleep(at_s)
    position = call.edge.playout.position(asyncio.get_running_loop().time())
    truth = call.far.played_ms()
    assert abs(position - truth) <= 60
    call.speech()
    assert len(call.far.flushes) == 1
    cut = call.sink.events[-1]
    told = cut.get("audio_end_ms", 0)
    assert abs(told - truth) <= 60
    await asyncio.sleep(1.0)
    assert call.edge.playout.stale_marks >= (returns_cleared and at_s > 0.1)
    assert call.far.played_ms() - truth <= 40 + 1000 * latency_s, "the sound stopped"


async def test_a_far_side_with_a_buffer_is_kept_from_running_dry_and_answers_are_not_late() -> None:
    call = PhoneCall(FarSide(lead_ms=200, needs_audio=True))
    loop = asyncio.get_running_loop()
    for number in range(5):
        await asyncio.sleep(1.0)
        asked_s = loop.time()
        first = len(call.far.sent)
        call.answer(400, f"resp_{number}", f"item_{number}")
        await asyncio.sleep(1.0)
        heard_s = next(
            start
            for (_, frame), (start, _) in zip(
                call.far.sent[first:],
                call.far.played_until_s[first - len(call.far.sent) :],
                strict=True,
            )
            if frame != SILENCE
        )
        assert heard_s - asked_s <= 0.021, "silence that was queued is dropped"
    gaps = [
        after - before
        for (_, before), (after, _) in zip(
            call.far.played_until_s, call.far.played_until_s[1:], strict=False
        )
    ]
    assert max(gaps) <= 0.021  # it never had nothing to play


async def test_marks_of_what_was_cleared_say_nothing_of_the_next_answer() -> None:
    call = PhoneCall(FarSide(latency_s=0.03))
    call.answer(4000)
    await asyncio.sleep(1.0)
    call.speech()
    await asyncio.sleep(0.03)  # until the far side knows
    before_ms = call.far.played_ms()
    call.answer(4000, "resp_2", "item_3")
    await asyncio.sleep(0.5)
    now_s = asyncio.get_running_loop().time()
    heard = call.far.played_ms() - before_ms
    assert call.edge.playout.position(now_s) == pytest.approx(heard, abs=60)
    assert call.edge.playout.generation == 1


async def test_a_far_side_that_stands_still_is_not_taken_to_have_played_on() -> None:
    call = PhoneCall(FarSide())
    call.answer(4000)
    await asyncio.sleep(1.0)
    for _, timer in call.far._marks:
        timer.cancel()
    call.far.mark = lambda name: None  # type: ignore[method-assign]  # it plays no more
    await asyncio.sleep(2.0)
    assert call.edge.playout.position(asyncio.get_running_loop().time()) <= 1200
    call.speech()
    assert call.sink.events[-1]["audio_end_ms"] <= 1200


async def test_a_far_side_without_marks_is_told_of_by_the_clock() -> None:
    call = PhoneCall(FarSide(lead_ms=0, tells_played=False, needs_audio=True))
    await asyncio.sleep(0.2)
    call.answer(4000)
    await asyncio.sleep(1.5)
    call.speech()
    assert call.sink.events[-1]["audio_end_ms"] == pytest.approx(1500, abs=25)


async def test_speech_with_nothing_to_interrupt_clears_nothing() -> None:
    call = PhoneCall(FarSide())
    call.speech()
    await asyncio.sleep(0.1)
    assert call.far.flushes == []
    assert call.sink.events == []


async def test_the_last_word_is_heard_before_the_line_is_let_go() -> None:
    call = PhoneCall(FarSide(latency_s=0.05))
    call.answer(3000)
    await asyncio.sleep(0.1)
    started_s = asyncio.get_running_loop().time()
    await call.edge.aclose("time_limit", {})
    assert call.far.played_ms() >= 3000
    assert call.far.hung_up_s is not None
    assert 2.9 + 0.2 <= call.far.hung_up_s - started_s <= 3.6
    assert call.ticker.calls == 0


async def test_a_caller_who_left_is_not_waited_for() -> None:
    call = PhoneCall(FarSide())
    call.answer(3000)
    await asyncio.sleep(0.1)
    call.edge.left()
    assert (call.sink.closed, call.edge.end_reason) == (1, "client_ended")
    before_s = asyncio.get_running_loop().time()
    await call.edge.aclose("client_ended", {})
    assert call.far.hung_up_s == before_s


async def test_a_peer_that_leaves_while_the_last_word_plays_ends_the_wait() -> None:
    call = PhoneCall(FarSide())
    call.answer(20_000)
    closing = asyncio.ensure_future(call.edge.aclose("time_limit", {}))
    await asyncio.sleep(1.0)
    call.edge.lost()
    await asyncio.wait_for(closing, 1.0)
    assert (call.sink.closed, call.ticker.calls) == (0, 0)


async def test_a_handoff_transfers_after_the_last_word_and_leaves_where_it_cannot() -> None:
    for can_transfer in (True, False):
        far = FarSide()
        far.takes_transfers = can_transfer
        call = PhoneCall(far)
        call.edge.deliver({"type": "penny.handoff", "destination": "soporte", "summary": ""})
        call.answer(1000)
        closing = asyncio.ensure_future(call.edge.aclose("handoff", {}))
        await asyncio.sleep(0.9)
        call.speech()  # what the caller says meanwhile cancels nothing
        assert far.transfers == []
        await closing
        assert far.transfers == ["soporte"]
        assert (far.has_left, far.hung_up_s) == (not can_transfer, None)


async def test_what_tells_of_a_person_is_heard_to_its_last_word_whatever_the_caller_does() -> None:
    for number in range(100):  # each is spoken to, and speaks and presses keys, at another moment
        call = PhoneCall(FarSide())
        call.edge.deliver({"type": "penny.handoff", "destination": "soporte", "summary": ""})
        await asyncio.sleep(number / 200)
        call.answer(1500)
        heard_ms = call.sink.heard_ms()
        for slot in range(75):
            call.edge.hear(LOUD)
            if slot == number % 75:
                call.edge.press("5")
            await asyncio.sleep(0.02)
        assert call.sink.heard_ms() == heard_ms  # nobody is told of an interruption
        await call.edge.aclose("handoff", {})
        assert (call.far.flushes, call.far.transfers, call.sink.closed) == ([], ["soporte"], 0)
        assert call.far.loud() * 20 >= 1500
        assert not call.sink.of("response.cancel")


async def test_a_call_that_goes_on_after_its_hand_off_hears_what_was_said_meanwhile() -> None:
    """``actions.handoff_ends_session: false``; and a goodbye that never comes."""
    for is_told in (True, False):
        call = PhoneCall(FarSide())
        call.edge.deliver({"type": "penny.handoff", "destination": "soporte", "summary": ""})
        if is_told:
            call.answer(1000)
        for _ in range(40):
            call.edge.hear(LOUD)
            await asyncio.sleep(0.02)
        assert call.sink.heard_ms() == 0
        await asyncio.sleep(0.5 if is_told else 12.0)
        assert call.sink.heard_ms() >= 780
        await call.edge.aclose("operator", {})


async def test_a_caller_of_whom_nothing_comes_is_not_connected() -> None:
    far = FarSide()
    far.heard_within_s = 2.0
    call = PhoneCall(far)
    await asyncio.sleep(1.9)
    assert call.sink.closed == 0
    await asyncio.sleep(0.2)
    assert (call.sink.closed, call.edge.end_reason) == (1, "no_sound")
    await call.edge.aclose("no_sound", {})
    assert (far.connects_anew, far.hung_up_s) == (True, None)
    other = PhoneCall(FarSide())
    other.far.heard_within_s = 2.0
    other.edge.hear(SILENCE)
    await asyncio.sleep(5.0)  # once connected, a caller may be silent
    assert other.sink.closed == 0


async def test_a_caller_on_hold_hears_music_and_is_not_heard() -> None:
    music = (np.arange(8000, dtype="<i2") + 1000).tobytes()  # a second
    for needs_audio in (False, True):
        call = PhoneCall(FarSide(needs_audio=needs_audio))
        call.answer(4000)
        await asyncio.sleep(0.5)
        call.edge.hold(music)
        assert call.sink.of("response.cancel") == []  # it was made whole; what is not heard is cut
        assert call.sink.of("conversation.item.truncate")
        at, heard_ms = len(call.far.sent), call.sink.heard_ms()
        for _ in range(150):
            call.edge.hear(LOUD)
            call.edge.press("5")
            await asyncio.sleep(0.02)
        played = [frame for _, frame in call.far.sent[at:]]
        assert 149 <= len(played) <= 160  # no gap, and no more ahead than two frames
        assert played[10:60] == played[60:110]  # again and again
        assert SILENCE not in played
        assert call.sink.heard_ms() == heard_ms
        call.edge.hold(music)  # again is as once
        call.edge.hold(None)
        call.edge.hear(LOUD)
        await asyncio.sleep(0.1)
        assert call.sink.heard_ms() > heard_ms
        assert not call.sink.of("conversation.item.create")
        flushed = len(call.far.flushes)
        call.edge.hold(None)
        assert len(call.far.flushes) == flushed
        await call.edge.aclose("operator", {})


async def test_a_dead_peer_ends_the_call_in_three_seconds() -> None:
    call = PhoneCall(FarSide(dead_after_s=3.0))
    for _ in range(50):
        call.edge.hear(SILENCE)
        await asyncio.sleep(0.02)
    assert call.sink.closed == 0
    await asyncio.sleep(3.1)
    assert (call.sink.closed, call.edge.end_reason, call.ticker.calls) == (1, "client_gone", 0)


async def test_keys_stop_the_voice_at_once_and_are_one_entry() -> None:
    call = PhoneCall(FarSide())
    call.edge.deliver({"type": "response.created", "response": {"id": "resp_0"}})
    call.answer(3000)
    await asyncio.sleep(0.5)
    for key in "12a34#":
        call.edge.press(key)
        await asyncio.sleep(0.1)
    assert len(call.far.flushes) == 1
    kinds = [event["type"] for event in call.sink.events]
    assert kinds == [
        "response.cancel",
        "conversation.item.truncate",
        "conversation.item.create",
        "response.create",
    ]
    assert call.sink.events[2]["item"]["content"] == [{"type": "input_text", "text": "1234"}]
    call.edge.press("7")
    await asyncio.sleep(3.1)
    item = call.sink.of("conversation.item.create")[-1]["item"]
    assert item["content"][0]["text"] == "7"


async def test_a_key_during_the_last_word_and_what_is_no_key_stop_nothing() -> None:
    call = PhoneCall(FarSide())
    call.answer(2000)
    await asyncio.sleep(0.5)
    for nothing in ("", "F", "12"):
        call.edge.press(nothing)
    closing = asyncio.ensure_future(call.edge.aclose("time_limit", {}))
    await asyncio.sleep(0.5)
    call.edge.press("5")
    await closing
    assert call.far.flushes == []
    assert call.far.played_ms() >= 2000
    assert call.sink.events == []


async def test_keys_pressed_before_the_session_are_its_first_entry() -> None:
    far, sink = FarSide(), Sink()
    clock = asyncio.get_running_loop().time
    edge = far.edge = PhoneEdge(far, Ticker(clock), clock)
    for key in "471":
        edge.press(key)
    await asyncio.sleep(4.0)
    edge.start(sink)
    (item,) = sink.of("conversation.item.create")
    assert item["item"]["content"] == [{"type": "input_text", "text": "471"}]
    assert len(sink.of("response.create")) == 1
    await edge.aclose("operator", {})


@pytest.mark.parametrize("reason", ["drain", "speaker_lost", "error", "client_gone"])
async def test_a_caller_who_may_be_there_still_is_left_to_the_fallback(reason: str) -> None:
    call = PhoneCall(FarSide())
    if reason == "client_gone":
        call.edge.lost()
        reason = call.edge.end_reason
    await call.edge.aclose(reason, {})
    assert (call.far.has_left, call.far.hung_up_s) == (True, None)


class Broken:
    """A broker whose mode fails in a way that none foresaw."""

    default_mode = "SELF_HOSTED"

    def add_observer(self, _make: object) -> None:
        """No session runs."""

    def choose(self, *_asked: object) -> Any:
        raise RuntimeError("broken")


async def test_a_fault_of_any_kind_leaves_no_line_open_in_silence_and_is_kept() -> None:
    tenants = Tenants({}, LimitsSection())
    far, gate = (
        FarSide(needs_audio=True),
        SimpleNamespace(policy=lambda who: tenants.policy(who.tenant)),
    )
    clock = asyncio.get_running_loop().time
    phones = Phones(cast(Any, Broken()), Config(), cast(Any, gate), clock)
    kept: list[tuple[str, str, str]] = []
    phones.keep = lambda told, why: kept.append((told["id"], told["direction"], why))
    edge = far.edge = phones.edge(far)
    call = PhoneCallOf("default", "+34600000001", "+34910000000")
    with pytest.raises(RuntimeError):
        await phones.carry(call, edge)
    assert (far.has_left, far.hung_up_s) == (True, None)
    sent = len(far.sent)
    await asyncio.sleep(1.0)
    assert len(far.sent) == sent
    assert kept == [(call.session_id, "inbound", "error")]


async def test_a_hundred_keys_at_50_ms_are_all_there() -> None:
    call = PhoneCall(FarSide())
    for _ in range(20):
        for key in "12345":
            call.edge.press(key)
            await asyncio.sleep(0.1)
        call.edge.press("#")
    items = call.sink.of("conversation.item.create")
    assert [item["item"]["content"][0]["text"] for item in items] == ["12345"] * 20


async def test_a_line_that_falls_silent_is_filled_by_the_clock() -> None:
    call = PhoneCall(FarSide())
    for _ in range(50):
        call.edge.hear(SILENCE)
        await asyncio.sleep(0.02)
    await asyncio.sleep(2.0)
    assert call.sink.heard_ms() == pytest.approx(3000, abs=60)


async def test_what_was_heard_before_the_session_is_not_lost() -> None:
    far = FarSide()
    clock = asyncio.get_running_loop().time
    edge = PhoneEdge(far, Ticker(clock), clock)
    for _ in range(25):
        edge.hear(SILENCE)
        await asyncio.sleep(0.02)
    sink = Sink()
    edge.start(sink)
    assert sink.heard_ms() == pytest.approx(500, abs=2)
    await edge.aclose("operator", {})


async def test_a_caller_who_left_before_the_session_ends_it_at_once() -> None:
    far, sink = FarSide(), Sink()
    clock = asyncio.get_running_loop().time
    edge = PhoneEdge(far, Ticker(clock), clock)
    edge.left()
    edge.start(sink)
    assert sink.closed == 1


async def test_a_refused_wish_is_wished_again() -> None:
    call = PhoneCall(FarSide())
    call.edge.press("5")
    call.edge.press("#")
    wish = call.sink.of("response.create")[-1]
    fault = {"code": "conversation_already_has_active_response", "event_id": wish["event_id"]}
    call.edge.deliver({"type": "error", "error": fault})
    assert len(call.sink.of("response.create")) == 2
