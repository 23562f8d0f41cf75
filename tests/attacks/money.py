"""Money: charged as it is spent, kept across restarts, past a ceiling by one turn at most."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from penny.trust.ledger import DayLedger
from penny.trust.limits import day_of
from tests.attacks.attack import attack
from tests.attacks.availability import own_gateway
from tests.attacks.house import TURN_USD, House, external, tenants
from tests.attacks.tenants import realtime, refused
from tests.doubles.caller import calling
from tests.doubles.realtime_server import Connection


Json = dict[str, Any]

LIMIT_USD = 0.5
BOUND_USD = LIMIT_USD + TURN_USD
DAY: Json = {"limits": {"usd_per_day": LIMIT_USD}}


def spent(folder: Path, tenant: str) -> float:
    """What the ledger of a gateway says that a tenant has spent today, in US dollars."""
    ledger = DayLedger(folder / "days.sqlite")
    used = ledger.read(day_of(time.time()), [f"t:{tenant}"])
    return used.get(f"t:{tenant}", (0.0, 0.0))[1]


async def talk(
    upstream: Connection, ended: asyncio.Future[Any], events: Sequence[Json], told: Json
) -> int:
    """Turns until the call ends; the vendor bills each.

    As a vendor does, it sends an answer's sound after it has told of its beginning: not before the
    caller got an event like ``told``, so that Penny can cut an answer where it begins.
    """
    turns = 0
    while not ended.done() and turns < 8:
        try:
            await upstream.hear("Otra vez.")
            while not ended.done() and _count(events, told) <= turns:
                await asyncio.sleep(0.01)
            if ended.done():
                break
            await upstream.answer("Son mil quinientos euros.")
        except (AssertionError, ConnectionError):
            break  # the line was closed on it
        turns += 1
        await asyncio.sleep(0.2)
    return turns


def _count(events: Sequence[Json], told: Json) -> int:
    return sum(all(event.get(k) == v for k, v in told.items()) for event in events)


TOLD: dict[str, Json] = {
    "/ws": {"type": "transcript_final", "role": "user"},
    "/v1/realtime": {"type": "response.created"},
}
"""What a caller gets once Penny has seen that an answer begins."""


async def one_call(house: House, door: str, all_open: asyncio.Barrier | None = None) -> int:
    """Turns that a call got before its money ended it; with ``all_open``, talks once all do."""
    assert house.vendor is not None
    if door == "/ws":
        async with calling(house.url, key=house.key("bolt")) as caller:
            async with house.opening:
                await caller.send("session_start")
                await caller.until("session_started")
                upstream = await house.vendor.connection()
            if all_open is not None:
                await all_open.wait()
            ended = asyncio.ensure_future(caller.until("session_ended"))
            turns = await talk(upstream, ended, caller.events, TOLD[door])
            assert (await ended)["reason"] == "cost_limit"
            return turns
    async with realtime(house, house.key("bolt")) as client:
        closed = asyncio.ensure_future(client.closed())
        upstream = await house.vendor.connection()
        turns = await talk(upstream, closed, client.events, TOLD[door])
        await closed
        return turns


def ceiling(door: str) -> None:
    async def run(house: House) -> str:
        folder = house.folder / f"money{door.replace('/', '-')}"
        folder.mkdir(exist_ok=True)
        async with external(folder, tenants=tenants(bolt=DAY)) as own:
            turns = await one_call(own, door)
            # Refused once what the last call owed is written.
            assert (await refused(own, "bolt"))["code"] == "budget_spent"
            usd = spent(folder, "bolt")
            assert LIMIT_USD <= usd <= BOUND_USD + 1e-6, f"{usd} USD, {turns} turns"
        async with external(folder, tenants=tenants(bolt=DAY)) as again:
            assert (await refused(again, "bolt"))["code"] == "budget_spent"
        return f"{usd:.2f} of {LIMIT_USD:.2f} USD"

    run.__name__ = f"the_days_money{door.replace('/', '_')}"
    run.__doc__ = f"{door}, EXTERNAL: talks past the day's {LIMIT_USD} USD, then after a restart"
    attack("money", f"at most one turn over ({BOUND_USD:.2f}); refused after, and after a restart")(
        run
    )


ceiling("/ws")
ceiling("/v1/realtime")


def session_ceiling(door: str) -> None:
    async def run(house: House) -> str:
        folder = house.folder / f"ceiling{door.replace('/', '-')}"
        folder.mkdir(exist_ok=True)
        async with external(folder, costs={"session_limit_usd": LIMIT_USD}) as own:
            turns = await one_call(own, door)
        assert 2 <= turns <= 3  # the third is cut as it begins
        return f"ended in turn {turns}"

    run.__name__ = f"the_sessions_money{door.replace('/', '_')}"
    run.__doc__ = f"{door}, EXTERNAL: talks past the session's own ceiling of {LIMIT_USD} USD"
    attack("money", "ended: the answer that passed it is the last")(run)


session_ceiling("/ws")
session_ceiling("/v1/realtime")


@attack("money", f"each at most one turn over: {LIMIT_USD + 3 * TURN_USD:.2f} USD for three")
async def three_calls_at_once_spend_one_day(house: House) -> str:
    """three live calls of one tenant spend its day together"""
    folder = house.folder / "money-three"
    folder.mkdir(exist_ok=True)
    async with external(folder, tenants=tenants(bolt=DAY)) as own:
        all_open = asyncio.Barrier(3)
        turns = await asyncio.gather(*(one_call(own, "/ws", all_open) for _ in range(3)))
        usd = spent(folder, "bolt")
    assert usd <= LIMIT_USD + 3 * TURN_USD + 1e-6, f"{usd:.2f} USD, turns {turns}"
    return f"{usd:.2f} USD, turns {turns}"


async def first_word(url: str, for_s: float = 0.0) -> str:
    """How a session_start is answered; a session that begins lasts so many seconds."""
    async with calling(url) as caller:
        await caller.send("session_start")
        event: Json = await caller.socket.receive_json()
        if event["type"] == "session_started":
            await asyncio.sleep(for_s)
            await caller.send("session_end")
            await caller.closed()
    return str(event.get("code") or event["type"])


@attack("money", "refused after a restart")
async def minutes_are_forgotten(house: House) -> str:
    """private mode: a tenant's minutes of the day are used up, then the gateway starts again"""
    limits = {"minutes_per_day": 0.01}
    async with own_gateway(house, "minutes", limits=limits) as (gateway, _):
        assert await first_word(gateway.url, for_s=1.0) == "session_started"
        assert await first_word(gateway.url) == "minutes_spent"  # by then the first is charged
    async with own_gateway(house, "minutes", limits=limits) as (gateway, _):
        assert await first_word(gateway.url) == "minutes_spent"
    return "minutes_spent"
