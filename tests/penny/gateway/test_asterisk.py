"""Calls of an Asterisk from its dialplan to the answer and on, over both wires.

The dialplan is the one that saving renders; an interpreter runs it against a real gateway.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import numpy as np
import pytest

from config.telephony import TelephonySection
from penny.errors import SessionRefused
from penny.gateway.opening import Opener
from penny.session.broker import Broker
from penny.telephony.reception import read_reception
from penny.telephony.store import TelephonyStore
from tests.doubles.asterisk_peers import AudioSocketPeer
from tests.doubles.dialplan import Channel, Dialplan
from tests.doubles.house import running_gateway
from tests.doubles.operator import OPERATOR
from tests.doubles.speech import silence, speak
from tests.penny.telephony.shapes import a_trunk, an_fxo


pytestmark = pytest.mark.engines

Json = dict[str, Any]
NUMBER = "+5255123456"


class Office:
    """A gateway with one line, and the dialplan of its Asterisk."""

    def __init__(self, url: str, http: aiohttp.ClientSession, plan: Dialplan) -> None:
        self.url, self.http, self.plan = url, http, plan
        self.network: dict[str, str] = {}
        """Where the dialplan's addresses are."""
        self.broker: Broker | None = None
        self._calls: list[asyncio.Task[None]] = []

    def dial(
        self,
        number: str = NUMBER,
        caller: str = "+34600123456",
        line: str = "fxo-1",
        mute_legs: int = 0,
    ) -> Channel:
        channel = Channel(caller)
        channel.mute_legs = mute_legs
        call = self.plan.call(f"penny-{line}", number, channel)
        self._calls.append(asyncio.create_task(call))
        return channel

    async def until_connected(self, channel: Channel) -> None:
        async with asyncio.timeout(60):
            await channel.connected.wait()

    async def over(self, channel: Channel) -> list[str]:
        """What the caller noticed, once the call is over."""
        async with asyncio.timeout(60):
            await asyncio.gather(*self._calls)
        return channel.done

    async def hand_over(self, channel: Channel, destination: str, summary: str = "") -> None:
        """What talks hands the call of this channel over."""
        async with asyncio.timeout(60):
            await channel.connected.wait()
        assert self.broker is not None
        async with asyncio.timeout(60):
            while not self.broker.sessions:
                await asyncio.sleep(0.01)
        [session] = self.broker.sessions.values()
        told = {"destination": destination, "summary": summary}
        session.tell_caller({"type": "penny.handoff", **told})
        asyncio.get_running_loop().call_soon(session.end, "handoff")
        async with asyncio.timeout(60):
            while session.id in self.broker.sessions:
                await asyncio.sleep(0.01)

    async def person_of(self, channel: Channel) -> Channel:
        """Who answered it, once they are told."""
        async with asyncio.timeout(60):
            while not channel.persons:
                await asyncio.sleep(0.01)
            await channel.persons[-1].connected.wait()
        return channel.persons[-1]

    async def transfers(self) -> dict[str, int]:
        """How they ended."""
        return await self.figures("penny_phone_transfers_total")

    async def figures(self, name: str) -> dict[str, int]:
        """A counter of the operator's, by its label."""
        async with self.http.get(f"{self.url}/metrics") as answer:
            text = await answer.text()
        found = re.findall(name + r'\{\w+="(.+)"\} (.+)', text)
        return {label: int(float(count)) for label, count in found}

    async def sessions(self) -> list[Json]:
        async with self.http.get(f"{self.url}/admin/v1/sessions", headers=OPERATOR) as answer:
            return list((await answer.json())["sessions"])

    async def until_sessions(self, count: int) -> list[Json]:
        async with asyncio.timeout(60):
            while len(found := await self.sessions()) != count:
                await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def an_office(
    folder: Path,
    wire: str,
    *,
    answers: bool = True,
    is_away: bool = False,
    max_sessions: int = 10,
    numbers: Json | None = None,
    lines: dict[str, Json] | None = None,
    tenants: Json | None = None,
) -> AsyncIterator[Office]:
    asterisk: Json = {
        "enabled": True,
        "wire": wire,
        "fallback_sound": "custom/penny-away",
        "fallback_dial": "PJSIP/200",
        "transfers": {"soporte": "Local/queue@office"},
    }
    section: Json = {"folder": str(folder), "asterisk": asterisk, "numbers": numbers or {}}
    store = TelephonyStore(folder, TelephonySection.model_validate(section), {})
    for tenant, told in (lines or {"default": an_fxo(fxo_ports=2)}).items():
        store.save(tenant, read_reception(told))
    network = {"127.0.0.1:8080": "127.0.0.1:9", "127.0.0.1:9019": "127.0.0.1:9"}
    async with aiohttp.ClientSession() as http:
        plan = Dialplan(store.files, http, network, lambda _target: answers)
        if is_away:
            yield Office("", http, plan)
            return
        asterisk["port"] = 0
        async with running_gateway(
            telephony=section,
            session={"greeting": "Buenos días."},
            gateway={"max_sessions": max_sessions},
            tenants=tenants or {},
        ) as gateway:
            assert gateway.asterisk is not None
            network["127.0.0.1:8080"] = f"127.0.0.1:{gateway.port}"
            network["127.0.0.1:9019"] = f"127.0.0.1:{gateway.asterisk.port}"
            office = Office(f"http://127.0.0.1:{gateway.port}", http, plan)
            office.broker, office.network = gateway.broker, network
            yield office


@pytest.mark.parametrize("wire", ["audiosocket", "websocket"])
async def test_a_call_is_greeted_answers_and_is_hung_up(tmp_path: Path, wire: str) -> None:
    async with an_office(tmp_path, wire) as office:
        channel = office.dial()
        async with asyncio.timeout(60):
            await channel.connected.wait()
        await channel.peer.until_loud(10)  # the greeting
        await channel.peer.until_quiet(0.3)
        greeted = len(channel.peer.loud())
        channel.peer.say(_at_8k(speak("¿Cuál es el horario de atención?")) + _at_8k(silence(1500)))
        await channel.peer.until_loud(greeted + 10)
        [session] = await office.until_sessions(1)
        assert session["edge"] == "phone"
        async with office.http.post(
            f"{office.url}/admin/v1/sessions/{session['session_id']}/hang-up", headers=OPERATOR
        ) as answer:
            assert answer.status == 202
        assert await office.over(channel) == ["Answer", "Hangup()"]
        assert await office.until_sessions(0) == []


async def test_the_caller_who_hangs_up_leaves_nothing_behind(tmp_path: Path) -> None:
    async with an_office(tmp_path, "audiosocket") as office:
        channel = office.dial()
        async with asyncio.timeout(60):
            await channel.connected.wait()
        await office.until_sessions(1)
        assert isinstance(channel.peer, AudioSocketPeer)
        channel.is_gone = True
        channel.peer.hang_up()
        assert await office.over(channel) == ["Answer"]
        await office.until_sessions(0)


async def test_an_analogue_line_that_sounds_busy_is_a_caller_who_has_hung_up(
    tmp_path: Path,
) -> None:
    """The number is Mexican, and so is the tone."""
    async with an_office(tmp_path, "audiosocket") as office:
        channel = office.dial()
        await office.until_connected(channel)
        await office.until_sessions(1)
        at_s = np.arange(2000) / 8000
        tone = (2000 * np.sin(2 * np.pi * 425 * at_s)).astype("<i2").tobytes()
        channel.peer.say((tone + bytes(len(tone))) * 10)
        assert await office.over(channel) == ["Answer", "Hangup()"]
        await office.until_sessions(0)


@pytest.mark.parametrize("wire", ["audiosocket", "websocket"])
async def test_without_penny_the_caller_hears_the_sentence_and_reaches_the_person(
    tmp_path: Path, wire: str
) -> None:
    async with an_office(tmp_path, wire, is_away=True) as office:
        channel = office.dial()
        assert await office.over(channel) == [
            "Answer",
            "Playback(custom/penny-away)",
            "Dial(PJSIP/200)",
        ]


AWAY = ["Answer", "Answer", "Playback(custom/penny-away)", "Dial(PJSIP/200)"]


@pytest.mark.parametrize("is_closed", [True, False])
async def test_a_penny_that_dies_before_the_first_word_leaves_the_caller_to_the_person(
    tmp_path: Path, is_closed: bool
) -> None:
    """AudioSocket by itself ends a call whose connection fails: the dialplan must catch that."""

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(19)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if is_closed:
        server.close()
        await server.wait_closed()
    try:
        async with an_office(tmp_path, "audiosocket") as office:
            office.network["127.0.0.1:9019"] = f"127.0.0.1:{port}"
            assert await office.over(office.dial()) == AWAY
    finally:
        server.close()


@pytest.mark.parametrize("wire", ["audiosocket", "websocket"])
async def test_a_caller_whose_connection_breaks_is_not_hung_up_on(
    tmp_path: Path, wire: str
) -> None:
    async with an_office(tmp_path, wire) as office:
        channel = office.dial()
        await office.until_connected(channel)
        await office.until_sessions(1)
        channel.peer.break_off()
        assert await office.over(channel) == AWAY
        await office.until_sessions(0)


@pytest.mark.parametrize("wire", ["audiosocket", "websocket"])
async def test_a_call_that_brings_no_sound_is_connected_anew_once(
    tmp_path: Path, wire: str
) -> None:
    async with an_office(tmp_path, wire) as office:
        channel = office.dial(mute_legs=1)
        async with asyncio.timeout(60):
            while len(channel.peers) < 2:
                await asyncio.sleep(0.01)
        await channel.peer.until_loud(10)  # it is greeted again
        async with asyncio.timeout(60):
            while len(channel.peer.heard) < 125:  # and goes on after the time it once had
                await asyncio.sleep(0.02)
        [session] = await office.until_sessions(1)
        assert await office.figures("penny_phone_calls_silent_total") == {"fxo-1": 1}
        async with office.http.post(
            f"{office.url}/admin/v1/sessions/{session['session_id']}/hang-up", headers=OPERATOR
        ):
            pass
        assert await office.over(channel) == ["Answer", "Answer", "Hangup()"]


@pytest.mark.parametrize("wire", ["audiosocket", "websocket"])
async def test_a_call_that_stays_without_sound_goes_to_the_person(
    tmp_path: Path, wire: str
) -> None:
    async with an_office(tmp_path, wire) as office:
        channel = office.dial(mute_legs=2)
        assert await office.over(channel) == ["Answer", *AWAY]
        assert len(channel.peers) == 2
        assert await office.figures("penny_phone_calls_silent_total") == {"fxo-1": 1}  # a call
        await office.until_sessions(0)


@pytest.mark.parametrize(
    ("destination", "target"), [("soporte", "Local/queue@office"), ("ventas", "PJSIP/200")]
)
async def test_a_hand_off_rings_the_place_that_was_named(
    tmp_path: Path, destination: str, target: str
) -> None:
    async with an_office(tmp_path, "websocket") as office:
        channel = office.dial()
        await office.hand_over(channel, destination)
        assert await office.over(channel) == ["Answer", f"Dial({target})", "Hangup()"]
        assert channel.joined_under_s == 0  # as long as they like: no limit is left on the call
        assert [person.peers for person in channel.persons] == [[]]


@pytest.mark.parametrize("wire", ["audiosocket", "websocket"])
async def test_who_takes_a_call_hears_first_what_it_is_about(tmp_path: Path, wire: str) -> None:
    async with an_office(tmp_path, wire) as office:
        channel = office.dial()
        await office.hand_over(channel, "soporte", "Llama por su factura de marzo.")
        person = await office.person_of(channel)
        assert await office.over(channel) == ["Answer", "Dial(Local/queue@office)", "Hangup()"]
        assert (person.peer.end, channel.joined_under_s) == ("continue", 0)
        assert len(person.peer.loud()) > 50  # more than a second of it
        assert await office.transfers() == {"short": 1}  # both parted at once
        await office.until_sessions(0)


async def test_who_hangs_up_while_it_is_whispered_does_not_take_the_call(tmp_path: Path) -> None:
    async with an_office(tmp_path, "audiosocket") as office:
        channel = office.dial()
        await office.hand_over(channel, "soporte", "Llama por su factura de marzo.")
        person = await office.person_of(channel)
        await person.peer.until_loud(5)
        assert isinstance(person.peer, AudioSocketPeer)
        person.is_gone = True
        person.peer.hang_up()
        async with asyncio.timeout(60):
            while len(channel.peers) < 2:  # the caller talks to Penny again
                await asyncio.sleep(0.01)
        await channel.peer.until_loud(10)
        assert channel.joined_under_s is None
        assert await office.transfers() == {"declined": 1}
        await office.hand_over(channel, "soporte")
        rung = "Dial(Local/queue@office)"
        assert await office.over(channel) == ["Answer", rung, "Answer", rung, "Hangup()"]


async def test_a_person_is_joined_at_once_where_penny_cannot_say_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, open_begun = [], Opener.open_begun

    async def open_once(opener: Opener, *given: Any, **named: Any) -> Any:
        opened.append(given)
        if len(opened) > 1:
            raise SessionRefused("there is no room")
        return await open_begun(opener, *given, **named)

    monkeypatch.setattr(Opener, "open_begun", open_once)
    async with an_office(tmp_path, "audiosocket") as office:
        channel = office.dial()
        await office.hand_over(channel, "soporte", "Llama por su factura de marzo.")
        assert await office.over(channel) == ["Answer", "Dial(Local/queue@office)", "Hangup()"]
        assert (len(opened), channel.joined_under_s) == (2, 0)


async def test_who_is_not_answered_comes_back_once(tmp_path: Path) -> None:
    async with an_office(tmp_path, "audiosocket", answers=False) as office:
        channel = office.dial()
        await office.hand_over(channel, "soporte")
        async with asyncio.timeout(60):
            while len(channel.peers) < 2:
                await asyncio.sleep(0.01)
        await office.hand_over(channel, "soporte")
        rung = "Dial(Local/queue@office)"
        assert await office.over(channel) == ["Answer", rung, "Answer", rung, "Hangup()"]
        assert await office.transfers() == {"no-answer": 2}


async def test_a_full_penny_sends_callers_to_the_person(tmp_path: Path) -> None:
    async with an_office(tmp_path, "audiosocket", max_sessions=1) as office:
        assert office.broker is not None
        async with office.broker.admit():  # of gateway.max_sessions: 1
            channel = office.dial()
            assert await office.over(channel) == AWAY


async def test_a_mode_that_fails_leaves_no_caller_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_args: object, **_facts: object) -> None:
        raise RuntimeError("of a mode")

    monkeypatch.setattr(Opener, "open_begun", fail)
    async with an_office(tmp_path, "audiosocket") as office:
        assert await office.over(office.dial()) == AWAY


async def test_what_answers_a_number_of_another_tenant_does_not_answer_this_ones(
    tmp_path: Path,
) -> None:
    numbers = {NUMBER: {"tenant": "acme", "actions": ["solo_de_acme"]}}
    async with an_office(tmp_path, "audiosocket", numbers=numbers) as office:
        channel = office.dial()
        await office.until_connected(channel)
        await office.until_sessions(1)
        assert isinstance(channel.peer, AudioSocketPeer)
        channel.is_gone = True
        channel.peer.hang_up()
        assert await office.over(channel) == ["Answer"]


async def test_other_numbers_are_refused_and_a_third_caller_of_two_ports_is_told_busy(
    tmp_path: Path,
) -> None:
    async with an_office(tmp_path, "audiosocket") as office:
        refused = office.dial("+5255999999")
        assert await office.over(refused) == ["Hangup(1)"]
        page = f"{office.url}/api/config/telephony"
        async with office.http.get(page, headers=OPERATOR) as answer:
            [noted] = (await answer.json())["refused"]
        assert noted["number"] == "+5255999999"
        calls = [office.dial() for _ in range(2)]
        async with asyncio.timeout(60):
            await asyncio.gather(*(call.connected.wait() for call in calls))
        third = office.dial()
        async with asyncio.timeout(60):
            while not third.done:
                await asyncio.sleep(0.01)
        assert third.done == ["Hangup(17)"]
        for call in calls:
            assert isinstance(call.peer, AudioSocketPeer)
            call.is_gone = True
            call.peer.hang_up()
        await office.over(third)
        await office.until_sessions(0)


async def test_calls_of_two_trunks_at_one_address_are_each_credited_to_their_own(
    tmp_path: Path,
) -> None:
    """One registers, one is known by its address; Asterisk takes calls of either for the other."""
    registers, known = "+34910000001", "+34910000003"
    by_ip = a_trunk(auth_type="ip_auth", match=["203.0.113.7"], dids=[{"number": known}])
    by_ip["carrier_grade"]["host"] = "203.0.113.7"
    lines = {"default": a_trunk(host="203.0.113.7"), "acme": by_ip}
    numbers = {known: {"tenant": "acme"}}
    tenants = {"acme": {}}
    async with an_office(
        tmp_path, "audiosocket", numbers=numbers, lines=lines, tenants=tenants
    ) as office:
        credited = []
        for number in range(20):
            did = (registers, known)[number % 2]
            channel = office.dial(did, line=("trunk-1", "trunk-2")[number // 2 % 2])
            await office.until_connected(channel)
            [session] = await office.until_sessions(1)
            credited.append((did, session["tenant"]))
            assert isinstance(channel.peer, AudioSocketPeer)
            channel.is_gone = True
            channel.peer.hang_up()
            await office.over(channel)
            await office.until_sessions(0)
        assert credited == [(registers, "default"), (known, "acme")] * 10


async def test_who_shows_no_token_announces_nothing_and_who_is_not_announced_is_shut_out(
    tmp_path: Path,
) -> None:
    async with an_office(tmp_path, "websocket") as office:
        token = (tmp_path / "secrets" / "announce.token").read_text()
        call_id = str(uuid4())
        told = {"id": call_id, "line": "fxo-1", "did": NUMBER, "caller": "1"}
        announce, media = f"{office.url}/asterisk/announce", f"{office.url}/asterisk/media"
        for body, status, word in (
            (told, 403, "refused"),
            ({**told, "token": token[:-1] + "x"}, 403, "refused"),
            ({**told, "token": token, "id": "x"}, 403, "refused"),
            ({**told, "token": token, "did": "112"}, 200, "refused"),
            ({**told, "token": token, "line": "fxo-2"}, 200, "refused"),
        ):
            async with office.http.post(announce, data=body) as answer:
                assert (answer.status, await answer.text()) == (status, word)
        for asked in (media, f"{media}?id=x", f"{media}?id={call_id}"):
            async with office.http.get(asked) as answer:
                assert answer.status == 403
        async with office.http.post(f"{office.url}/asterisk/next", data=told) as answer:
            assert answer.status == 403


def _at_8k(pcm24k: bytes) -> bytes:
    from penny.audio.resample import Resampler

    return Resampler(24_000, 8_000).process(pcm24k)
