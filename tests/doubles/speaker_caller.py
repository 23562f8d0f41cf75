"""A caller at a speaker: sends Realtime events, reads what comes, in order."""

from __future__ import annotations

import asyncio
from typing import Any

from penny.errors import SpeakerLost
from penny.session.mode import Speaker


Json = dict[str, Any]


class Caller:
    """Starts a speaker, as a session does, and remembers its events in order."""

    def __init__(self, speaker: Speaker) -> None:
        self.speaker = speaker
        self.events: list[Json] = []
        self._came: asyncio.Queue[Json | Exception] = asyncio.Queue()
        speaker.start(self)

    def on_event(self, event: Json) -> None:
        self._came.put_nowait(event)

    def on_closed(self, error: SpeakerLost | None) -> None:
        self._came.put_nowait(error or EOFError("the speaker closed in order"))

    async def until(self, kind: str, **having: Any) -> Json:
        """The next event of this kind. Raises what the speaker ended with."""
        async with asyncio.timeout(60):
            while True:
                event = await self._came.get()
                if isinstance(event, Exception):
                    raise event
                self.events.append(event)
                if event["type"] == kind and all(event[k] == v for k, v in having.items()):
                    return event

    async def ask(self, text: str) -> None:
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        self.speaker.send({"type": "conversation.item.create", "item": item})
        self.speaker.send({"type": "response.create"})

    async def answer(self) -> str:
        done = await self.until("response.done")
        assert done["response"]["status"] == "completed", done
        return str(done["response"]["output"][0]["content"][0]["transcript"])

    async def aclose(self) -> None:
        await self.speaker.aclose()
