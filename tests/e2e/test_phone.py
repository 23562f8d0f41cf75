"""A telephone call from the rendered dialplan to a real Penny with real embedded engines.

The caller's interruption is a recording of a person where there are some, else eSpeak NG.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from penny.audio.resample import Resampler
from penny.telephony.store import TelephonyStore
from tests.bench.pipeline.speech import made, recorded
from tests.doubles.dialplan import Channel, Dialplan
from tests.doubles.operator import OPERATOR
from tests.doubles.speech import silence, speak


pytestmark = [pytest.mark.engines, pytest.mark.process, pytest.mark.timeout(300)]

Json = dict[str, Any]
NUMBER = "+5255123456"
QUESTION = "quiero domiciliar los recibos en el banco"
"""One of the documents' own that the embedded ears tell from the others in a telephone's band too;
some they do not."""
WAIT_S = 90.0
FRAME_MS = 20


@pytest.fixture
async def call(penny_url: str, phones: TelephonyStore) -> AsyncIterator[Channel]:
    async with aiohttp.ClientSession() as http:
        plan = Dialplan(phones.files, http, {"127.0.0.1:8080": penny_url.removeprefix("http://")})
        for _ in range(60):  # until the worker is there, callers are sent to the person
            channel = Channel("+34600123456")
            running = asyncio.create_task(plan.call("penny-fxo-1", NUMBER, channel))
            connected = asyncio.create_task(channel.connected.wait())
            await asyncio.wait({running, connected}, return_when=asyncio.FIRST_COMPLETED)
            connected.cancel()
            if channel.connected.is_set():
                break
            await asyncio.sleep(0.5)
        assert channel.connected.is_set(), channel.done
        yield channel
        channel.is_gone = True
        hanging = channel.peer.hang_up()
        if hanging is not None:
            await hanging
        await running


def at_8k(pcm24k: bytes) -> bytes:
    resampler = Resampler(24_000, 8_000)
    return resampler.process(pcm24k) + resampler.flush()


async def test_a_caller_is_answered_and_stops_the_answer_by_speaking(
    call: Channel, penny_url: str
) -> None:
    peer = call.peer
    await peer.until_loud(25, WAIT_S)  # who answers tells that it is a machine
    await peer.until_quiet(1.0, WAIT_S)
    opening = len(peer.loud())
    peer.say(at_8k(silence(500) + speak(QUESTION) + silence(1500)))
    await peer.until_loud(opening + 50, WAIT_S)  # a second of the answer
    people = recorded(8_000)
    peer.say(b"".join((people or made(8_000))[0].chunks))
    while peer.is_talking:
        await asyncio.sleep(0.01)
    before = len(peer.loud())
    await peer.until_quiet(0.6, WAIT_S)
    # It said no whole answer after the words: sound is counted, not how long a busy machine took.
    assert (len(peer.loud()) - before) * FRAME_MS < 5000
    call.is_gone = True
    hanging = peer.hang_up()
    if hanging is not None:
        await hanging
    async with aiohttp.ClientSession(headers=OPERATOR) as http, asyncio.timeout(WAIT_S):
        while True:
            async with http.get(f"{penny_url}/v1/calls?edge=phone") as told:
                found = (await told.json())["calls"]
            if found:
                break
            await asyncio.sleep(0.1)
        async with http.get(f"{penny_url}/v1/calls/{found[0]['id']}") as told:
            kept = await told.json()
    assert (kept["edge"], kept["caller"]) == ("phone", "+34600123456")
    first = next(turn for turn in kept["turns"] if turn["words"])
    assert first["words"] == QUESTION
    assert first["is_interrupted"]
    assert first["heard_text"]  # part of an answer: what was heard when the caller spoke over it
