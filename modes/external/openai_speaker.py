"""OpenAI Realtime (GA) through the ``openai`` SDK: the only file that knows it.

The SDK connects and frames; events stay plain JSON (its parsing validates nothing and costs
time). Its own reconnection stays off: after the provider's 60 minutes it would go on silently in
an empty session.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import openai
import orjson
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from brain.placement import Placing
from config.credentials import OPENAI_API_KEY, read_secret
from modes.external.speaker import TERMINAL_CODES, Json, Placement
from penny.errors import ModeUnavailable, SpeakerLost
from penny.ids import new_id


OPEN_TIMEOUT_S = 10.0
OWN_EVENTS = 256
CLOSE_TIMEOUT_S = 2.0
MAX_MESSAGE_BYTES = 20 * 1024 * 1024


class OpenAIProvider:
    """Args: base_url: another Realtime server, e.g. Penny's own; then no key is needed."""

    name = "openai"

    def __init__(self, base_url: str | None) -> None:
        self._base_url = base_url
        self._client: openai.AsyncOpenAI | None = None

    async def open(self, model: str, session: Json, seed: Sequence[Json]) -> OpenAISpeaker:
        if self._client is None:
            key = read_secret(OPENAI_API_KEY, os.environ)
            self._client = openai.AsyncOpenAI(
                api_key=key.get_secret_value() if key is not None else "none",
                base_url=self._base_url,
            )
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                connection = await self._client.realtime.connect(
                    model=model,
                    websocket_connection_options={"max_size": MAX_MESSAGE_BYTES},
                ).enter()
        except InvalidStatus as error:
            raise _refused(error.response.status_code) from error
        except (OSError, TimeoutError, WebSocketException) as error:
            raise _unreachable(type(error).__name__) from error
        speaker = OpenAISpeaker(connection, {"model": model, "provider": self.name})
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await speaker.configure(session, seed)
        except (TimeoutError, SpeakerLost) as error:
            await speaker.aclose()
            final = isinstance(error, SpeakerLost) and not error.retryable
            reason = error.message if isinstance(error, SpeakerLost) else "no answer in time"
            raise ModeUnavailable(
                f"the speaker did not accept the session: {reason}",
                remedy="see the provider's account" if final else "try again",
                retryable=not final,
            ) from error
        except BaseException:
            await speaker.aclose()
            raise
        return speaker

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.close()


class OpenAISpeaker:
    """One upstream. Acknowledgements of its own placements never leave it as wire events."""

    able: frozenset[Placing] = frozenset({"append", "rewrite"})

    def __init__(self, connection: AsyncRealtimeConnection, info: Json) -> None:
        self._connection = connection
        self._lock = asyncio.Lock()
        self.info = info
        self._updates: deque[str | None] = deque()
        """Session updates that wait for their answer, in order: a placement's id, or None."""
        self._update_events: dict[str, str | None] = {}
        self._notes: dict[str, str] = {}
        """Item id of each appended note -> its placement."""
        self._quiet: set[str] = set()
        """Items whose events stay here: seeds and notes."""
        self._own_deletes: set[str] = set()
        self._own_events: deque[str] = deque(maxlen=OWN_EVENTS)
        """Events whose errors concern nobody outside."""

    # -- opening ------------------------------------------------------------------------------

    async def configure(self, session: Json, seed: Sequence[Json]) -> None:
        """Raises SpeakerLost, ModeUnavailable."""
        created = (await self._expect("session.created"))["session"]
        self.info["expires_at"] = created.get("expires_at")
        await self._write({"type": "session.update", "session": {"type": "realtime", **session}})
        effective = (await self._expect("session.updated"))["session"]
        self.info["session"] = effective
        output = (effective.get("audio") or {}).get("output") or {}
        self.info["voice"] = output.get("voice")
        for item in seed:
            await self.seed(item)

    async def seed(self, item: Json) -> None:
        """Add an item that the conversation already has; its events are nobody's news."""
        if item["id"] in self._quiet:
            await self._delete(item["id"])
        self._quiet.add(item["id"])
        event_id = self._own_event()
        await self._write({"type": "conversation.item.create", "event_id": event_id, "item": item})

    async def _delete(self, item_id: str) -> None:
        event_id = self._own_event()
        self._own_deletes.add(item_id)
        await self._write(
            {"type": "conversation.item.delete", "event_id": event_id, "item_id": item_id}
        )

    def _own_event(self) -> str:
        event_id = new_id("event")
        self._own_events.append(event_id)
        return event_id

    async def _expect(self, kind: str) -> Json:
        while True:
            event = await self._read()
            if event["type"] == kind:
                return event
            if event["type"] == "error":
                fault = event["error"]
                terminal = fault.get("code") in TERMINAL_CODES
                raise ModeUnavailable(
                    f"the speaker refused: {fault.get('message') or fault.get('code')}",
                    remedy="see the provider's account" if terminal else "correct what it names",
                )

    # -- writing ------------------------------------------------------------------------------

    async def send(self, event: Json) -> None:
        if event["type"] == "session.update":
            event_id = event.get("event_id") or new_id("event")
            event = {**event, "event_id": event_id}
            self._note_update(event_id, None)
        await self._write(event)

    async def place(self, placement: Placement) -> None:
        event_id = new_id("event")
        if placement.placing == "rewrite":
            self._note_update(event_id, placement.id)
            session = {"type": "realtime", "instructions": placement.text}
            update = {"type": "session.update", "event_id": event_id, "session": session}
            await self._write(update)
            return
        item_id = new_id("item")
        self._notes[item_id] = placement.id
        self._quiet.add(item_id)
        self._update_events[event_id] = placement.id
        content = [{"type": "input_text", "text": placement.text}]
        item = {"id": item_id, "type": "message", "role": "system", "content": content}
        await self._write({"type": "conversation.item.create", "event_id": event_id, "item": item})

    async def remove(self, placement_ids: Sequence[str]) -> None:
        wanted = set(placement_ids)
        for item_id in [item for item, owner in self._notes.items() if owner in wanted]:
            del self._notes[item_id]
            await self._delete(item_id)

    async def _write(self, event: Json) -> None:
        data = orjson.dumps(event).decode()
        try:
            async with self._lock:
                await self._connection.send_raw(data)
        except (ConnectionClosed, OSError) as error:
            raise SpeakerLost(f"the speaker's connection broke: {type(error).__name__}") from error

    def _note_update(self, event_id: str, placement_id: str | None) -> None:
        self._updates.append(event_id)
        self._update_events[event_id] = placement_id

    # -- reading ------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[Json]:
        while True:
            event = await self._read()
            told = self._filter(event)
            if told is not None:
                yield told

    async def _read(self) -> Json:
        try:
            event: Json = orjson.loads(await self._connection.recv_bytes())
            return event
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd is not None else 1006
            raise SpeakerLost(f"the speaker closed the connection with {code}") from error
        except OSError as error:
            raise SpeakerLost(f"the speaker's connection broke: {type(error).__name__}") from error

    def _filter(self, event: Json) -> Json | None:
        """What the event means outside; None keeps it here."""
        kind = event["type"]
        if kind == "session.updated":
            event_id = self._updates.popleft() if self._updates else ""
            placement_id = self._update_events.pop(event_id or "", None)
            return _placed(placement_id) if placement_id else event
        if kind in _ITEM_EVENTS:
            return self._filter_item(event)
        if kind == "error":
            return self._filter_error(event)
        return event

    def _filter_item(self, event: Json) -> Json | None:
        item_id = event.get("item_id") or event["item"]["id"]
        if item_id not in self._quiet:
            return event
        if event["type"] == "conversation.item.added":
            return _placed(self._notes[item_id]) if item_id in self._notes else None
        if event["type"] == "conversation.item.deleted":
            if item_id in self._own_deletes:
                self._own_deletes.discard(item_id)
                return None
            self._quiet.discard(item_id)
            return event
        return None

    def _filter_error(self, event: Json) -> Json | None:
        fault = event["error"]
        code, event_id = fault.get("code"), fault.get("event_id") or ""
        if code in TERMINAL_CODES:
            raise SpeakerLost(fault.get("message") or code, code=code, retryable=False)
        if event_id in self._own_events:
            return None
        if event_id in self._updates:
            self._updates.remove(event_id)
        placement_id = self._update_events.pop(event_id, None)
        if placement_id is None:
            return event
        self._notes = {item: owner for item, owner in self._notes.items() if owner != placement_id}
        return {
            "type": "penny.placement_refused",
            "placement_id": placement_id,
            "code": code,
            "message": fault.get("message"),
        }

    async def aclose(self) -> None:
        """Close. Nobody may be reading ``events`` any more.

        What the server still sends is read and thrown away: behind a full queue its goodbye
        would never be seen, and closing would take the library's whole ten seconds.
        """
        closing = asyncio.ensure_future(self._connection.close())
        with suppress(SpeakerLost, TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                while True:
                    await self._read()
        if not closing.done():
            closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)


_ITEM_EVENTS = frozenset(
    {"conversation.item.added", "conversation.item.done", "conversation.item.deleted"}
)


def _placed(placement_id: str) -> Json:
    return {"type": "penny.placed", "placement_id": placement_id}


def _refused(status: int) -> ModeUnavailable:
    final = status in (401, 403, 404)
    return ModeUnavailable(
        f"the speaker refused the connection: HTTP {status}",
        remedy="check the key and the model" if final else "try again in a moment",
        retryable=not final,
    )


def _unreachable(reason: str) -> ModeUnavailable:
    return ModeUnavailable(
        f"the speaker cannot be reached: {reason}",
        remedy="see whether it runs and listens at the configured address",
        retryable=True,
    )
