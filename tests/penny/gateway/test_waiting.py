"""Callers of both doors whose rented worker has to be woken first: what they hear and get."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from config.schema import Config
from modes.self_hosted.waiting.sentences import SENTENCES
from penny.gateway.app import Gateway
from runpod_worker.engines.registry import Engines
from tests.doubles.caller import calling
from tests.doubles.engines import FixedStt, FixedTts
from tests.doubles.house import running_worker
from tests.doubles.loudness_vad import LoudnessVad
from tests.doubles.operator import OPERATOR
from tests.doubles.realtime_client import RealtimeClient
from tests.doubles.rented_machine import RentedMachine
from tests.doubles.runpod_server import ENDPOINT, KEY, RunpodServer
from tests.doubles.speech import silence, speak
from tests.doubles.worker_process import TellingLlm


pytestmark = [pytest.mark.virtual_time, pytest.mark.socket]

Json = dict[str, Any]
WORDS = SENTENCES["es"]


def make_engines() -> Engines:
    return Engines(LoudnessVad(), FixedStt(default="hola"), TellingLlm(), FixedTts())


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class House:
    """A gateway that rents, and a RunPod whose machines a test starts when it likes."""

    def __init__(self, url: str, runpod: RunpodServer) -> None:
        self.url = url
        self.runpod = runpod
        self.machines: list[RentedMachine] = []

    def wake_a_worker(self) -> None:
        machine = RentedMachine(self.runpod, make_engines)
        machine.start(f"w{len(self.machines) + 1}")
        self.machines.append(machine)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNPOD_API_KEY", KEY)


@asynccontextmanager
async def renting(
    folder: Path, runpod: Json | None = None, **sections: Any
) -> AsyncIterator[House]:
    server, port = RunpodServer(), free_port()
    await server.start()
    rented = {
        "endpoint_id": ENDPOINT,
        "gateway_url": f"ws://127.0.0.1:{port}/worker",
        "api_url": server.api_url,
        "rest_url": server.rest_url,
        "usd_per_hour": 3600.0,
        "state": str(folder),
        **(runpod or {}),
    }
    config = Config.model_validate({"runpod": rented, "waiting": {"after_s": 0.1}, **sections})
    gateway = Gateway(config)
    house = House(f"http://127.0.0.1:{port}", server)
    try:
        await gateway.start("127.0.0.1", port)
        yield house
    finally:
        await gateway.stop(drain_s=1.0)
        for machine in house.machines:
            await machine.crash()
        await server.aclose()


async def read_text(url: str) -> str:
    async with aiohttp.ClientSession(headers=OPERATOR) as http, http.get(url) as answer:
        assert answer.status == 200
        return await answer.text()


async def read(url: str) -> Json:
    return dict(json.loads(await read_text(url)))


@asynccontextmanager
async def realtime(url: str, query: str = "") -> AsyncIterator[RealtimeClient]:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}/v1/realtime{query}", max_msg_size=0) as line,
    ):
        yield RealtimeClient(line)


async def test_a_session_on_ws_begins_at_once_and_what_was_typed_is_answered(
    tmp_path: Path,
) -> None:
    async with renting(tmp_path) as house, calling(house.url) as caller:
        await caller.send("session_start")
        started = await caller.until("session_started")
        assert started["mode"] == "SELF_HOSTED"
        assert started["capabilities"]["cost"] is True
        assert (await caller.until("transcript_final"))["text"] == WORDS["preparing"]
        await caller.until("audio_done")
        assert len(caller.audio) > 48_000
        await caller.send("text_input", text="hola")
        house.wake_a_worker()
        assert (await caller.until("session_progress", stage="ready"))["eta_ms"] == 0
        answer = await caller.until("transcript_final", role="penny")
        assert answer["text"] == "Sé 1 cosas. hola"
        await caller.until("response_done")
        assert answer["turn_id"] == "turn_1"


async def test_words_spoken_while_the_worker_wakes_are_answered_when_it_is_there(
    tmp_path: Path,
) -> None:
    async with renting(tmp_path) as house, calling(house.url) as caller:
        await caller.send("session_start")
        await caller.until("session_started")
        await caller.speak(silence(300) + speak("¿Cuándo vence mi factura?") + silence(1_500))
        house.wake_a_worker()
        heard = await caller.until("transcript_final", role="user")
        assert heard["text"] == "hola"  # what these ears always hear
        answer = await caller.until("transcript_final", role="penny")
        assert "Sé 1 cosas" in answer["text"]


async def test_gpu_seconds_stand_in_the_totals_and_each_turn_is_told_once(tmp_path: Path) -> None:
    async with renting(tmp_path) as house, calling(house.url) as caller:
        house.wake_a_worker()
        await caller.send("session_start")
        await caller.until("session_started")
        for text in ("uno", "dos"):
            await asyncio.sleep(2)  # a dollar a second
            await caller.send("text_input", text=text)
            await caller.until("response_done")
        await caller.send("session_end")
        totals = (await caller.until("session_ended"))["totals"]
        costs = [event for event in caller.events if event["type"] == "cost"]
        assert len(costs) == 2
        assert costs[0]["usd_by"] == {"worker": costs[0]["usd_total"]}
        assert 0 < costs[0]["usd_total"] < costs[1]["usd_total"] <= totals["usd"] < 30
        assert totals["usd_by"] == {"worker": totals["usd"]}


async def test_an_unmodified_realtime_client_hears_the_wait_and_then_its_answer(
    tmp_path: Path,
) -> None:
    async with renting(tmp_path) as house, realtime(house.url) as client:
        created = await client.until("session.created")
        assert created["session"]["model"] == "penny"
        done = await client.until("response.done")
        assert done["response"]["conversation_id"] is None
        assert done["response"]["output"][0]["content"][0]["transcript"] == WORDS["preparing"]
        session = await client.configure(instructions="Eres Ana.")
        assert session["instructions"] == "Eres Ana."
        content = [{"type": "input_text", "text": "hola"}]
        item = {"type": "message", "role": "user", "content": content}
        await client.send("conversation.item.create", item=item)
        await client.send("response.create")
        house.wake_a_worker()
        await client.until("conversation.item.added")
        while True:
            done = await client.until("response.done")
            if done["response"].get("conversation_id") is not None:
                break
        assert done["response"]["output"][0]["content"][0]["transcript"] == "Sé 1 cosas. hola"
        assert not [event for event in client.events if event["type"].startswith("penny.")]


async def test_a_realtime_client_that_asked_for_them_gets_progress_and_no_internals(
    tmp_path: Path,
) -> None:
    async with renting(tmp_path) as house, realtime(house.url, "?penny_events=1") as client:
        await client.until("session.created")
        progress = await client.until("penny.progress")
        assert progress["stage"] == "leasing_worker"
        house.wake_a_worker()
        await client.until("penny.progress", stage="ready")
        assert not [event for event in client.events if event["type"] == "penny.session"]


async def test_a_telephones_format_asked_for_while_waiting_is_what_the_fillers_come_in(
    tmp_path: Path,
) -> None:
    often = {"after_s": 0.1, "every_s": 3.0}
    async with renting(tmp_path, waiting=often) as house, realtime(house.url) as client:
        pcmu = {"format": {"type": "audio/pcmu"}}
        await client.configure(audio={"input": pcmu, "output": pcmu})
        await client.until("response.done")
        before = len(client.events)
        await client.until("response.done")
        chars = sum(
            len(event["delta"])
            for event in client.events[before:]
            if event["type"] == "response.output_audio.delta"
        )
        assert 8_000 < chars * 3 / 4 < 8_000 * 6  # G.711: 8000 bytes a second


@asynccontextmanager
async def vendor() -> AsyncIterator[Json]:
    """EXTERNAL on loopback, for callers who may be moved."""
    async with running_worker(make_engines()) as url:
        base_url = url.replace("ws://", "http://").removesuffix("/realtime")
        yield {
            "penny": {"modes": {"EXTERNAL": {"portavoz_base_url": base_url}}},
            "privacy": {"external_when_cold": True},
            "brain": {"enabled": False},
            "runpod": {"cold_budget_s": 0.3},
        }


@pytest.mark.parametrize("door", ["ws", "realtime"])
async def test_beyond_the_budget_who_may_be_moved_is_told_by_voice_and_then_served(
    tmp_path: Path, door: str
) -> None:
    async with vendor() as sections, renting(tmp_path, **sections) as house:
        if door == "ws":
            async with calling(house.url) as caller:
                await caller.send("session_start")
                assert (await caller.until("session_started"))["mode"] == "SELF_HOSTED"
                warning = await caller.until("warning", field="mode")
                assert "OpenAI" in warning["message"]
                changed = await caller.until("mode_changed")
                assert changed["mode"] == "EXTERNAL"
                assert changed["privacy"] == "La voz va a OpenAI y el texto a Anthropic"
                assert changed["speaker"]["provider"] == "openai"
                assert changed["capabilities"]["cost"] is True
                [shown] = (await read(f"{house.url}/admin/v1/sessions"))["sessions"]
                assert shown["mode"] == "EXTERNAL"
                overview = await read(f"{house.url}/admin/v1/overview")
                assert {each["name"]: each["live"] for each in overview["modes"]} == {
                    "SELF_HOSTED": 0,
                    "EXTERNAL": 1,
                }
                assert (await caller.until("transcript_final", text=WORDS["moved"]))["role"]
                await caller.send("session_end")
                await caller.until("session_ended")
            ended = 'penny_sessions_ended_total{mode="EXTERNAL",reason="client_ended"} 1.0'
            moved = 'penny_sessions_moved_total{before="SELF_HOSTED",mode="EXTERNAL"} 1.0'
            async with asyncio.timeout(60):
                while ended not in (metrics := await read_text(f"{house.url}/metrics")):
                    await asyncio.sleep(0.1)
            assert moved in metrics
        else:
            async with realtime(house.url) as client:
                await client.until("session.created")
                moved = WORDS["moved"]
                await client.until("response.output_audio_transcript.done", transcript=moved)


@pytest.mark.parametrize("query", ["?model=penny-self-hosted", ""])
async def test_nobody_who_asked_for_private_or_was_promised_it_is_moved(
    tmp_path: Path, query: str
) -> None:
    async with vendor() as sections:
        if not query:
            sections["privacy"]["external_when_cold"] = False
        sections["runpod"]["cold_limit_s"] = 1.0
        async with (
            renting(tmp_path, **sections) as house,
            realtime(house.url, query) as client,
        ):
            await client.until("session.created")
            sorry = WORDS["sorry"]
            await client.until("response.output_audio_transcript.done", transcript=sorry)
            assert (await client.until("error"))["error"]["code"] == "speaker_lost"
            assert WORDS["moved"] not in [e.get("transcript") for e in client.events]


async def test_a_caller_who_hangs_up_while_waiting_leaves_no_session_behind(
    tmp_path: Path,
) -> None:
    async with renting(tmp_path) as house, calling(house.url) as caller:
        await caller.send("session_start")
        await caller.until("session_started")
        await caller.send("session_end")
        assert (await caller.until("session_ended"))["reason"] == "client_ended"
        async with asyncio.timeout(60):
            assert await caller.closed() == 1000
