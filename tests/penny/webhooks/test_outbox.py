"""The outbox, the same on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest
from sqlalchemy import update

from penny.calls.database import StoreUnavailable
from penny.calls.store import CallStore
from penny.calls.tables import events
from penny.webhooks.again import send_again
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.live import RecordTelling
from penny.webhooks.outbox import Outbox
from penny.webhooks.policy import Answer, State
from penny.webhooks.query import DeliveryQuery, Replay
from penny.webhooks.rows import Delivery, Outcome
from penny.webhooks.telling import started, turn_completed
from tests.penny.calls.calls import BEGAN, a_call


pytestmark = pytest.mark.process

LIVE = "turn.completed"
NOW_MS = round(BEGAN.timestamp() * 1000) + 3_600_000
DAY_MS = 86_400_000


class Told:
    """A store of calls with an outbox of two endpoints of this test's own."""

    def __init__(self, url: str) -> None:
        self.store = CallStore(url)
        mark = uuid4().hex[:8]
        self.tenant = f"t{mark}"
        self.crm, self.other = f"crm-{mark}", f"other-{mark}"
        secrets = ("a secret of this test",)
        mine = frozenset({self.tenant})
        self.receivers = {
            self.crm: Endpoint(self.crm, "https://crm.example", secrets, tenants=mine),
            self.other: Endpoint(
                self.other, "https://o.example", secrets, frozenset({"call.ended"}), mine,
                may_hear_private=False,
            ),
        }  # fmt: skip
        self.outbox = Outbox(self.store.database, self.receivers)

    async def put(self, number: int = 0, mode: str = "EXTERNAL", **more: object) -> str:
        """Keep a call as the keeper does; its id."""
        call = a_call(number, self.tenant, modes=[mode], **more)
        also = partial(RecordTelling(self.outbox).kept, call=call)
        await self.store.put(call, also)
        return call.id

    async def states(self, **filters: object) -> dict[str, str]:
        query = DeliveryQuery.model_validate({"limit": 200, **filters})
        found = await self.outbox.find(self.tenant, query)
        return {f"{row['endpoint'].partition('-')[0]} {row['type']}": row["state"] for row in found}

    async def claim(self, limit: int = 100, at_ms: int = NOW_MS) -> list[Delivery]:
        return await self.outbox.claim(self.crm, limit, at_ms, 30_000)

    async def settle(
        self,
        claimed: Sequence[Delivery],
        status: int = 204,
        state: State = "delivered",
        at_ms: int = NOW_MS,
    ) -> list[str]:
        answer = Answer(status)
        outcomes = [Outcome(each, self.crm, answer, state, at_ms, at_ms) for each in claimed]
        return await self.outbox.settle(outcomes)


@pytest.fixture
async def told(url: str) -> AsyncIterator[Told]:
    told = Told(url)
    await told.store.start()
    yield told
    await told.store.aclose()


async def test_a_call_is_told_once_with_its_record(told: Told) -> None:
    await told.put()
    await told.put()
    expected = ["call.started", "turn.completed", "call.ended", "analysis.completed"]
    assert await told.states() == {
        **{f"crm {kind}": "waiting" for kind in expected},
        "other call.ended": "waiting",
    }


async def test_nothing_is_told_of_a_call_that_is_not_kept(told: Told) -> None:
    call = a_call(0, told.tenant)

    async def fail(connection: object) -> None:
        await RecordTelling(told.outbox).kept(connection, call)  # type: ignore[arg-type]
        raise OSError("the disk is full")

    with pytest.raises(StoreUnavailable):
        await told.store.put(call, fail)
    assert await told.states() == {}
    assert await told.store.get(told.tenant, call.id) is None


async def test_what_was_told_at_once_is_not_told_twice(told: Told) -> None:
    call = a_call(0, told.tenant, modes=["EXTERNAL"])
    await told.outbox.add([started(call)])
    (live,) = await told.claim()
    await told.settle([live])
    await told.put()
    claimed = await told.claim()
    assert live.event.id not in {each.event.id for each in claimed}
    assert len(claimed) == 3


async def test_a_private_call_is_told_only_where_privacy_allows(told: Told) -> None:
    await told.put(mode="SELF_HOSTED")
    states = await told.states()
    assert states["other call.ended"] == "withheld"
    assert states["crm call.ended"] == "waiting"
    assert await told.outbox.claim(told.other, 9, NOW_MS, 1000) == []
    replay = Replay(since=BEGAN, endpoint=told.other)
    assert await send_again(told.outbox, replay, told.tenant, NOW_MS) == 0
    assert (await told.states())["other call.ended"] == "withheld"


async def test_many_gateways_claim_each_delivery_once(told: Told) -> None:
    for number in range(10):
        await told.put(number)
    others = [Told.__new__(Told) for _ in range(3)]
    seen: list[int] = []

    async def take() -> None:
        while claimed := await told.claim(3):
            seen.extend(each.id for each in claimed)

    await asyncio.gather(*(take() for _ in (*others, told)))
    assert len(seen) == len(set(seen)) == 40


async def test_what_a_killed_process_had_in_hand_is_due_again_after_its_lease(told: Told) -> None:
    await told.put()
    first = await told.claim()
    assert await told.claim(at_ms=NOW_MS + 29_000) == []
    second = await told.claim(at_ms=NOW_MS + 31_000)
    assert [each.event for each in second] == [each.event for each in first]
    assert [each.attempts for each in second] == [2] * 4
    await told.settle(first, status=500, state="dead")  # too late: it is another's by now
    assert set((await told.states(endpoint=told.crm)).values()) == {"waiting"}
    await told.settle(second)
    assert set((await told.states(endpoint=told.crm)).values()) == {"delivered"}


async def test_410_disables_and_the_others_hear_of_it(told: Told) -> None:
    await told.put()
    claimed = await told.claim()
    assert await told.settle(claimed[:1], 410, "waiting") == [told.crm]
    assert await told.settle(claimed[1:], 410, "waiting") == []
    backlog = (await told.outbox.backlog())[told.crm]
    assert (backlog.reason, backlog.disabled_ms) == ("gone", NOW_MS)
    assert await told.claim(at_ms=NOW_MS + DAY_MS) == []
    everybody = Outbox(
        told.store.database,
        {name: Endpoint(name, each.url, each.secrets) for name, each in told.receivers.items()},
    )
    # `other` is told of call.ended alone: with no filter it would have heard of it.
    assert "endpoint.disabled" not in str(await told.states())
    assert await everybody.enable(told.crm, NOW_MS, send_missed=True) == 4
    claimed = await told.claim()
    await everybody.settle([Outcome(claimed[0], told.crm, Answer(410), "waiting", 0, NOW_MS)])
    heard = await everybody.claim(told.other, 9, NOW_MS, 1000)
    (event,) = [each.event for each in heard if each.event.type == "endpoint.disabled"]
    assert (event.data["endpoint"], event.data["reason"]) == (told.crm, "gone")
    assert event.data["waiting"] == 4


async def test_five_days_of_failure_disable_and_one_success_forgives(told: Told) -> None:
    await told.put()
    first, second, third, fourth = await told.claim()
    assert await told.settle([first], 500, "waiting") == []
    later_ms = NOW_MS + 5 * DAY_MS
    assert await told.settle([second], 204, at_ms=later_ms - 1) == []
    assert await told.settle([third], 500, "waiting", at_ms=later_ms) == []
    last_ms = later_ms + 5 * DAY_MS
    assert await told.settle([fourth], 500, "waiting", at_ms=last_ms) == [told.crm]
    assert (await told.outbox.backlog())[told.crm].reason == "failing"


async def test_enabling_may_give_up_what_was_missed(told: Told) -> None:
    await told.put()
    await told.settle((await told.claim())[:1], 410, "waiting")
    await told.put(1)
    assert await told.outbox.enable(told.crm, NOW_MS, send_missed=False) == 8
    assert await told.claim() == []
    await told.put(2)
    assert len(await told.claim()) == 4


async def test_what_was_given_up_while_it_was_tried_stays_so(told: Told) -> None:
    await told.put()
    claimed = await told.claim()
    assert await told.outbox.enable(told.crm, NOW_MS, send_missed=False) == 4
    await told.settle(claimed, 500, "waiting")
    assert set((await told.states(endpoint=told.crm)).values()) == {"dead"}


async def test_replay_sends_one_event_or_those_of_a_time(told: Told) -> None:
    for number in (0, 60):
        await told.put(number)
    claimed = await told.claim()
    await told.settle(claimed[:7])
    await told.settle(claimed[7:], 500, "dead")
    replay = partial(send_again, told.outbox, tenant=told.tenant, now_ms=NOW_MS)
    assert await replay(Replay(event_id=claimed[0].event.id, endpoint=told.crm)) == 1
    (again,) = await told.claim()
    assert (again.event, again.attempts) == (claimed[0].event, 1)
    await told.settle([again])
    assert await replay(Replay(since=BEGAN, endpoint=told.crm)) == 1  # the dead one
    assert [each.event for each in await told.claim()] == [claimed[7].event]
    await told.settle([claimed[7]], 500, "dead")
    noon = Replay(since=BEGAN, until=BEGAN + timedelta(minutes=30), endpoint=told.crm)
    assert await replay(noon.model_copy(update={"delivered": True})) == 4
    assert await send_again(told.outbox, Replay(since=BEGAN), "another tenant", NOW_MS) == 0


async def test_an_endpoint_that_is_new_hears_of_earlier_events_by_a_replay(told: Told) -> None:
    await told.put()
    name = f"new-{told.tenant}"
    told.outbox.receivers = {name: Endpoint(name, "https://new.example", ("x" * 20,))}
    every, named = Replay(since=BEGAN), Replay(since=BEGAN, endpoint=name)
    assert await send_again(told.outbox, every, told.tenant, NOW_MS) == 0  # it is not named
    assert await send_again(told.outbox, named, told.tenant, NOW_MS) == 4
    assert await send_again(told.outbox, named, told.tenant, NOW_MS) == 0  # they wait already
    assert len(await told.outbox.claim(name, 9, NOW_MS, 1000)) == 4


async def test_the_log_is_found_by_call_number_type_and_state(told: Told) -> None:
    call_id = await told.put(caller="+34600111222")
    await told.put(1)
    assert len(await told.states(number="+34600111222", endpoint=told.crm)) == 4
    assert await told.states(call_id=call_id, type="call.ended") == {
        "crm call.ended": "waiting", "other call.ended": "waiting",
    }  # fmt: skip
    assert await told.states(state="dead") == {}
    claimed = await told.claim(1)
    outcome = Outcome(claimed[0], told.crm, Answer(500, body="no room"), "waiting", NOW_MS, NOW_MS)
    await told.outbox.settle([outcome])
    query = DeliveryQuery(endpoint=told.crm, type="call.started", call_id=call_id)
    (row,) = await told.outbox.find(told.tenant, query)
    assert row["log"] == [
        {"at_ms": NOW_MS, "status": 500, "error": "", "took_ms": 0, "answer": "no room"}
    ]
    page = await told.outbox.find(told.tenant, DeliveryQuery(limit=3))
    rest = await told.outbox.find(told.tenant, DeliveryQuery(limit=200, before=page[-1]["id"]))
    assert len({row["id"] for row in [*page, *rest]}) == 10
    assert await told.outbox.find("another tenant", DeliveryQuery()) == []


async def test_an_erased_call_leaves_no_event(told: Told) -> None:
    call_id = await told.put()
    await told.store.delete(told.tenant, [call_id], NOW_MS)
    await told.store.purge([call_id])
    assert await told.states() == {}
    assert await told.claim() == []


async def test_a_person_leaves_no_event_of_a_call_without_a_record(told: Told) -> None:
    mine, other = ("+34600111222", "u1"), ("+34600111222", "u2")
    for number, (caller, user) in enumerate((mine, other)):
        call = a_call(number, told.tenant, modes=["EXTERNAL"], caller=caller, user_id=user)
        await told.outbox.add([started(call)])
    forget = told.store.forget_events
    await forget("another tenant", [], *mine)
    await forget(told.tenant, [], "", "")
    assert len(await told.claim()) == 2
    await forget(told.tenant, [], *mine)
    (left,) = await told.outbox.find(told.tenant, DeliveryQuery(endpoint=told.crm))
    assert left["call_id"].endswith("_1")
    await forget(told.tenant, [], mine[0], "")
    assert await told.states() == {}


async def test_old_events_go_with_their_deliveries(told: Told) -> None:
    await told.put()
    assert await told.outbox.let_go(round(BEGAN.timestamp() * 1000) - DAY_MS) == 0
    assert await told.outbox.let_go(NOW_MS) >= 4
    assert await told.states() == {}


async def test_a_lost_call_is_told_to_who_wants_nothing_but_its_end(told: Told) -> None:
    ends = frozenset({"call.ended", "call.failed"})
    told.outbox.receivers = {
        name: Endpoint(name, each.url, each.secrets, ends, each.tenants)
        for name, each in told.receivers.items()
    }
    call = a_call(0, told.tenant, modes=["EXTERNAL"])
    await told.outbox.add([started(call)])
    assert await told.states() == {}
    await told.outbox.close_lost(NOW_MS, NOW_MS)
    assert await told.states() == {"crm call.failed": "waiting", "other call.failed": "waiting"}


async def test_a_row_of_a_clock_that_was_set_back_is_due(told: Told) -> None:
    await told.put()
    await told.claim(at_ms=NOW_MS + 3 * DAY_MS)
    assert len(await told.claim(at_ms=NOW_MS)) == 4


async def test_an_event_of_a_later_version_stops_nothing(told: Told) -> None:
    await told.put()
    async with told.store.database.begin() as connection:
        later = update(events).where(events.c.tenant == told.tenant)
        await connection.execute(
            later.where(events.c.type == "call.started").values(type="call.teleported")
        )
    claimed = await told.claim()
    assert len(claimed) == 3
    states = await told.states(endpoint=told.crm)
    assert states["crm call.teleported"] == "dead"


async def test_an_endpoint_that_was_disabled_is_not_told_to_others_by_a_replay(told: Told) -> None:
    await told.put()
    open_to_all = {n: Endpoint(n, each.url, each.secrets) for n, each in told.receivers.items()}
    everybody = Outbox(told.store.database, open_to_all)
    claimed = await told.claim(1)
    await everybody.settle([Outcome(claimed[0], told.crm, Answer(410), "waiting", 0, NOW_MS)])
    again = Replay(since=BEGAN, endpoint=told.crm, delivered=True)
    await send_again(everybody, again, None, NOW_MS)
    await everybody.enable(told.crm, NOW_MS, send_missed=True)
    kinds = {each.event.type for each in await everybody.claim(told.crm, 200, NOW_MS, 1000)}
    assert "endpoint.disabled" not in kinds


async def test_a_call_without_an_end_is_told_as_lost_once(told: Told) -> None:
    call = a_call(0, told.tenant, modes=["EXTERNAL"])
    await told.outbox.add([started(call)])
    began_ms = round(call.started_at.timestamp() * 1000)
    assert await told.outbox.close_lost(began_ms, NOW_MS) == 0
    await told.outbox.close_lost(began_ms + 1, NOW_MS)
    await told.outbox.close_lost(began_ms + 1, NOW_MS)
    states = await told.states()
    assert list(states) == ["crm call.failed", "crm call.started"]
    await told.put()  # its record came after all: it has one terminal event
    ends = [kind for kind in await told.states() if "call.ended" in kind or "call.failed" in kind]
    assert ends == ["crm call.failed"]
    assert datetime.fromtimestamp(NOW_MS / 1000, BEGAN.tzinfo) > call.ended_at


async def test_a_turn_is_told_live_to_who_wants_it_and_with_the_record_to_the_others(
    url: str,
) -> None:
    told = Told(url)
    live = replace(told.receivers[told.crm], live_turns=True)
    late = replace(told.receivers[told.other], types=frozenset({LIVE}), may_hear_private=True)
    told.receivers |= {told.crm: live, told.other: late}
    call = a_call(0, told.tenant, modes=["EXTERNAL"])
    masked = call.turns[0].model_copy(update={"words": "•", "is_masked": True})
    await told.outbox.add([turn_completed(call, masked)], is_live=True)
    assert await told.states(type=LIVE) == {f"crm {LIVE}": "waiting"}
    (first,) = await told.claim()
    assert first.event.data["words"] == "•"
    await told.settle([first])
    assert await told.put() == call.id
    assert await told.states(type=LIVE) == {f"crm {LIVE}": "delivered", f"other {LIVE}": "waiting"}
    (second,) = await told.outbox.claim(told.other, 10, NOW_MS, 30_000)
    assert (second.event.id, second.event.data["words"]) == (first.event.id, call.turns[0].words)
    await told.store.aclose()


async def test_the_log_finds_a_number(url: str) -> None:
    told = Told(url)
    await told.put(1, caller="+34600000001")
    await told.put(2, caller="+34600000002")
    found = await told.outbox.find(told.tenant, DeliveryQuery(number="+34600000002"))
    assert {row["call_id"] for row in found} == {f"sess_{told.tenant}_2"}
    assert await told.outbox.find(told.tenant, DeliveryQuery(number="+34600000003")) == []
    await told.store.aclose()
