"""The real SDK: its worker loop takes our jobs, its client asks our handler. No key is needed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.doubles.process import ROOT
from tests.doubles.runpod_server import ENDPOINT, KEY, RunpodServer
from tests.doubles.speaker_caller import Caller
from tests.modes.self_hosted.runpod.test_source import Fleet, running, until


PYTHON = os.environ["PENNY_RUNPOD_PYTHON"]
pytestmark = pytest.mark.process


@contextmanager
def sdk_worker(server: RunpodServer, name: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/tmp")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [PYTHON, "-m", "tests.runpod_sdk.worker"],
            cwd=ROOT,
            env={**environment, **server.worker_environment(name)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # the SDK's ping is a process of its own
        process.wait()


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with running(tmp_path, warm_s=60, max_workers=3) as fleet:
        yield fleet


async def test_a_session_is_served_by_the_sdks_worker_and_its_job_is_cancelled_at_the_end(
    fleet: Fleet, tmp_path: Path
) -> None:
    with sdk_worker(fleet.server, "w1", tmp_path / "w1.log"):
        caller = Caller(await fleet.open())
        await caller.ask("hola")
        assert await caller.answer() == "Sé 1 cosas. hola"
        await caller.aclose()
        await until(lambda: fleet.server.pings > 0)
        await fleet.source.aclose()
        assert fleet.server.jobs["job-1"].status == "CANCELLED"


async def test_two_sessions_share_one_lease(fleet: Fleet, tmp_path: Path) -> None:
    with sdk_worker(fleet.server, "w1", tmp_path / "w1.log"):
        speakers = [await fleet.open(f"sess_{n}") for n in range(2)]
        callers = [Caller(speaker) for speaker in speakers]
        for number, caller in enumerate(callers):
            await caller.ask(f"soy {number}")
        answers = [await caller.answer() for caller in callers]
        assert answers == ["Sé 1 cosas. soy 0", "Sé 1 cosas. soy 1"]
        assert len(fleet.server.jobs) == 1
        for caller in callers:
            await caller.aclose()


async def test_a_killed_worker_is_replaced_by_another_in_mid_answer(
    fleet: Fleet, tmp_path: Path
) -> None:
    with (
        sdk_worker(fleet.server, "w1", tmp_path / "w1.log") as first,
        sdk_worker(fleet.server, "w2", tmp_path / "w2.log") as second,
    ):
        caller = Caller(await fleet.open())
        await caller.ask("cuéntamelo despacio y con todo detalle, que no hay prisa")
        await caller.until("response.output_audio.delta")
        holder = first if fleet.server.jobs["job-1"].worker == "w1" else second
        os.kill(holder.pid, signal.SIGKILL)

        broken = await caller.until("response.done")
        assert broken["response"]["status_details"]["error"]["code"] == "worker_lost"
        assert await caller.answer() == "Perdone."
        assert (
            await caller.answer()
            == "Sé 1 cosas. cuéntamelo despacio y con todo detalle, que no hay prisa"
        )
        await caller.aclose()


async def test_a_cancelled_job_ends_its_sessions_and_the_worker_takes_the_next(
    fleet: Fleet, tmp_path: Path
) -> None:
    with sdk_worker(fleet.server, "w1", tmp_path / "w1.log"):
        caller = Caller(await fleet.open())
        await caller.ask("hola")
        await caller.answer()
        headers = {"Authorization": f"Bearer {KEY}"}
        url = f"{fleet.server.api_url}/{ENDPOINT}/cancel/job-1"
        async with fleet.http.post(url, headers=headers) as response:
            assert response.status == 200

        await caller.until("penny.warning")
        await caller.ask("¿sigues?")
        assert await caller.answer() == "Sé 2 cosas. hola. ¿sigues?"
        assert fleet.server.jobs["job-2"].worker == "w1"
        await caller.aclose()


async def test_the_sdks_client_gets_canaries_answered_and_nonsense_refused(
    fleet: Fleet, tmp_path: Path
) -> None:
    asking = (
        f"import runpod; runpod.api_key = '{KEY}'; e = runpod.Endpoint('{ENDPOINT}'); "
        "print(e.run_sync({'kind': 'canary'}, timeout=30)['ready']); "
        "print(e.run_sync({'kind': 'lease'}, timeout=30)); print(e.health()['workers'])"
    )
    with sdk_worker(fleet.server, "w1", tmp_path / "w1.log"):
        process = await asyncio.create_subprocess_exec(
            PYTHON,
            "-c",
            asking,
            env={**os.environ, "RUNPOD_ENDPOINT_BASE_URL": fleet.server.api_url},
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
    ready, refused, health = output.decode().splitlines()
    assert ready == "True"
    assert "wrong or missing: gateway_ws, lease_id, token, slots" in refused
    assert "throttled" in health


async def test_a_worker_whose_engines_do_not_load_never_takes_a_job(
    fleet: Fleet, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        **fleet.server.worker_environment("w1"),
        "PENNY_WORKER_SETTINGS": '{"choice": {"tts": "unheard-of"}}',
    }
    process = await asyncio.create_subprocess_exec(
        PYTHON,
        "-m",
        "runpod_worker.handler",
        env=environment,
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert errors.decode().strip().startswith("PENNY_WORKER_SETTINGS: choice.tts: Input should be")
