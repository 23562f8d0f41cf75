"""The vendors of ``bench-brain``, each kind in a process of its own.

    python -m tests.bench.brain_doubles speakers|brains

Lines of JSON: first out are the addresses by condition. The speakers then take
``{"condition", "words"}`` per turn and answer with its times, all by the system's monotonic clock:
``ended_s`` the end of the turn, ``audio_s`` when the first audio left, ``lag_ms`` how much later
than due that was (this process's own fault), ``arrived_s`` when each of the caller's frames came.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

from tests.doubles.anthropic_server import AnthropicDouble, folio
from tests.doubles.realtime_server import SILENT, Connection, RealtimeDouble


Json = dict[str, Any]

CONDITIONS = ("off", "on", "slow", "failing")
THINKS_S = 0.5
ANSWERS: dict[str, Json] = {
    "on": {"answer": folio("Consulta sobre factura"), "delay_s": 0.3},
    "slow": {"answer": folio("Consulta sobre factura"), "delay_s": 3.0},
    "failing": {"status": 529},
}


class SpeakerDesk:
    """One condition's speaker."""

    def __init__(self) -> None:
        self.double = RealtimeDouble()
        self.double.on_audio = self._note
        self._arrived_s: dict[str, float] = {}
        self._upstream: Connection | None = None

    def _note(self, event: Json) -> None:
        self._arrived_s[event["event_id"]] = time.monotonic()

    async def turn(self, words: str) -> Json:
        if self._upstream is None:
            self._upstream = await self.double.connection()
        upstream = self._upstream
        item_id = upstream.new_id("item_user")
        await upstream.speech_started(item_id)
        for word in words.split():
            await upstream.partial(item_id, f"{word} ")
        await asyncio.sleep(0.05)
        ended_s = time.monotonic()
        await upstream.end_turn(item_id)
        await upstream.final(item_id, words)
        await upstream.asked()
        due_s = time.monotonic() + THINKS_S
        await asyncio.sleep(THINKS_S)
        response_id, penny = upstream.active, upstream.new_id("item_penny")
        place: Json = {"response_id": response_id, "item_id": penny}
        place |= {"output_index": 0, "content_index": 0}
        audio_s = time.monotonic()
        await upstream.send("response.output_audio.delta", **place, delta=SILENT)
        await upstream.finish(response_id, "completed")
        arrived_s, self._arrived_s = self._arrived_s, {}
        lag_ms = (audio_s - due_s) * 1000
        return {"ended_s": ended_s, "audio_s": audio_s, "lag_ms": lag_ms, "arrived_s": arrived_s}


async def serve_speakers(stack: AsyncExitStack) -> None:
    desks = {name: SpeakerDesk() for name in CONDITIONS}
    for desk in desks.values():
        await stack.enter_async_context(desk.double)
    _say({name: desk.double.base_url for name, desk in desks.items()})
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        _say(await desks[order["condition"]].turn(order["words"]))


async def serve_brains(stack: AsyncExitStack) -> None:
    doubles = {name: AnthropicDouble() for name in CONDITIONS}
    for name, double in doubles.items():
        await stack.enter_async_context(double)
        for purpose in ("turn", "review"):
            double.on(purpose, times=None, **ANSWERS.get(name, {}))
    _say({name: double.base_url for name, double in doubles.items()})
    await asyncio.to_thread(sys.stdin.read)


def _say(message: Json) -> None:
    print(json.dumps(message), flush=True)


async def main() -> None:
    serve = {"speakers": serve_speakers, "brains": serve_brains}[sys.argv[1]]
    async with AsyncExitStack() as stack:
        await serve(stack)


if __name__ == "__main__":
    asyncio.run(main())
