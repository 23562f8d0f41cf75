"""A caller at a speaker: sends Realtime events, reads what comes, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

from penny.session.mode import BringsAtOnce, Speaker


Json = dict[str, Any]


class Caller:
    """Reads a speaker's events in order and remembers them.

    Like a session it has them brought by a speaker that can, and reads on while nobody asks.
    """

    def __init__(self, speaker: Speaker) -> None:
        self.speaker = speaker
        self.events: list[Json] = []
        self._stream = cast(AsyncGenerator[Json, None], speaker.events())
        self.brought = 0
        self._came: asyncio.Queue[Json | Exception | None] = asyncio.Queue()
        self._listening: asyncio.Task[None] | None = None
        if isinstance(speaker, BringsAtOnce):
            speaker.bring_to(self._carry)
            self._listening = asyncio.create_task(self._listen(self._stream))
            self._stream = self._read()

    def _carry(self, event: Json) -> None:
        self.brought += 1
        self._came.put_nowait(event)

    async def _listen(self, events: AsyncGenerator[Json, None]) -> None:
        async with aclosing(events):
            try:
                async for event in events:
                    self._came.put_nowait(event)
            except Exception as error:
                self._came.put_nowait(error)
            else:
                self._came.put_nowait(None)

    async def _read(self) -> AsyncGenerator[Json, None]:
        while (event := await self._came.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event

    async def until(self, kind: str, **having: Any) -> Json:
        async with asyncio.timeout(30):
            async for event in self._stream:
                self.events.append(event)
                if event["type"] == kind and all(event[k] == v for k, v in having.items()):
                    return event
        raise AssertionError(f"the speaker ended before {kind}")

    async def ask(self, text: str) -> None:
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self.speaker.send({"type": "conversation.item.create", "item": item})
        await self.speaker.send({"type": "response.create"})

    async def answer(self) -> str:
        done = await self.until("response.done")
        assert done["response"]["status"] == "completed", done
        return str(done["response"]["output"][0]["content"][0]["transcript"])

    async def aclose(self) -> None:
        async with aclosing(self._stream):
            if self._listening is not None:
                self._listening.cancel()
                await asyncio.gather(self._listening, return_exceptions=True)
            await self.speaker.aclose()
