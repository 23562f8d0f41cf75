"""Leases from end to end on loopback: control plane, gateway's door, worker that dials in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from modes.self_hosted.mode import SelfHostedMode
from modes.self_hosted.runpod.book import LeaseBook
from modes.self_hosted.runpod.cold_starts import ColdStarts
from modes.self_hosted.runpod.source import RunpodWorkers
from penny.errors import ModeUnavailable
from penny.session.mode import SessionSpec, Speaker
from penny.tracing.settings import TracingSettings
from penny.tracing.tracing import Tracing
from runpod_worker.engines.registry import Engines
from runpod_worker.settings import WorkerSettings
from tests.doubles.collector import collecting
from tests.doubles.engines import FixedStt, FixedTts
from tests.doubles.leasing_gateway import LeasingGateway
from tests.doubles.loudness_vad import LoudnessVad
from tests.doubles.rented_machine import RentedMachine
from tests.doubles.runpod_server import ENDPOINT, KEY, RunpodServer
from tests.doubles.speaker_caller import Caller
from tests.doubles.worker_process import TellingLlm


pytestmark = pytest.mark.socket


Json = dict[str, Any]


class Fleet:
    """A control plane and one gateway on loopback, and the machines that are rented."""

    def __init__(self, server: RunpodServer, gateway: LeasingGateway) -> None:
        self.server = server
        self.source = gateway.source
        self.http = gateway.http
        self.mode = gateway.mode
        self.machines: list[RentedMachine] = []

    async def open(self, name: str = "sess_1", **spec: Any) -> Speaker:
        async with asyncio.timeout(60):
            return await self.mode.open(SessionSpec(name, "es", **spec))

    def add_machine(
        self, *, boot_s: float = 0.0, settings: WorkerSettings | None = None
    ) -> RentedMachine:
        machine = RentedMachine(self.server, make_engines, boot_s=boot_s, settings=settings)
        machine.start(f"w{len(self.machines) + 1}")
        self.machines.append(machine)
        return machine


def make_engines() -> Engines:
    return Engines(LoudnessVad(), FixedStt(), TellingLlm(), FixedTts())


@asynccontextmanager
async def running(folder: Path, **settings: Any) -> AsyncIterator[Fleet]:
    server = RunpodServer()
    await server.start()
    gateway = LeasingGateway(server, folder)
    await gateway.start(**settings)
    fleet = Fleet(server, gateway)
    try:
        yield fleet
    finally:
        await gateway.aclose()
        for machine in fleet.machines:
            await machine.crash()
        await gateway.close_door()
        await server.aclose()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.02)


async def test_a_session_asks_for_a_worker_and_talks_over_the_socket_it_dialled(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as fleet:
        fleet.add_machine()
        caller = Caller(await fleet.open())
        await caller.ask("hola")

        assert await caller.answer() == "Sé 1 cosas. hola"
        job = fleet.server.jobs["job-1"]
        assert job.status == "IN_PROGRESS"
        assert job.policy == {"executionTimeout": 14_460_000, "ttl": 14_640_000}
        assert "key" not in job.input
        await caller.aclose()


async def test_one_worker_serves_as_many_sessions_as_it_has_slots_and_no_more(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, max_workers=1) as fleet:
        fleet.add_machine()
        speakers = [await fleet.open(f"sess_{n}") for n in range(2)]
        assert len(fleet.server.jobs) == 1

        with pytest.raises(ModeUnavailable, match="full"):
            await fleet.open("sess_3")

        await speakers[0].aclose()
        again = await fleet.open("sess_4")  # the worker dials a fresh socket for the freed slot
        assert len(fleet.server.jobs) == 1
        await again.aclose()
        await speakers[1].aclose()


async def test_a_second_worker_is_asked_for_when_the_first_is_full(tmp_path: Path) -> None:
    async with running(tmp_path, slots=1, max_workers=2) as fleet:
        fleet.add_machine()
        fleet.add_machine()
        speakers = [await fleet.open(f"sess_{n}") for n in range(2)]
        assert len(fleet.server.jobs) == 2
        for speaker in speakers:
            await speaker.aclose()


async def test_a_cold_start_is_told_with_stages_and_what_history_lets_us_expect(
    tmp_path: Path,
) -> None:
    (tmp_path / "cold_starts.json").write_text(json.dumps({"cold": [4.0], "warm": []}))
    told: list[Json] = []
    async with running(tmp_path) as fleet:
        fleet.server.workers["initializing"] = 1
        fleet.add_machine(boot_s=1.5)
        speaker = await fleet.open(tell=told.append)

        stages = [event["stage"] for event in told]
        assert stages[0] == "leasing_worker"
        assert "loading_models" in stages
        assert told[0]["eta_ms"] == pytest.approx(4000, abs=300)
        guesses = [event["eta_ms"] for event in told if event["eta_ms"] is not None]
        assert guesses == sorted(guesses, reverse=True)
        await speaker.aclose()
    assert len(json.loads((tmp_path / "cold_starts.json").read_text())["cold"]) == 2


async def test_without_a_history_no_time_is_promised(tmp_path: Path) -> None:
    told: list[Json] = []
    async with running(tmp_path) as fleet:
        fleet.add_machine(boot_s=0.3)
        speaker = await fleet.open(tell=told.append)
        assert {event["eta_ms"] for event in told} == {None}
        await speaker.aclose()


async def test_patience_that_ends_leaves_the_worker_waking_for_the_next_session(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as fleet:
        with pytest.raises(ModeUnavailable) as refused:
            await fleet.open(patience_s=0.0)
        assert refused.value.code == "cold_budget_exceeded"

        fleet.add_machine()
        speaker = await fleet.open("sess_2")
        assert len(fleet.server.jobs) == 1
        await speaker.aclose()


async def test_a_job_that_fails_is_told_to_who_waits_and_another_is_asked_for(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as fleet:
        opening = asyncio.create_task(fleet.open())
        await until(lambda: bool(fleet.server.jobs))
        fleet.server.jobs["job-1"].status = "FAILED"
        fleet.server.queue.clear()
        await until(lambda: len(fleet.server.jobs) == 2)
        fleet.add_machine()
        await (await opening).aclose()


async def test_an_idle_worker_is_let_go_after_its_warm_time(tmp_path: Path) -> None:
    async with running(tmp_path, warm_s=0.5) as fleet:
        machine = fleet.add_machine()
        speaker = await fleet.open()
        await speaker.aclose()

        await until(lambda: fleet.server.jobs["job-1"].done.is_set())
        await until(lambda: bool(machine.returned))
        assert machine.returned == [{"reason": "ended", "sessions": 1}]
        # The machine's job ends before the gateway has heard of it and written it down.
        await until(lambda: json.loads((tmp_path / "leases.json").read_text()) == [])


async def test_jobs_of_a_gateway_that_crashed_are_cancelled_by_the_next(tmp_path: Path) -> None:
    async with running(tmp_path) as fleet:
        async with fleet.http.post(
            f"{fleet.server.api_url}/{ENDPOINT}/run",
            json={"input": {}},
            headers={"Authorization": f"Bearer {KEY}"},
        ) as response:
            orphan = (await response.json())["id"]
        (tmp_path / "leases.json").write_text(json.dumps([orphan, "job-gone"]))
        await fleet.source.aclose()
        fresh = RunpodWorkers(
            fleet.source._settings,
            fleet.source._api,
            LeaseBook(tmp_path / "leases.json"),
            ColdStarts(tmp_path / "cold_starts.json"),
            session_max_s=60,
            clock=asyncio.get_running_loop().time,
        )
        await fresh.start()
        await fresh.aclose()

        assert fleet.server.jobs[orphan].status == "CANCELLED"
        assert json.loads((tmp_path / "leases.json").read_text()) == []


async def test_a_worker_that_crashes_in_mid_answer_is_replaced_by_another_lease(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as fleet:
        first = fleet.add_machine()
        caller = Caller(await fleet.open())
        asked = "cuéntamelo todo. Con calma y muy despacio, por favor"
        await caller.ask(asked)
        await caller.until("response.output_audio.delta")
        fleet.add_machine()
        await first.crash()

        broken = await caller.until("response.done")
        assert broken["response"]["status_details"]["error"]["code"] == "worker_lost"
        assert await caller.answer() == "Perdone."
        assert await caller.answer() == f"Sé 1 cosas. {asked}"
        assert len(fleet.server.jobs) == 2
        await caller.aclose()


async def test_a_sessions_share_of_the_gpu_is_known_while_it_lives_and_after(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, usd_per_hour=3600.0) as fleet:
        fleet.mode = SelfHostedMode(fleet.source, excuse={"es": "Perdone."}, bills=True)
        fleet.add_machine()
        caller = Caller(await fleet.open())
        assert caller.speaker.info["capabilities"] == {"cost": True, "tools": False}
        await caller.ask("hola")
        await caller.until("response.done")
        live_usd = fleet.mode.spent_usd("sess_1")
        assert live_usd is not None
        assert 0 < live_usd < 5
        await caller.aclose()
        ended_usd = fleet.mode.spent_usd("sess_1")
        assert ended_usd is not None
        assert ended_usd >= live_usd  # what was given back costs nothing more, and is not free
        assert fleet.mode.spent_usd("sess_2") is None


async def test_a_worker_without_a_price_costs_a_session_nothing_and_says_so(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, usd_per_hour=0.0) as fleet:
        fleet.add_machine()
        caller = Caller(await fleet.open())
        assert caller.speaker.info["capabilities"] == {"cost": False, "tools": False}
        assert fleet.mode.spent_usd("sess_1") is None
        await caller.aclose()


async def test_the_door_opens_once_to_a_token_and_never_to_a_stranger(tmp_path: Path) -> None:
    async with running(tmp_path) as fleet:
        opening = asyncio.create_task(fleet.open())
        await until(lambda: bool(fleet.server.jobs))
        given = fleet.server.jobs["job-1"].input
        fleet.server.queue.clear()
        url = f"{given['gateway_ws']}?lease={given['lease_id']}"

        async def dial(credential: str, query: str = "") -> int:
            headers = {"Authorization": f"Bearer {credential}"}
            try:
                async with fleet.http.ws_connect(url + query, headers=headers) as socket:
                    await socket.receive()
            except aiohttp.WSServerHandshakeError as error:
                return error.status
            return 101

        assert await dial("wrong") == 401
        assert await dial(given["token"], "&slot=1") == 401
        assert await dial(given["token"]) == 101
        assert await dial(given["token"]) == 401
        opening.cancel()


async def test_a_refused_key_makes_the_mode_unavailable_with_the_remedy(tmp_path: Path) -> None:
    async with running(tmp_path) as fleet:
        fleet.server.refuse_with = 401
        with pytest.raises(ModeUnavailable, match="refuses the key"):
            await fleet.open()
        assert not fleet.mode.availability().available
        assert "RUNPOD_API_KEY" in fleet.mode.availability().remedy


async def test_the_minimum_of_the_hour_is_set_at_runpod(tmp_path: Path) -> None:
    always = {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}
    windows = [{**always, "start": "00:00", "end": "23:59:59", "workers": 3}]
    async with running(tmp_path, min_workers=windows) as fleet:
        await until(lambda: bool(fleet.server.minimums))
        assert fleet.server.minimums == [3]


async def test_a_rented_worker_hangs_its_stages_below_the_turn_of_a_traced_session(
    tmp_path: Path,
) -> None:
    async with collecting() as (collector, endpoint):
        settings = TracingSettings(enabled=True, endpoint=endpoint)
        tracing = Tracing(settings, "penny-gateway", None, asyncio.get_running_loop().time)
        async with running(tmp_path) as fleet:
            fleet.add_machine(settings=WorkerSettings(tracing=settings))
            plain = Caller(await fleet.open("sess_0"))  # not traced: `slot.open` and no more
            await plain.ask("hola")
            await plain.answer()
            await plain.aclose()
            trace = tracing.begin({})
            assert trace is not None
            caller = Caller(await fleet.open(trace=trace))
            await caller.ask("hola")
            await caller.answer()
            await caller.aclose()
            await collector.until(lambda: collector.named("tts"))
        await tracing.aclose()
        worker = [span for span in collector.spans if span.service == "penny-worker"]
        assert {"llm", "tts"} <= {span.name for span in worker}
        assert {span.trace_id for span in worker} == {trace.id}


async def test_a_traced_session_is_served_by_a_worker_that_does_not_trace(tmp_path: Path) -> None:
    settings = TracingSettings(enabled=True, endpoint="http://127.0.0.1:9/v1/traces")
    tracing = Tracing(settings, "penny-gateway", None, asyncio.get_running_loop().time)
    async with running(tmp_path) as fleet:
        fleet.add_machine()
        caller = Caller(await fleet.open(trace=tracing.begin({})))
        await caller.ask("hola")
        assert await caller.answer() == "Sé 1 cosas. hola"
        await caller.aclose()
    await tracing.aclose()


async def test_a_canary_is_answered_by_what_the_worker_is(tmp_path: Path) -> None:
    async with running(tmp_path) as fleet:
        fleet.add_machine()
        at = f"{fleet.server.api_url}/{ENDPOINT}"
        key = {"Authorization": f"Bearer {KEY}"}
        for given in ({"kind": "canary"}, {"kind": "lunch"}):
            async with fleet.http.post(f"{at}/run", json={"input": given}, headers=key):
                pass
        await until(lambda: all(job.done.is_set() for job in fleet.server.jobs.values()))
        canary, lunch = fleet.server.jobs.values()
        assert canary.status == "COMPLETED"
        assert canary.output["ready"] is True
        assert "engines" in canary.output["info"]
        assert (lunch.status, lunch.output.split(";")[0]) == ("FAILED", "input: not a lease")

        caller = Caller(await fleet.open())  # and the machine goes on taking jobs
        await caller.ask("hola")
        assert await caller.answer() == "Sé 1 cosas. hola"
        await caller.aclose()
