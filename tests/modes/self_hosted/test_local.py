"""The local worker's way from the embedded engines to the natural ones, with real processes."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from config.schema import Config
from modes.self_hosted.local import LocalWorker
from modes.self_hosted.natural import LIGHT, NaturalProfile, choose_refusal
from penny.session.mode import SessionSpec
from runpod_worker.machine import Machine
from runpod_worker.weights.wheels import WeightsUnavailable


pytestmark = pytest.mark.process


WORKER = (sys.executable, "-m", "tests.doubles.announcing_worker")
BIG = Machine(cores=4, free_bytes=8_000_000_000, vectors=True)
SMALL = Machine(cores=1, free_bytes=8_000_000_000, vectors=True)
SPEC = SessionSpec("sess_1", "es")


class Weights(NaturalProfile):
    """The natural profile of a big machine, whose weights come when the test says so."""

    def __init__(self, *, here: bool = False, machine: Machine = BIG) -> None:
        super().__init__(Config(), {}, machine)
        self.here = here
        self.came: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def is_here(self) -> bool:
        return self.here

    async def bring(self) -> None:
        await self.came


async def until_profile(worker: LocalWorker, profile: str) -> None:
    while not (worker.profile == profile and worker.availability().available):
        await asyncio.sleep(0.01)


async def profile_of_session(worker: LocalWorker) -> object:
    place = await worker.acquire(SPEC)
    await place.connection.close()
    await place.release()
    return place.info["profile"]


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.process
async def test_embedded_answers_until_natural_is_loaded_and_ends_with_its_last_session() -> None:
    natural = Weights()
    worker = LocalWorker(None, None, start_timeout_s=120, natural=natural, command=WORKER)
    await worker.start()
    early = await worker.acquire(SPEC)
    first = worker.pid
    assert first is not None
    assert early.info == {"profile": "embedded"}
    told = "embedded while natural loads (4 cores, 8.0 GB of memory free): 208 MB from the"
    assert worker.describe_engines().startswith(told)

    natural.came.set_result(None)
    await until_profile(worker, "natural")
    late = await worker.acquire(SPEC)

    assert late.info == {"profile": "natural"}
    assert "Apache-2.0" in worker.describe_engines()
    assert early.connection.close_code is None
    assert is_alive(first)
    await early.connection.close()
    await early.release()
    while is_alive(first):
        await asyncio.sleep(0.01)
    assert late.connection.close_code is None
    await late.connection.close()
    await worker.aclose()
    assert worker.pid is None


@pytest.mark.process
async def test_weights_that_are_here_are_loaded_first() -> None:
    natural = Weights(here=True)
    worker = LocalWorker(None, None, start_timeout_s=120, natural=natural, command=WORKER)
    await worker.start()

    assert worker.profile == "natural"
    assert worker.availability().available
    await worker.aclose()


@pytest.mark.process
async def test_weights_that_do_not_come_are_told_once_and_embedded_stays() -> None:
    natural = Weights()
    worker = LocalWorker(None, None, start_timeout_s=120, natural=natural, command=WORKER)
    with capture_logs() as logs:
        await worker.start()
        natural.came.set_exception(WeightsUnavailable("no such wheel"))
        while not any(entry["event"] == "natural_unavailable" for entry in logs):
            await asyncio.sleep(0.01)

        assert await profile_of_session(worker) == "embedded"
        await worker.aclose()

    told = [entry for entry in logs if entry["event"] == "natural_unavailable"]
    assert [entry["reason"] for entry in told] == ["no such wheel"]


@pytest.mark.process
@pytest.mark.parametrize("here", [True, False])
async def test_natural_engines_that_do_not_load_leave_the_embedded_ones(
    monkeypatch: pytest.MonkeyPatch, here: bool
) -> None:
    monkeypatch.setitem(os.environ, "TEST_BROKEN_PROFILE", "natural")
    natural = Weights(here=here)
    natural.came.set_result(None)
    worker = LocalWorker(None, None, start_timeout_s=120, natural=natural, command=WORKER)
    with capture_logs() as logs:
        await worker.start()
        while not any(entry["event"] == "natural_unavailable" for entry in logs):
            await asyncio.sleep(0.01)

        assert await profile_of_session(worker) == "embedded"
    await worker.aclose()


@pytest.mark.process
async def test_a_small_machine_has_no_other_profile() -> None:
    natural = Weights(here=True, machine=SMALL)
    worker = LocalWorker(None, None, start_timeout_s=120, natural=natural, command=WORKER)
    await worker.start()

    assert worker.profile == "embedded"
    assert worker.describe_engines() == "embedded, not natural: 1 core, and it wants 2"
    await worker.aclose()


def test_auto_is_natural_where_nothing_speaks_against_it() -> None:
    chosen = Config.model_validate({"penny": {"profile": "embedded"}})

    assert choose_refusal(Config(), {}, BIG) == ""
    assert choose_refusal(Config(), {LIGHT: ""}, BIG) == ""
    assert choose_refusal(Config(), {LIGHT: "1"}, BIG) == "PENNY_LIGHT is set"
    assert choose_refusal(Config(), {}, SMALL) == "1 core, and it wants 2"
    assert choose_refusal(chosen, {}, BIG) == "penny.profile is embedded"
