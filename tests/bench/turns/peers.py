"""The same calls through LiveKit agents and pipecat: in real time, scored from the same sound.

A peer's engines are those of the pipeline bench; what its recogniser writes and its model answers
is told to it before the call. The caller plays what comes at once, and stops where the peer says.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from penny.audio.resample import Resampler
from tests.bench.pipeline import parts
from tests.bench.pipeline.__main__ import PEER, SYSTEMS, server
from tests.bench.pipeline.calls import CLOSE
from tests.bench.turns.calls import Heard, Script
from tests.bench.turns.cells import Score, Trial
from tests.bench.turns.sounds import RATE_HZ, TICK_MS


PEERS = [name for name, system in SYSTEMS.items() if system.detection is None]
AT_ONCE = 8
"""Calls at a time: what two cores carry with a turn model for each."""
LINE_HZ = 16_000
TICK_BYTES = LINE_HZ * 2 * TICK_MS // 1000


def measure_peer(name: str, trials: Sequence[Trial], python: Path = PEER) -> list[Score]:
    """All trials of one cell with one peer."""
    with server(python, *SYSTEMS[name].server) as port:
        return asyncio.run(_measure(f"ws://127.0.0.1:{port}/", trials))


async def _measure(url: str, trials: Sequence[Trial]) -> list[Score]:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(index: int, trial: Trial) -> Score:
        async with places:
            await asyncio.sleep(index % AT_ONCE * 0.37)
            return trial.judge(await call(url, trial.script))

    return await asyncio.gather(*(one(index, trial) for index, trial in enumerate(trials)))


async def call(url: str, script: Script) -> Heard:
    """The script's line in real time; what came back, tick by tick."""
    to_line = Resampler(RATE_HZ, LINE_HZ)
    spoken = script.line.clip(-32768, 32767).astype("<i2").tobytes()
    line = to_line.process(spoken) + to_line.flush()
    heard, queue = Heard(), bytearray()
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(url, max_msg_size=0, timeout=CLOSE) as socket,
    ):
        words = [[word.end_s, word.text] for word in script.words]
        await socket.send_str(json.dumps({"answer": script.answer, "words": words}))
        playing = asyncio.create_task(_play(socket, queue), name="loudspeaker")
        began_s = time.perf_counter()
        for index, at in enumerate(range(0, len(line), TICK_BYTES)):
            await asyncio.sleep(began_s + (index + 1) * TICK_MS / 1000 - time.perf_counter())
            await socket.send_bytes(line[at : at + TICK_BYTES])
            heard.agent.append(parts.is_loud(bytes(queue[:TICK_BYTES])))
            del queue[:TICK_BYTES]
        playing.cancel()
    return heard


async def _play(socket: aiohttp.ClientWebSocketResponse, queue: bytearray) -> None:
    async for message in socket:
        if message.type is aiohttp.WSMsgType.BINARY:
            queue += message.data
        elif message.type is aiohttp.WSMsgType.TEXT:
            queue.clear()
