"""A caller at a speaker: sends Realtime events, reads what comes, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

from penny.session.mode import Speaker


Json = dict[str, Any]


class Caller:
    """Reads a speaker's events in order and remembers them."""

    def __init__(self, speaker: Speaker) -> None:
        self.speaker = speaker
        self.events: list[Json] = []
        self._stream = cast(AsyncGenerator[Json, None], speaker.events())

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
            await self.speaker.aclose()
