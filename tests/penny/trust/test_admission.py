"""Places are taken, charged, renewed and given back on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from config.trust import LimitsSection, TenantSection
from penny.errors import LimitReached
from penny.trust.admission import KEY_CHECK_S, Admission
from penny.trust.identity import Identity
from penny.trust.memory_store import MemoryStore
from penny.trust.store import Place
from penny.trust.tenants import Policy


pytestmark = pytest.mark.virtual_time

KEY = Identity("acme", "key_1")


class House:
    """An admission whose sessions are ended into a list."""

    def __init__(self, limits: dict[str, Any]) -> None:
        self.clock = asyncio.get_running_loop().time
        self.ended: list[tuple[str, str]] = []
        self.alive = {"key_1"}
        self.store = MemoryStore(lambda: 1_700_000_000.0 + self.clock())
        self.policy = Policy(
            "acme", TenantSection(limits=LimitsSection.model_validate(limits)), LimitsSection()
        )
        self.admission = Admission(
            self.store, self.clock, end_session=self._end, dead_keys=self._dead_keys
        )

    def _end(self, session_id: str, reason: str) -> bool:
        self.ended.append((session_id, reason))
        return True

    async def _dead_keys(self, key_ids: frozenset[str]) -> frozenset[str]:
        return key_ids - self.alive

    def admit(self, session_id: str) -> Any:
        return self.admission.admit(session_id, KEY, self.policy, {"mode": "SELF_HOSTED"})


async def code_of_refusal(house: House, session_id: str) -> tuple[str, float]:
    try:
        async with house.admit(session_id):
            return "", 0.0
    except LimitReached as refused:
        return refused.code, refused.retry_after_s


async def fail(house: House) -> None:
    async with house.admit("s1"):
        assert await code_of_refusal(house, "s2") == ("too_many_sessions", 5.0)
        raise ConnectionError


async def test_a_place_is_free_again_when_its_session_ends_however_it_ends() -> None:
    house = House({"max_sessions": 1})
    with pytest.raises(ConnectionError):
        await fail(house)
    async with house.admit("s3"):
        assert [r["session_id"] for r in await house.store.list_sessions()] == ["s3"]
    assert await house.store.list_sessions() == []


async def test_a_session_ends_when_the_days_money_is_gone_and_no_other_begins() -> None:
    house = House({"usd_per_day": 0.5})
    await house.admission.start()
    async with house.admit("s1") as lease:
        began_s = house.clock()
        lease.read_usd = lambda: (house.clock() - began_s) / 60
        await asyncio.sleep(41)
        assert house.ended[0] == ("s1", "cost_limit")
    code, retry_after_s = await code_of_refusal(house, "s2")
    assert code == "budget_spent"
    assert 0 < retry_after_s <= 86_400
    await house.admission.aclose()


async def test_minutes_are_charged_to_the_second_though_renewal_is_coarse() -> None:
    house = House({"minutes_per_day": 1})
    async with house.admit("s1"):
        await asyncio.sleep(59)
    async with house.admit("s2") as lease:
        await asyncio.sleep(1.5)
        used = await house.store.charge(dict.fromkeys(lease.place.scopes, (0.0, 0.0)))
        assert [(use.scope, use.seconds) for use in used] == [("t:acme", 59), ("k:key_1", 59)]
    assert (await code_of_refusal(house, "s3"))[0] == "minutes_spent"


async def test_the_sessions_of_a_revoked_key_end_within_seconds() -> None:
    house = House({})
    await house.admission.start()
    async with house.admit("s1"):
        await asyncio.sleep(11)
        assert house.ended == []
        house.alive.clear()
        await asyncio.sleep(KEY_CHECK_S)
        assert house.ended == [("s1", "operator")]
    await house.admission.aclose()


async def test_a_hang_up_of_an_operator_ends_the_session() -> None:
    house = House({})
    await house.admission.start()
    await house.store.hang_up("s1")
    assert house.ended == [("s1", "operator")]
    await house.admission.aclose()


async def test_the_last_money_ends_a_session_before_a_busy_store_has_replied() -> None:
    house = House({"usd_per_day": 0.5})
    replies, charge = asyncio.Event(), house.store.charge

    async def charge_slowly(used: Any) -> Any:
        await replies.wait()
        return await charge(used)

    house.store.charge = charge_slowly  # type: ignore[method-assign]
    spent: list[str] = []
    async with house.admit("s1") as one, house.admit("s2") as two:
        one.read_usd = lambda: 0.3
        house.admission.charge_soon("s1", lambda: spent.append("s1"))
        await asyncio.sleep(0)
        assert spent == []
        two.read_usd = lambda: 0.3
        house.admission.charge_soon("s2", lambda: spent.append("s2"))
        assert spent == ["s2"]
        replies.set()
        await asyncio.sleep(0.1)
        assert spent == ["s2"]  # the first's money was counted once
        one.read_usd = lambda: 0.31
        house.admission.charge_soon("s1", lambda: spent.append("s1"))
        assert spent == ["s2", "s1"]
    await house.admission.aclose()


async def test_who_calls_again_at_once_waits_for_a_busy_store_and_gets_the_place() -> None:
    house = House({"max_sessions": 1})
    free, release = asyncio.Event(), house.store.release

    async def busy_release(place: Place) -> None:
        await free.wait()
        await release(place)

    house.store.release = busy_release  # type: ignore[method-assign]
    first = house.admit("s1")
    await first.__aenter__()
    house.admission.session_ended("s1")
    again = asyncio.ensure_future(code_of_refusal(house, "s2"))
    await asyncio.sleep(1)
    assert not again.done()
    free.set()
    assert await again == ("", 0.0)
    await first.__aexit__(None, None, None)


async def test_a_renewal_under_way_does_not_bring_back_a_place_that_was_left() -> None:
    house = House({"max_sessions": 1})
    entered: set[str] = set()
    written, release = asyncio.Event(), house.store.release

    async def slow_renew(places: Sequence[Place]) -> None:
        await written.wait()
        entered.update(place.session_id for place in places)

    async def noted_release(place: Place) -> None:
        entered.discard(place.session_id)
        await release(place)

    house.store.renew = slow_renew  # type: ignore[method-assign]
    house.store.release = noted_release  # type: ignore[method-assign]
    async with house.admit("s1"):
        renewal = asyncio.ensure_future(house.admission.renew())
        await asyncio.sleep(1)
    written.set()
    await renewal
    assert entered == set()
