"""Nothing is left behind: not by thousands of short sessions, not by one of two hours."""

from __future__ import annotations

import asyncio
import gc
import os
from base64 import b64encode
from pathlib import Path
from typing import Any, cast

import aiohttp
import psutil
import pytest

from config.trust import ResumeSection
from penny.aio.websocket import SocketConnection, SocketReceiver
from penny.edges.socket.edge import SocketEdge
from penny.protocol.session import AudioFormats, StreamFormat
from penny.session.session import Session, SessionLimits
from tests.doubles.caller import calling
from tests.doubles.parties import ScriptedSpeaker
from tests.doubles.processes import gateway_process, worker_process


pytestmark = pytest.mark.process


Json = dict[str, Any]

SESSIONS = int(os.environ.get("PENNY_LEAK_SESSIONS", "2000"))
WARM_UP = int(os.environ.get("PENNY_LEAK_WARM_UP", "300"))
"""Memory grows for some 14,000 short sessions, by 16 MiB, and then no more: ``make soak`` warms up
for as many."""
AT_ONCE = 10
MEMORY_SLACK_BYTES = 12 * 1024 * 1024
"""Allocator noise; a session that left only its sent log behind would show as ten times that."""


async def hold_sessions(url: str, count: int) -> None:
    left = iter(range(count))

    async def caller() -> None:
        for number in left:
            async with calling(url) as client:
                await client.send("session_start")
                await client.until("session_started")
                if number % 3 == 0:
                    client.vanish()  # its session waits for it, in vain
                    continue
                await client.socket.send_bytes(bytes(960))
                await client.send("session_end")
                await client.until("session_ended")

    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))


async def read_gauge(url: str, name: str) -> float:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as metrics:
        for line in (await metrics.text()).splitlines():
            if line.startswith((f"{name} ", f"{name}{{")):
                return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"{name} is no metric")


async def settle(url: str, tasks: float) -> float:
    """The tasks left once the sessions of vanished callers have ended."""
    async with asyncio.timeout(60):
        while True:
            live = await read_gauge(url, "penny_sessions")
            left = await read_gauge(url, "penny_tasks")
            if not live and (not tasks or left <= tasks):
                return left
            await asyncio.sleep(0.1)


@pytest.mark.process
@pytest.mark.timeout(900)
async def test_thousands_of_short_sessions_leave_memory_tasks_and_descriptors_alone(
    tmp_path: Path,
) -> None:
    sections: Json = {"resume": {"hold_s": 0.2}, "logs": {"level": "warning", "format": "json"}}
    async with worker_process(tmp_path) as worker:
        sections["gateway"] = {"max_sessions": 1000}
        async with gateway_process(tmp_path, worker.port, **sections) as gateway:
            process = psutil.Process(gateway.process.pid)
            await hold_sessions(gateway.url, WARM_UP)
            tasks = await settle(gateway.url, 0)
            memory, files = process.memory_info().rss, process.num_fds()

            await hold_sessions(gateway.url, SESSIONS)
            await settle(gateway.url, tasks)
            grown = process.memory_info().rss - memory
            print(f"{SESSIONS} sessions: memory {grown / 1024:+.0f} KiB, tasks {tasks:.0f}")
            assert grown < MEMORY_SLACK_BYTES
            async with asyncio.timeout(60):  # a socket that was closed last is given back later
                while process.num_fds() > files:
                    await asyncio.sleep(0.1)
            assert "error" not in gateway.log


class VirtualSocket:
    """All of a connection that an edge uses: it takes everything at once."""

    is_full = False
    is_open = True
    close_code: int | None = None

    def __init__(self) -> None:
        self.texts = self.frames = 0

    def start(self, receiver: SocketReceiver) -> None:
        self.say = receiver.on_message

    def slow_down(self, rest_s: float = 0.0) -> None:
        """It is never paused."""

    def send_text(self, _data: bytes) -> None:
        self.texts += 1

    def send_binary(self, _data: bytes) -> None:
        self.frames += 1

    def begin_close(self, code: int, _reason: str = "") -> None:
        self.is_open, self.close_code = False, code


def answer(number: int) -> list[Json]:
    """The speaker's events of one spoken answer: two seconds of audio."""
    item, response = f"item_{number}", f"resp_{number}"
    names = {"item_id": item, "response_id": response, "content_index": 0}
    audio = b64encode(bytes(48_000 * 2)).decode()
    done = {"id": response, "status": "completed", "output": [{"id": item}]}
    return [
        {"type": "input_audio_buffer.speech_started", "item_id": f"u{number}", "audio_start_ms": 0},
        {"type": "input_audio_buffer.speech_stopped", "item_id": f"u{number}", "audio_end_ms": 9},
        {"type": "response.created", "response": {"id": response}},
        {"type": "response.output_audio_transcript.delta", "delta": "Buenas tardes.", **names},
        {"type": "response.output_audio.delta", "delta": audio, **names},
        {"type": "response.output_audio.done", **names},
        {"type": "response.done", "response": done},
    ]


@pytest.mark.slow
@pytest.mark.virtual_time
async def test_a_call_of_two_hours_leaves_no_more_behind_than_one_of_ten_minutes() -> None:
    loop = asyncio.get_running_loop()
    socket = VirtualSocket()
    pcm = StreamFormat(encoding="pcm16", rate_hz=24000)
    edge = SocketEdge(
        cast(SocketConnection, socket),
        AudioFormats(input=pcm, output=pcm),
        clock=loop.time,
        hold=ResumeSection(hold_s=30.0, max_audio_bytes=200_000),
    )
    speaker = ScriptedSpeaker()
    limits = SessionLimits(max_s=8000, idle_s=300)
    session = Session("sess_1", "SCRIPTED", edge, speaker, (), limits, loop.time)
    running = asyncio.create_task(session.run(), name="session")
    await asyncio.sleep(0)
    loop_tasks, counts = len(asyncio.all_tasks()), []
    for number in range(360):
        for event in answer(number):
            speaker.says.try_send(event)
        for _ in range(40):
            socket.say(bytes(24_000))
            await asyncio.sleep(0.5)
        speaker.sent.clear()
        if number in (29, 359):
            gc.collect()
            counts.append(len(gc.get_objects()))
            assert len(asyncio.all_tasks()) == loop_tasks
    assert loop.time() == pytest.approx(7200, abs=1)
    assert socket.frames == 360 * 100
    socket.say('{"type":"session_end"}')
    assert await running == "client_ended"
    assert socket.close_code == 1000
    # What is remembered on purpose: the last sent texts, and 512 items and responses of turns.
    assert counts[1] - counts[0] < 6_000
