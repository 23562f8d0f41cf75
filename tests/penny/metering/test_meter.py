"""What a session costs, to the millionth of a dollar."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from config.brain import CostsSection
from config.prices import PRICES
from penny.metering.usage import price_messages, price_response, price_transcription, total_usd
from penny.session.cost import CostObserver
from penny.session.observers import ObserverDispatch
from penny.session.session import SessionState
from penny.session.turn_recorder import TurnRecorder


pytestmark = pytest.mark.pure


Json = dict[str, Any]

USAGE: Json = {
    "input_token_details": {
        "text_tokens": 1_000,
        "audio_tokens": 500,
        "cached_tokens": 900,
        "cached_tokens_details": {"text_tokens": 800, "audio_tokens": 100},
    },
    "output_token_details": {"text_tokens": 50, "audio_tokens": 200},
}


def test_a_response_is_priced_by_modality() -> None:
    charges = {c.kind: c for c in price_response(USAGE, "gpt-realtime-2.1", PRICES)}
    assert {kind: c.amount for kind, c in charges.items()} == {
        "text_in": 200,
        "text_cached": 800,
        "audio_in": 400,
        "audio_cached": 100,
        "text_out": 50,
        "audio_out": 200,
    }
    expected = (200 * 4 + 800 * 0.4 + 400 * 32 + 100 * 0.4 + 50 * 24 + 200 * 64) / 1e6
    assert total_usd(list(charges.values())) == pytest.approx(expected)


def test_cached_tokens_without_details_are_text_first() -> None:
    details = {"text_tokens": 600, "audio_tokens": 500, "cached_tokens": 700}
    charges = price_response({"input_token_details": details}, "gpt-realtime-2.1", PRICES)
    amounts = {c.kind: c.amount for c in charges}
    assert amounts == {"text_cached": 600, "audio_in": 400, "audio_cached": 100}


def test_a_dated_name_costs_what_its_model_does() -> None:
    plain = price_response(USAGE, "gpt-realtime", PRICES)
    dated = price_response(USAGE, "gpt-realtime-2025-08-28", PRICES)
    assert total_usd(dated) == total_usd(plain) > 0
    claude = {"input_tokens": 1_000_000}
    assert total_usd(price_messages(claude, "claude-haiku-4-5-20251001", PRICES)) == 1.0


@pytest.mark.parametrize("model", ["gpt-realtime-9", "gpt-realtime-next-mini"])
def test_an_unknown_name_costs_the_most_of_its_family(model: str) -> None:
    most = max(
        total_usd(price_response(USAGE, name, PRICES)) for name in PRICES if "realtime" in name
    )
    assert total_usd(price_response(USAGE, model, PRICES)) >= most
    claude = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}
    assert total_usd(price_messages(claude, "claude-99", PRICES)) == 24.0
    spoken = {"type": "duration", "seconds": 60}
    assert total_usd(price_transcription(spoken, "gpt-realtime-whisper-2", PRICES)) == 0.017


def test_pennys_own_worker_costs_nothing() -> None:
    assert price_response(USAGE, "penny-worker", PRICES) == []


def test_transcription_by_time_and_by_tokens() -> None:
    by_time = price_transcription({"type": "duration", "seconds": 30}, "gpt-transcribe", PRICES)
    assert total_usd(by_time) == pytest.approx(0.00225)
    tokens = {"type": "tokens", "input_tokens": 100, "output_tokens": 10}
    assert [c.kind for c in price_transcription(tokens, "gpt-realtime-2.1", PRICES)] == [
        "audio_in",
        "text_out",
    ]


def test_claude_is_priced_with_its_cache_and_its_long_prompts() -> None:
    usage = {"input_tokens": 600, "cache_read_tokens": 3_000, "output_tokens": 250}
    usd = total_usd(price_messages(usage, "claude-haiku-5-5", PRICES))
    assert usd == pytest.approx((600 * 0.1 + 3_000 * 0.01 + 250 * 0.5) / 1e6)
    long = {"input_tokens": 100_001, "cache_write_5m_tokens": 10}
    usd = total_usd(price_messages(long, "claude-haiku-5-5", PRICES))
    assert usd == pytest.approx((100_001 * 0.5 + 10 * 0.625) / 1e6)


class FakeSession:
    id = "sess_1"

    def __init__(self) -> None:
        self.state = SessionState(started_s=0.0, last_activity_s=0.0)
        self.told: list[Json] = []
        self.ends: list[str] = []

    def tell_caller(self, event: Json) -> None:
        self.told.append(event)

    def end(self, reason: str) -> None:
        self.ends.append(reason)


def charge_nobody(_session_id: str, _on_spent: Callable[[], None]) -> None:
    return None


def observe(limit_usd: float | None) -> tuple[ObserverDispatch, FakeSession, Json]:
    session, turns = FakeSession(), TurnRecorder(0.0)
    costs = CostsSection(session_limit_usd=limit_usd)
    meter = CostObserver(session, turns, PRICES, costs, Rent(None), charge_nobody)
    observer = ObserverDispatch("sess_1", [turns, meter])
    observer.speaker_event({"type": "response.created", "response": {"id": "r"}}, 0.0)
    observer.speaker_event({"type": "penny.speaker", "model": "gpt-realtime-2.1"}, 0.0)
    return observer, session, session.state.totals


ANSWER: Json = {"id": "r", "status": "completed", "usage": USAGE}
DONE: Json = {"type": "response.done", "response": ANSWER}
DELTA: Json = {  # one second
    "type": "response.output_audio.delta",
    "response_id": "r",
    "item_id": "p",
    "delta": "A" * 64_000,
}


@pytest.mark.virtual_time
async def test_every_response_is_counted_whatever_its_status() -> None:
    observer, session, totals = observe(None)
    observer.speaker_event({**DONE, "response": {**ANSWER, "status": "cancelled"}}, 1.0)
    usage = {"model": "claude-haiku-5-5", "input_tokens": 1_000_000}
    observer.speaker_event({"type": "penny.usage", "usage": usage}, 2.0)
    observer.ended("client_ended", 3.0)
    assert [event["type"] for event in session.told] == ["penny.cost", "penny.cost"]
    assert totals["usd_by"]["cerebro"] == pytest.approx(0.5)  # past the long-prompt mark
    assert totals["usd"] == pytest.approx(sum(totals["usd_by"].values()))


@pytest.mark.virtual_time
async def test_the_ceiling_warns_then_lets_the_answer_be_heard_and_ends() -> None:
    observer, session, _ = observe(0.03)
    observer.speaker_event(DONE, 0.0)
    assert session.told[-1].get("code") == "cost_limit_near"
    observer.speaker_event(DELTA, 0.0)
    observer.speaker_event(DONE, 0.0)
    assert session.ends == []
    await asyncio.sleep(0.9)
    assert session.ends == []
    await asyncio.sleep(0.2)
    assert session.ends == ["cost_limit"]
    observer.ended("cost_limit", 2.0)


@pytest.mark.virtual_time
async def test_the_ceiling_lets_an_answer_in_a_telephones_format_be_heard_too() -> None:
    observer, session, _ = observe(0.01)
    pcmu = {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}
    observer.speaker_event({"type": "penny.session", "session": pcmu}, 0.0)
    observer.speaker_event({**DELTA, "delta": "A" * 32_000}, 0.0)  # three seconds
    observer.speaker_event(DONE, 0.0)
    await asyncio.sleep(2.9)
    assert session.ends == []
    await asyncio.sleep(0.2)
    assert session.ends == ["cost_limit"]
    observer.ended("cost_limit", 3.1)


@pytest.mark.parametrize(
    "next_event",
    [
        {"type": "input_audio_buffer.committed", "item_id": "i2"},  # before its answer is asked for
        {"type": "response.created", "response": {"id": "r2"}},
    ],
)
@pytest.mark.virtual_time
async def test_another_turn_past_the_ceiling_ends_the_session_at_once(next_event: Json) -> None:
    observer, session, _ = observe(0.01)
    observer.speaker_event({**DELTA, "delta": "A" * 64_000 * 30}, 0.0)  # half a minute
    observer.speaker_event(DONE, 0.0)
    assert session.ends == []
    observer.speaker_event(next_event, 1.0)
    assert session.ends == ["cost_limit"]
    observer.ended("cost_limit", 1.0)


@pytest.mark.virtual_time
async def test_a_speaker_that_is_paid_by_the_second_is_counted() -> None:
    observer, _, totals = observe(None)
    observer.speaker_event({"type": "penny.speaker", "model": "gpt-live-1"}, 0.0)
    used = {"type": "duration", "seconds": 90.0}
    usage = {"type": "penny.usage", "component": "portavoz", "usage": used}
    observer.speaker_event(usage, 1.0)
    observer.ended("client_ended", 2.0)
    assert totals["usd_by"] == {"portavoz": pytest.approx(0.075)}


class Rent:
    """What rented workers have cost so far."""

    def __init__(self, usd: float | None) -> None:
        self.usd = usd

    def __call__(self) -> float | None:
        return self.usd


def observe_rent() -> tuple[CostObserver, FakeSession, Json, Rent]:
    session, rent = FakeSession(), Rent(0.0)
    costs = CostsSection()
    meter = CostObserver(session, TurnRecorder(0.0), PRICES, costs, rent, charge_nobody)
    return meter, session, session.state.totals, rent


ANSWERED: Json = {"type": "response.done", "response": {"id": "r", "conversation_id": "conv_1"}}


@pytest.mark.virtual_time
async def test_rent_is_told_with_each_turn_and_its_last_seconds_stand_in_the_totals() -> None:
    observer, session, totals, rent = observe_rent()
    for at_s, usd in ((1.0, 0.1), (2.0, 0.3)):
        rent.usd = usd
        observer.speaker_event({"type": "input_audio_buffer.speech_started"}, at_s)
        observer.speaker_event(ANSWERED, at_s)
    rent.usd = 0.35
    observer.ended("client_ended", 3.0)
    assert [event["usd_total"] for event in session.told] == [0.1, 0.3]
    assert [event["usd_turn"] for event in session.told] == [0.1, 0.2]
    assert totals == {"usd": 0.35, "usd_by": {"worker": 0.35}}


@pytest.mark.virtual_time
async def test_an_aside_is_no_turn_and_who_bills_nothing_is_not_told_of() -> None:
    observer, session, totals, rent = observe_rent()
    aside = {"type": "response.done", "response": {"id": "r", "conversation_id": None}}
    rent.usd = 0.1
    observer.speaker_event(aside, 1.0)
    rent.usd = None
    observer.speaker_event(ANSWERED, 2.0)
    observer.ended("client_ended", 3.0)
    assert session.told == []
    assert totals == {}


@pytest.mark.virtual_time
async def test_what_was_counted_is_not_lost_with_the_worker_that_counted_it() -> None:
    observer, _, totals, rent = observe_rent()
    rent.usd = 0.2
    observer.speaker_event(ANSWERED, 1.0)
    rent.usd = None
    observer.ended("speaker_lost", 2.0)
    assert totals["usd_by"] == {"worker": 0.2}
