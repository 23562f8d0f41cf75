"""A gateway that is killed, a database that is away, a disk that is full: what is kept of calls."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import soundfile

from penny.calls.database import StoreUnavailable
from penny.calls.keeper import UNREADABLE, CallKeeper, Retention
from penny.calls.notice import Consent
from penny.calls.query import CallQuery
from penny.calls.record import Call
from penny.calls.recorder import CallRecorder
from penny.calls.shelf import Shelf
from penny.calls.spool import read_log
from penny.calls.store import CallStore
from penny.session.turn_recorder import TurnRecorder
from tests.penny.calls.test_sound import tone


pytestmark = pytest.mark.process

CALLS = 5
KILLS = int(os.environ.get("PENNY_KILLS", "10"))
"""Twenty in `make test-kept-calls`, the bar."""
TALKER = """
import asyncio, sys, time
from pathlib import Path
from tests.faults.test_kept_calls import talk_for_ever
asyncio.run(talk_for_ever(Path(sys.argv[1])))
"""


@asynccontextmanager
async def keeper_of(folder: Path) -> AsyncIterator[CallKeeper]:
    """A started keeper; closed with its store whatever a test finds, so no other test pays."""
    store = CallStore(f"sqlite:///{folder / 'calls.sqlite'}")
    shelf = Shelf(folder / "sound")
    keeper = CallKeeper(store, shelf, folder, lambda _: Retention(None, None), lambda: 1.8e9)
    await keeper.start()
    async with aclosing(keeper):
        yield keeper


class Talk:
    """A live call of 100 ms turns: each says so on stdout once it is over."""

    def __init__(self, keeper: CallKeeper, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        started_s = self._loop.time()
        self.spooled = keeper.spool.begin(name)
        self.turns = TurnRecorder(started_s)
        header = {"id": name, "tenant": "default", "edge": "socket", "mode": "SELF_HOSTED"}
        self.recorder = CallRecorder(
            self.spooled, header, started_s, {}, lambda: 1.8e9, consent=Consent("on"),
            on_ended=lambda: None,
        )  # fmt: skip
        self.turns.add_reader(self.recorder)

    def say(self, number: int) -> None:
        """A typed turn with 100 ms of the caller's sound."""
        now_s = self._loop.time()
        content = [{"type": "input_text", "text": f"turno {number}"}]
        item = {"id": f"item_{number}", "type": "message", "role": "user", "content": content}
        create = {"type": "conversation.item.create", "item": item}
        append = {"type": "input_audio_buffer.append", "audio": tone(100, 100)}
        for event in (create, append):
            self.turns.caller_event(event, now_s)
            self.recorder.caller_event(event, now_s)
        self.turns.speaker_event({"type": "conversation.item.added", "item": item}, now_s)

    def end(self) -> None:
        now_s = self._loop.time()
        self.turns.ended("client_ended", now_s)
        self.recorder.ended("client_ended", now_s)


async def talk_for_ever(folder: Path) -> None:
    """Five calls at once, in a process that somebody kills."""
    async with keeper_of(folder) as keeper:
        talks = [Talk(keeper, f"sess_{os.getpid()}_{number}") for number in range(CALLS)]
        number = 0
        while True:
            number += 1
            for talk in talks:
                talk.say(number)
            print(number, flush=True)
            await asyncio.sleep(0.1)


async def talk_until_killed(folder: Path, seconds: float) -> tuple[int, int]:
    """(process, turns that each of its calls had begun when it was killed)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", TALKER, str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    spoken = 0
    while not spoken:
        spoken = _count(await process.stdout.readline())
    kill = asyncio.get_running_loop().call_later(seconds, process.send_signal, signal.SIGKILL)
    while line := await process.stdout.readline():
        spoken = max(spoken, _count(line))
    kill.cancel()
    await process.wait()
    return process.pid, spoken


def _count(line: bytes) -> int:
    """The number in a line of a talker's; 0 where it is one of the log."""
    return int(line) if line.strip().isdigit() else 0


@pytest.mark.timeout(600)
async def test_what_a_killed_gateway_had_of_its_calls_is_kept(tmp_path: Path) -> None:
    chance = random.Random(7)
    told: dict[int, int] = {}
    for _ in range(KILLS // 5):
        moments = [chance.uniform(1, 3) for _ in range(5)]
        told |= dict(await asyncio.gather(*(talk_until_killed(tmp_path, s) for s in moments)))
    async with keeper_of(tmp_path):
        pass  # a keeper that closes at once keeps what it found first
    async with keeper_of(tmp_path) as keeper:
        store = keeper.store
        found, _ = await store.find(None, CallQuery(limit=500))
        async with asyncio.timeout(120):  # what the first had no time for is taken up by this one
            while len(found) < KILLS * CALLS:
                await asyncio.sleep(0.05)
                found, _ = await store.find(None, CallQuery(limit=500))
        assert len(found) == KILLS * CALLS
        assert {row["status"] for row in found} == {"interrupted"}
        for row in found:
            call = await store.get(None, row["id"])
            assert call is not None
            spoken = told[int(call.id.split("_")[1])]
            # A turn is finished when the next begins, and on the disk a flush later.
            numbers = [int((turn.words or "0").split()[-1]) for turn in call.turns]
            assert numbers == list(range(1, len(numbers) + 1))
            assert len(numbers) >= spoken - 14
            lost_ms = spoken * 100 - call.sound["duration_ms"]
            assert lost_ms <= 1000
            path = keeper.shelf.folder / call.sound["path"]
            assert soundfile.info(path).frames > 0
    assert not list((tmp_path / "spool").glob("*/sess_*"))


@pytest.mark.timeout(600)
async def test_calls_follow_in_order_when_the_database_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeper_of(tmp_path) as keeper:
        put = keeper.store.put
        order: list[str] = []

        async def away(*_: object) -> None:
            raise StoreUnavailable("the database is away")

        monkeypatch.setattr(keeper.store, "put", away)
        monkeypatch.setattr("penny.calls.keeper.RETRY_S", (0.05,))
        names = [f"sess_{number:03}" for number in range(200)]
        for name in names:
            talk = Talk(keeper, name)
            talk.say(1)
            talk.end()
        async with asyncio.timeout(200):
            while keeper.waiting < 200 or not keeper.fault:
                await asyncio.sleep(0.05)
        assert keeper.fault == "the database is away"

        async def back(call: Call, *more: Any) -> None:
            order.append(call.id)
            await put(call, *more)

        monkeypatch.setattr(keeper.store, "put", back)
        async with asyncio.timeout(400):
            while keeper.kept < 200:
                await asyncio.sleep(0.05)
        assert (order, keeper.waiting, keeper.fault) == (names, 0, "")
        found, _ = await keeper.store.find(None, CallQuery(limit=500))
        assert len(found) == 200
    assert not list((tmp_path / "spool").glob("*/sess_*"))


async def test_a_full_disk_loses_what_comes_and_harms_nothing_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeper_of(tmp_path) as keeper:
        talk = Talk(keeper, "sess_full")
        number = 0
        async with asyncio.timeout(200):
            while not any("turno 2" in str(line) for line in read_log(talk.spooled.folder)):
                number += 1
                talk.say(number)
                await asyncio.sleep(0.05)
        write = os.write

        def full(file: int, data: bytes) -> int:
            if file > 2:
                write(file, bytes(data)[: len(data) // 2])
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(file, data)

        monkeypatch.setattr("penny.calls.spool.os.write", full)
        talk.say(number + 1)
        async with asyncio.timeout(60):
            while not keeper.spool.fault:
                await asyncio.sleep(0.05)
        assert keeper.spool.fault == "No space left on device"
        monkeypatch.setattr("penny.calls.spool.os.write", write)
        talk.say(number + 2)
        talk.end()
        async with asyncio.timeout(60):
            while keeper.kept < 1:
                await asyncio.sleep(0.05)
        assert keeper.spool.fault == ""
        call = await keeper.store.get(None, "sess_full")
        assert call is not None
        assert [turn.words for turn in call.turns][:2] == ["turno 1", "turno 2"]
        assert call.turns[-1].words == f"turno {number + 2}"


async def test_lines_that_make_no_call_are_set_aside_and_the_next_call_is_kept(
    tmp_path: Path,
) -> None:
    left = tmp_path / "spool" / "proc_0" / "sess_other"
    left.mkdir(parents=True)
    (left / "log.jsonl").write_text('{"kind":"call","call":{"id":"sess_other"}}\n')
    async with keeper_of(tmp_path) as keeper:
        talk = Talk(keeper, "sess_ours")
        talk.say(1)
        talk.end()
    async with keeper_of(tmp_path) as keeper:
        found, _ = await keeper.store.find(None, CallQuery())
    assert [row["id"] for row in found] == ["sess_ours"]
    assert [each.name for each in (tmp_path / UNREADABLE).iterdir()] == ["sess_other"]
