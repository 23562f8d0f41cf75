"""Calls whose end no carrier told: asked about, ended, and told once, whoever is killed when."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.schema import Config
from config.telephony import DialingSection
from penny.edges.twilio.api import TwilioApi
from penny.gateway.dialer import Dialer
from penny.gateway.offered_calls import STREAM_BY_S, OfferedCalls
from penny.gateway.phones import PhoneCall
from penny.gateway.reconciler import ASK_EVERY_S, BEYOND_S, SILENCE_S, Reconciler
from penny.telephony.dial_book import GRACE_S, Dial
from penny.telephony.wishes import DialWish
from penny.trust.identity import Identity
from tests.doubles.operator import OPERATOR
from tests.doubles.twilio_api import TwilioApiDouble, twilio_api
from tests.doubles.twilio_stream import (
    ACCOUNT,
    AUTH_TOKEN,
    new_sid,
    post_webhook,
    read_connect,
    voice_form,
)
from tests.penny.gateway.test_twilio import NUMBER, line


pytestmark = pytest.mark.socket

ACME, TO, MOST_S = Identity("acme"), "+34911111111", 3600.0
RINGS_S = 25 + GRACE_S + 1


class Killed(BaseException):
    """The process is gone at this step."""


class World:
    """A carrier, a store and the files that processes of a gateway share, on a clock of its own."""

    def __init__(self, folder: Path, api: TwilioApiDouble) -> None:
        acme = {"prefixes": ["+34"], "caller_ids": ["+34910000000"], "from_hour": 0, "to_hour": 24}
        acme |= {"weekends": True, "holidays": True, "timezone": "UTC", "at_once": 9}
        section = {"folder": str(folder), "dialing": {"acme": acme}}
        self.config = Config.model_validate({"telephony": section})
        self.now_s = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
        self.api = TwilioApi(api.url, ACCOUNT, AUTH_TOKEN)
        self.double = api
        self.kept: list[tuple[str, str]] = []
        """Records in the order that they were put in: session, reason."""

    async def place(self, dial: Dial, section: DialingSection) -> str:
        fields = [("To", dial.number), ("From", dial.caller_id), ("Url", "https://penny.example/")]
        return await self.api.place(fields)

    def keep(self, call: PhoneCall, reason: str) -> None:
        self.kept.append((call.session_id, reason))

    async def is_known(self, session_id: str) -> bool:
        return any(known == session_id for known, _ in self.kept)

    def open(self) -> tuple[Dialer, Reconciler]:
        """A process."""

        def now() -> float:
            return self.now_s

        def keep(call: PhoneCall, reason: str) -> None:
            self.keep(call, reason)

        dialer = Dialer(self.config, lambda _call: None, keep, now)
        dialer.placer = self
        reconciler = Reconciler(dialer, dialer.owed, keep, MOST_S, now)
        reconciler.carrier, reconciler.is_known = self.api, self.is_known
        return dialer, reconciler


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with twilio_api() as api:
        found = World(tmp_path, api)
        yield found
        await found.api.aclose()


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("completed", "completed"),
        ("busy", "busy"),
        ("no-answer", "no_answer"),
        ("canceled", "canceled"),
        ("failed", "failed"),
        (None, "unknown"),
    ],
)
async def test_a_placed_call_whose_end_was_not_told_has_the_one_its_carrier_knows(
    world: World, status: str | None, outcome: str
) -> None:
    dialer, reconciler = world.open()
    dial = await dialer.place(ACME, DialWish(to=TO, attempts=2))
    assert dial.call_sid is not None
    world.double.states[dial.call_sid] = status or ""
    if status is None:
        del world.double.states[dial.call_sid]
    await reconciler.look()
    assert world.double.asked == []
    world.now_s += RINGS_S
    await reconciler.look()
    await world.open()[1].look()
    found = dialer.book.find(dial.id)
    assert found is not None
    assert found.outcome == outcome
    # Answered and without a session it failed, to who was called.
    reason = "failed" if outcome == "completed" else outcome
    assert world.kept == [(dial.session_id, reason)]
    assert reconciler.counts == {outcome: 1}
    world.now_s += 86_400 * 3
    waits = [each.attempt for each in dialer.book.due()]
    assert waits == ([2] if outcome in ("busy", "no_answer") else [])


async def test_a_call_that_goes_on_is_ended_at_its_carrier_five_minutes_after(world: World) -> None:
    dialer, reconciler = world.open()
    dial = await dialer.place(ACME, DialWish(to=TO))
    assert dial.call_sid is not None
    world.double.states[dial.call_sid] = "in-progress"
    world.now_s += RINGS_S
    for _ in range(4):
        await reconciler.look()
        world.now_s += ASK_EVERY_S
    assert (world.kept, len(world.double.asked)) == ([], 4)
    world.now_s += BEYOND_S
    await reconciler.look()
    assert world.double.updates == [(dial.call_sid, {"Status": "completed"})]
    assert world.kept == [(dial.session_id, "unknown")]


async def test_a_carrier_that_does_not_answer_is_asked_for_an_hour(world: World) -> None:
    dialer, reconciler = world.open()
    await dialer.place(ACME, DialWish(to=TO))
    world.double.fails_with = 503
    world.now_s += RINGS_S
    await reconciler.look()
    await reconciler.look()  # not at every look
    assert (len(world.double.asked), world.kept) == (1, [])
    world.now_s += SILENCE_S
    await reconciler.look()
    assert [reason for _, reason in world.kept] == ["unknown"]


@pytest.mark.parametrize(
    ("status", "reason"), [("completed", "missed"), ("no-answer", "no_answer"), (None, "unknown")]
)
async def test_an_offered_call_that_gets_no_stream_is_told_as_missed_once(
    world: World, status: str | None, reason: str
) -> None:
    dialer, reconciler = world.open()
    offers = OfferedCalls(dialer.owed, world.keep, MOST_S)
    call, sid = PhoneCall("acme", "+34600000001", NUMBER), new_sid()
    await offers.offered(call, sid)
    world.double.states[sid] = "in-progress"
    world.now_s += STREAM_BY_S
    await reconciler.look()
    assert world.kept == []
    if status is None:
        del world.double.states[sid]
    else:
        world.double.states[sid] = status
    world.now_s += ASK_EVERY_S + 1
    await reconciler.look()
    assert world.kept == [(call.session_id, reason)]
    for _ in range(3):
        world.now_s += ASK_EVERY_S + 1
        await reconciler.look()
    assert len(world.kept) == 1
    assert dialer.owed.due() == []


async def test_a_call_whose_process_is_gone_is_lost_after_its_longest_and_five_minutes(
    world: World,
) -> None:
    dialer, reconciler = world.open()
    offers = OfferedCalls(dialer.owed, world.keep, MOST_S)
    call, kept = (PhoneCall("acme", number, NUMBER) for number in ("+34600000001", "+34600000002"))
    for each in (call, kept):
        await offers.offered(each, new_sid())
        await offers.begun(each, new_sid())
    world.keep(kept, "client_ended")  # its process kept it
    world.now_s += MOST_S + BEYOND_S - 1
    await reconciler.look()
    assert world.kept == [(kept.session_id, "client_ended")]
    world.now_s += 1
    await reconciler.look()
    assert world.kept[1:] == [(call.session_id, "lost")]
    assert world.double.asked == []


async def _play(world: World, dialer: Dialer, reconciler: Reconciler) -> None:
    """Four calls of one process: placed and told, placed and not told, refused, offered."""
    told = await dialer.place(ACME, DialWish(to=TO))
    await dialer.told(told.id, told.call_sid or "", "busy")
    await dialer.place(ACME, DialWish(to="+34922222222"))
    offers = OfferedCalls(dialer.owed, world.keep, MOST_S)
    await offers.refused(PhoneCall("acme", "+34600000001", NUMBER), "session_refused", new_sid())
    await offers.offered(PhoneCall("acme", "+34600000002", NUMBER), new_sid())
    world.now_s += STREAM_BY_S
    await reconciler.look()


def _dies_at(world: World, dialer: Dialer, moment: int) -> Callable[[], int]:
    """Have every step that leaves something behind be the last one when it is the ``moment``-th,
    by turns before it and after it; how many steps there were."""
    steps = 0

    def cut(do: Any) -> Any:
        def step(*given: Any, **named: Any) -> Any:
            nonlocal steps
            steps += 1
            if 2 * steps - 1 == moment:
                raise Killed
            done = do(*given, **named)
            if 2 * steps == moment:
                raise Killed
            return done

        return step

    for owner, names in (
        (dialer.book, ("reserve", "note", "end")),
        (dialer.owed, ("owe", "settle", "due")),
        (world, ("keep",)),
    ):
        for name in names:
            setattr(owner, name, cut(getattr(owner, name)))
    return lambda: steps


async def test_a_process_that_is_killed_at_any_step_leaves_no_call_open_and_none_told_twice(
    tmp_path: Path,
) -> None:
    moment, killed = 0, 0
    async with twilio_api() as api:
        while True:
            moment += 1
            world = World(tmp_path / str(moment), api)
            first = world.open()
            steps = _dies_at(world, first[0], moment)
            try:
                await _play(world, *first)
            except Killed:
                killed += 1
            del world.keep  # the one that dies
            second = world.open()
            for sid in api.states:
                api.states[sid] = "completed"
            for _ in range(4):
                world.now_s += MOST_S
                await second[1].look()
            with sqlite3.connect(tmp_path / str(moment) / "dials.sqlite") as db:
                (open_dials,) = db.execute(
                    "SELECT COUNT(*) FROM dials WHERE outcome IS NULL AND rings_until_s > 0"
                ).fetchone()
                (owed,) = db.execute("SELECT COUNT(*) FROM owed").fetchone()
            assert (open_dials, owed) == (0, 0), moment
            sessions = [session for session, _ in world.kept]
            # A record with a session's id is put in once; a second one finds it there.
            assert len(sessions) - len(set(sessions)) <= 1, moment
            await world.api.aclose()
            if moment > 2 * steps():
                break
    assert killed >= 20
    assert len(set(sessions)) == 4


async def test_a_caller_whose_stream_never_came_is_in_the_list_of_calls_as_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
    calls = {"folder": str(tmp_path), "url": f"sqlite:///{tmp_path / 'calls.sqlite'}"}
    telephony = {"folder": str(tmp_path / "phones")}
    async with (
        twilio_api() as api,
        line(twilio={"api_url": api.url}, calls=calls, telephony=telephony) as (http, url),
    ):
        sid = new_sid()
        read_connect(await (await post_webhook(http, url, "/twilio/voice", voice_form(sid))).text())
        api.states[sid] = "no-answer"
        with sqlite3.connect(tmp_path / "phones" / "dials.sqlite") as db:
            db.execute("UPDATE owed SET next_s = 0")
        found: list[Any] = []
        async with asyncio.timeout(60):
            while not found:
                async with http.get(f"{url}/v1/calls", headers=OPERATOR) as answer:
                    found = (await answer.json())["calls"]
                await asyncio.sleep(0.05)
    (call,) = found
    about = (call["status"], call["end_reason"], call["caller"], call["direction"])
    assert about == ("failed", "no_answer", "+34600000001", "inbound")
