"""`python -m penny analyse` as a process: bidden by a gateway, killed, asked why."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from penny.calls.store import CallStore
from penny.cli.main import main
from tests.penny.calls.calls import a_call, a_turn
from tests.penny.cli.test_analysis_models import HELD, MODEL, TOLD, Vendor, held


pytestmark = pytest.mark.process

WAIT_S = 400.0
"""A bound for a machine that does other things: starting takes five seconds of a processor."""
CALL = "sess_default_0"


async def a_house(folder: Path, calls: int) -> Path:
    """A configuration, and a database with so many calls; its path is beside the file."""
    config = folder / "penny.yaml"
    config.write_text(
        "calls: {url: 'sqlite:///calls.sqlite', folder: calls}\n"
        "analysis: {enabled: true, vectors: false, max_concurrent: 4}\n"
        "penny: {profile: embedded}\n"
    )
    store = CallStore(f"sqlite:///{folder / 'calls.sqlite'}")
    turns = [a_turn("no me funciona internet desde ayer"), a_turn("gracias, perfecto", number=2)]
    for number in range(calls):
        await store.put(a_call(number, turns=turns))
    await store.aclose()
    return config


async def begin(config: Path, *options: str) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "penny", "analyse", "--config", str(config), *options)
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)


def ask(config: Path, statement: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(config.parent / "calls.sqlite", timeout=30) as database:
        return database.execute(statement).fetchall()


async def until(config: Path, least: int) -> None:
    """Wait until so many calls are done."""
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                rows = ask(config, "SELECT count(*) FROM call_figures")
            except sqlite3.OperationalError:  # its tables are being made
                rows = [(0,)]
            if int(str(rows[0][0])) >= least:
                return
            await asyncio.sleep(0.05)


@pytest.mark.timeout(1200)
async def test_a_worker_that_is_killed_leaves_every_call_analysed_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = await a_house(tmp_path, 12)
    ask(config, "CREATE TABLE finished (call_id TEXT)")
    for name, when in (("once", "INSERT"), ("again", "UPDATE")):
        ask(
            config,
            f"CREATE TRIGGER {name} AFTER {when} ON call_figures BEGIN"
            " INSERT INTO finished VALUES (new.call_id); END",
        )
    killed = await begin(config, "--bidden")
    assert killed.stdin is not None
    killed.stdin.write(b"go\n")
    await until(config, 2)
    killed.send_signal(signal.SIGKILL)
    await killed.wait()
    ask(config, "UPDATE analysis_jobs SET due_ms = 0")  # its leases are over
    worker = await begin(config, "--bidden")
    assert worker.stdin is not None
    worker.stdin.write(b"hold\ngo\n")
    await until(config, 12)
    worker.stdin.close()  # its gateway is gone
    async with asyncio.timeout(WAIT_S):
        assert await worker.wait() == 0
    assert ask(config, "SELECT state, count(*) FROM analysis_jobs GROUP BY state") == [
        ("completed", 12)
    ]
    assert ask(config, "SELECT count(*), count(DISTINCT call_id) FROM finished") == [(12, 12)]
    await asyncio.to_thread(main, ["analyse", "--config", str(config), "--explain", CALL])
    told = capfd.readouterr().out
    assert f"{CALL}: completed" in told
    assert "transcript v1: skipped (its sound is not kept)" in told


async def test_the_command_gives_public_calls_alone_to_the_brains_model(tmp_path: Path) -> None:
    config = await a_house(tmp_path, 1)
    store = CallStore(f"sqlite:///{tmp_path / 'calls.sqlite'}")
    answered = [a_turn(heard="El quince de diciembre.")]
    await store.put(a_call(5, modes=["EXTERNAL"], turns=answered))
    await store.aclose()
    async with Vendor() as vendor:
        vendor.on("understanding", answer=TOLD)
        external = {"enabled": True, "cerebro_model": MODEL, "cerebro_base_url": vendor.base_url}
        told = config.read_text().replace("enabled: true, v", "enabled: true, model: any, v")
        modes = json.dumps({"EXTERNAL": external})
        config.write_text(told.replace("profile: embedded", f"profile: embedded, modes: {modes}"))
        worker = await begin(config, "--unprocessed")
        async with asyncio.timeout(WAIT_S):
            assert await worker.wait() == 0
        vendor.check()
        assert len(vendor.requests) == 1
    rows = ask(config, "SELECT id, json_extract(record, '$.derived') FROM calls ORDER BY id")
    private, public = (json.loads(str(derived)) for _, derived in rows)
    assert held(public) == HELD
    assert public["model"]["engine"] == MODEL
    assert private["steps"]["model"]["state"] == "skipped"
