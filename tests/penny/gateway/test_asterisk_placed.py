"""Calls that are placed through Asterisk: the dialer's rules, ARI's word, the rendered dialplan."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import numpy as np
import pytest

from config.telephony import TelephonySection
from penny.edges.asterisk.audiosocket import AWAY_S, SILENT_S, AudioSocketWire
from penny.telephony.reception import read_reception
from penny.telephony.store import TelephonyStore
from tests.doubles.ari import PASSWORD, FakeAri, running_ari
from tests.doubles.dialplan import Channel, Dialplan
from tests.doubles.house import running_gateway
from tests.doubles.operator import OPERATOR
from tests.penny.telephony.shapes import an_fxo


pytestmark = pytest.mark.engines

Json = dict[str, Any]
TO, FROM = "+34911111111", "+5255123456"
ANY_TIME = {"from_hour": 0, "to_hour": 24, "weekends": True, "holidays": True}


class Desk:
    """A gateway that places calls through an Asterisk of ours."""

    def __init__(self, url: str, http: aiohttp.ClientSession, ari: FakeAri, plan: Dialplan) -> None:
        self.url, self.http, self.ari, self.plan = url, http, ari, plan
        self.gateway: Any = None

    async def place(self, to: str = TO) -> tuple[int, Json]:
        async with self.http.post(f"{self.url}/v1/calls", json={"to": to}) as answer:
            return answer.status, await answer.json()

    async def until(self, dial_id: str, **facts: Any) -> Json:
        """Its record, once it says so."""
        async with asyncio.timeout(60):
            while True:
                async with self.http.get(f"{self.url}/v1/dials/{dial_id}") as answer:
                    told: Json = await answer.json()
                if all(told.get(name) == value for name, value in facts.items()):
                    return told
                await asyncio.sleep(0.02)

    async def until_listening(self, count: int = 1) -> None:
        async with asyncio.timeout(60):
            while len(self.ari.listeners) != count:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def a_desk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setenv("PENNY_ARI_PASSWORD", PASSWORD)
    async with running_ari() as ari, aiohttp.ClientSession(headers=OPERATOR) as http:
        dialing = {"prefixes": ["+34"], "caller_ids": [FROM], "at_once": 1, **ANY_TIME}
        section: Json = {
            "folder": str(folder),
            "asterisk": {"enabled": True, "ari": {"url": ari.url}},
            "dialing": {"default": dialing},
        }
        store = TelephonyStore(folder, TelephonySection.model_validate(section), {})
        store.save("default", read_reception(an_fxo()))
        section["asterisk"]["port"] = 0
        network: dict[str, str] = {}
        plan = Dialplan(store.files, http, network)
        async with running_gateway(
            telephony=section, session={"greeting": "Buenos días."}
        ) as gateway:
            assert gateway.asterisk is not None
            network["127.0.0.1:8080"] = f"127.0.0.1:{gateway.port}"
            network["127.0.0.1:9019"] = f"127.0.0.1:{gateway.asterisk.port}"
            desk = Desk(f"http://127.0.0.1:{gateway.port}", http, ari, plan)
            desk.gateway = gateway
            await desk.until_listening()
            yield desk


async def test_a_call_rings_is_answered_talks_and_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_desk(tmp_path, monkeypatch) as at:
        status, told = await at.place()
        assert status == 202
        [asked] = at.ari.placed
        assert (asked["endpoint"], asked["callerId"]) == (f"PJSIP/{TO}@fxo-1", FROM)
        assert (await at.place())[1]["error"]["code"] == "dialing_limit"
        await at.ari.tell(told["id"], "Ringing")
        await at.ari.tell(told["id"], "Up")
        channel = Channel(FROM)
        channel.variables |= asked["variables"]
        running = asyncio.create_task(at.plan.call(asked["context"], asked["extension"], channel))
        async with asyncio.timeout(60):
            await channel.connected.wait()
        await channel.peer.until_loud(10)  # who calls, and that it is a machine
        record = await at.until(told["id"], outcome=None)
        assert record["ringing_at"]
        assert record["answered_at"]
        channel.is_gone = True
        channel.peer.hang_up()  # type: ignore[union-attr]
        await running
        await at.ari.destroy(told["id"], 16)
        await at.until(told["id"], outcome="completed")
        assert (await at.place())[0] == 202, "its place is free"


@pytest.mark.parametrize(
    ("cause", "outcome"), [(17, "busy"), (19, "no_answer"), (16, "no_answer"), (21, "failed")]
)
async def test_a_call_that_is_not_answered_has_one_end_and_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: int, outcome: str
) -> None:
    async with a_desk(tmp_path, monkeypatch) as at:
        _, told = await at.place()
        await at.ari.tell(told["id"], "Ringing")
        await at.ari.destroy(told["id"], cause)
        record = await at.until(told["id"], outcome=outcome)
        assert record["answered_at"] is None
        assert (await at.place())[0] == 202
        assert (await at.place("+33111111111"))[1]["error"]["code"] == "dialing_denied"
        assert len(at.ari.placed) == 2


async def test_a_call_that_was_placed_before_a_restart_has_its_end_by_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_desk(tmp_path, monkeypatch) as at:
        for state, cause, outcome in (("Up", 16, "completed"), ("Ringing", 17, "busy")):
            _, told = await at.place()
            await at.ari.tell(told["id"], state)
            moment = "answered_at" if state == "Up" else "ringing_at"
            async with asyncio.timeout(60):
                while not (await at.until(told["id"]))[moment]:
                    await asyncio.sleep(0.02)
            at.gateway._carriers._ari._forget(told["id"])
            await at.ari.destroy(told["id"], cause)
            await at.until(told["id"], outcome=outcome)


async def test_what_asterisk_does_not_take_is_over_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_desk(tmp_path, monkeypatch) as at:
        at.ari.refuses = 500
        status, fault = await at.place()
        assert (status, fault["error"]["code"]) == (502, "carrier_refused")
        at.ari.refuses = 0
        assert (await at.place())[0] == 202


async def test_a_placed_call_on_an_analogue_line_that_sounds_busy_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_desk(tmp_path, monkeypatch) as at:
        _, told = await at.place()
        [asked] = at.ari.placed
        await at.ari.tell(told["id"], "Up")
        channel = Channel(FROM)
        channel.variables |= asked["variables"]
        running = asyncio.create_task(at.plan.call(asked["context"], asked["extension"], channel))
        async with asyncio.timeout(60):
            await channel.connected.wait()
        at_s = np.arange(2000) / 8000
        tone = (2000 * np.sin(2 * np.pi * 425 * at_s)).astype("<i2").tobytes()
        channel.peer.say((tone + bytes(len(tone))) * 10)
        async with asyncio.timeout(60):
            await running
        assert channel.done[-1] == "Hangup()"


async def test_what_ended_while_asterisk_was_not_heard_is_over_once_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_desk(tmp_path, monkeypatch) as at:
        _, told = await at.place()
        door = at.gateway.asterisk
        wire = AudioSocketWire(lambda _id, _wire: None, door._places)
        door._live["a call"] = SimpleNamespace(wire=wire)
        at.ari.channels.clear()
        [listener] = at.ari.listeners
        await listener.close()
        async with asyncio.timeout(60):
            while wire.dead_after_s != AWAY_S:
                await asyncio.sleep(0.005)
        await at.until_listening()
        await at.until(told["id"], outcome="failed")
        assert wire.dead_after_s == SILENT_S
        del door._live["a call"]


async def test_a_dial_that_is_not_known_gets_no_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_desk(tmp_path, monkeypatch) as at:
        channel = Channel(FROM)
        channel.variables["PENNY_DIAL"] = "dial_none"
        await at.plan.call("penny-talk", "s", channel)
        assert channel.done == ["Answer", "Hangup()"]
