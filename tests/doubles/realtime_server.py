"""A Realtime speaker at the vendor's edge: a real WebSocket server that speaks GA, scripted.

The test plays the model: what it hears (``hear``), what it answers (``answer``, ``call``). The
bookkeeping of the protocol (session updates, items, truncations, cancellations and their errors)
is done here as the vendor does it. A second ``response.create`` while one is active is answered
with the vendor's error and counted as a violation, and so is whatever the SDK's types or the
documents refuse, unless the test says that its client misbehaves (``may_break``); a
``response.create`` that no step took, or a step that waits in vain, fails the test.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.doubles.vendor_server import WAIT_S, UnexpectedStep, VendorConnection, VendorServer
from tests.doubles.vendor_types import (
    REALTIME,
    Refusal,
    refuse,
    refuse_item,
    refuse_response,
    refuse_session,
)


Json = dict[str, Any]

AUDIO_MS = 40
"""One ``output_audio.delta``."""
MS_PER_WORD = 300
SILENT = b64encode(bytes(AUDIO_MS * 48)).decode()


class Connection(VendorConnection):
    """One upstream session as the server sees it."""

    def __init__(self, server: RealtimeDouble, socket: web.WebSocketResponse, model: str) -> None:
        super().__init__(server, socket)
        self._server = server
        self.model = model
        self.session = _default_session(model)
        if server.expires_in_s is not None:
            self.session["expires_at"] = int(time.time()) + server.expires_in_s
        self.items: dict[str, Json] = {}
        self.durations: dict[str, float] = {}
        self.sounded_ms: dict[str, float] = {}
        """Of each response, in audio time."""
        self.requests: asyncio.Queue[Json] = asyncio.Queue()
        self.active = ""
        self.audio_ms = 0.0
        self.refuse_items = False
        self.lose_items = False
        """Items are taken and never acknowledged."""
        self.asides: set[str] = set()
        self.metadata: dict[str, Json | None] = {}

    def is_begun(self) -> bool:
        return any(event["type"] == "session.update" for event in self.received)

    # -- the script ---------------------------------------------------------------------------

    async def hear(self, words: str, *, late: bool = False, item_id: str = "") -> str:
        """The caller says something: speech, partial words, the end of the turn, final words."""
        item_id = item_id or self.new_id("item_user")
        await self.speech_started(item_id)
        if not late:
            for word in words.split():
                await self.partial(item_id, f"{word} ")
        await self.end_turn(item_id)
        if not late:
            await self.final(item_id, words)
        return item_id

    async def speech_started(self, item_id: str) -> None:
        await self.send("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=0)
        if self.active and self._interrupts():
            await self.finish(self.active, "cancelled", "turn_detected")

    async def partial(self, item_id: str, delta: str) -> None:
        kind = "conversation.item.input_audio_transcription.delta"
        await self.send(kind, item_id=item_id, content_index=0, delta=delta)

    async def end_turn(self, item_id: str) -> None:
        await self.send("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=1000)
        await self.send("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
        await self._add(_heard(item_id))
        if self._creates():
            await self._begin({}, "")

    async def final(self, item_id: str, words: str) -> None:
        await self.send(
            "conversation.item.input_audio_transcription.completed",
            item_id=item_id,
            content_index=0,
            transcript=words,
            usage={"type": "duration", "seconds": 2},
        )

    async def asked(self) -> Json:
        """The next ``response.create``; it has begun a response (``self.active``)."""
        try:
            async with asyncio.timeout(WAIT_S):
                return await self.requests.get()
        except TimeoutError:
            kinds = [event["type"] for event in self.received[-8:]]
            raise UnexpectedStep(f"no response.create came; last came {kinds}") from None

    async def _open(self) -> None:
        """Until a response is open; those that were cancelled before they spoke are passed over."""
        await self.asked()
        while not (self.active and self.requests.empty()):
            await self.asked()

    async def answer(self, text: str, *, stop_after: int | None = None) -> str:
        """Speak; with ``stop_after`` words only, and the response stays open."""
        await self._open()
        return await self.speak(text, stop_after=stop_after)

    async def speak(self, text: str, *, stop_after: int | None = None) -> str:
        """Fill the active response; returns the item's id."""
        response_id, item_id = self.active, self.new_id("item_penny")
        if not response_id:
            raise UnexpectedStep("no response is open to speak in")
        item = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
            "content": [],
        }
        place: Json = {"response_id": response_id, "item_id": item_id}
        place |= {"output_index": 0, "content_index": 0}
        await self.send(
            "response.output_item.added", response_id=response_id, output_index=0, item=item
        )
        await self._add(item, done=False)
        part = {"type": "audio", "transcript": ""}
        await self.send("response.content_part.added", **place, part=part)
        words = text.split()
        for word in words[:stop_after]:
            if self.active != response_id:
                return item_id
            delta = f"{word} "
            await self.send("response.output_audio_transcript.delta", **place, delta=delta)
            for _ in range(MS_PER_WORD // AUDIO_MS):
                await self.send("response.output_audio.delta", **place, delta=SILENT)
                self.durations[item_id] = self.durations.get(item_id, 0.0) + AUDIO_MS
                self.sounded_ms[response_id] = self.sounded_ms.get(response_id, 0.0) + AUDIO_MS
        if stop_after is None:
            await self.send("response.output_audio.done", **place)
            await self.send("response.output_audio_transcript.done", **place, transcript=text)
            self.items[item_id] = {
                **item,
                "status": "completed",
                "content": [{"type": "output_audio", "transcript": text}],
            }
            await self.send(
                "conversation.item.done", item=self.items[item_id], previous_item_id=None
            )
            await self.send(
                "response.output_item.done",
                response_id=response_id,
                output_index=0,
                item=self.items[item_id],
            )
            await self.finish(response_id, "completed", output=[self.items[item_id]])
        return item_id

    async def call(
        self, name: str, arguments: Json, *, call_id: str = "", twice: bool = False
    ) -> str:
        """Answer with a function call."""
        await self._open()
        response_id, item_id = self.active, self.new_id("item_call")
        call_id = call_id or self.new_id("call")
        text = json.dumps(arguments, ensure_ascii=False)
        item = {
            "id": item_id,
            "object": "realtime.item",
            "type": "function_call",
            "status": "in_progress",
            "name": name,
            "call_id": call_id,
            "arguments": "",
        }
        where = {"response_id": response_id, "output_index": 0}
        await self.send("response.output_item.added", **where, item=item)
        await self._add(item, done=False)
        about = {"item_id": item_id, "call_id": call_id}
        await self.send("response.function_call_arguments.delta", **where, **about, delta=text)
        await self.send(
            "response.function_call_arguments.done", **where, **about, name=name, arguments=text
        )
        done = {**item, "status": "completed", "arguments": text}
        self.items[item_id] = done
        await self.send("conversation.item.done", item=done, previous_item_id=None)
        for _ in range(2 if twice else 1):
            await self.send("response.output_item.done", **where, item=done)
        await self.finish(response_id, "completed", output=[done])
        return call_id

    async def finish(
        self,
        response_id: str,
        status: str,
        reason: str = "",
        *,
        output: list[Json] | None = None,
        aside: bool = False,
        details: Json | None = None,
    ) -> None:
        """``response.done`` with a usage as the vendor's."""
        if self.active == response_id:
            self.active = ""
        if reason:
            details = {"type": status, "reason": reason}
        response: Json = {
            "id": response_id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "conversation_id": None if aside else "conv_1",
            "metadata": self.metadata.pop(response_id, None),
            "output": output or [],
            "usage": self._usage(response_id, status),
        }
        await self.send("response.done", response=response)

    async def fail(self, code: str, message: str = "scripted") -> None:
        fault = {"type": "invalid_request_error", "code": code, "message": message}
        await self.send("error", error={**fault, "param": None, "event_id": None})

    def notes(self) -> list[str]:
        """Texts of the system items that are in the conversation now."""
        return [
            item["content"][0]["text"]
            for item in self.items.values()
            if item.get("role") == "system"
        ]

    # -- the protocol -------------------------------------------------------------------------

    async def serve(self) -> None:
        await self.send("session.created", session=self.session)
        await super().serve()

    async def take(self, event: Json) -> None:
        refusal = refuse(event, REALTIME) or self._refuse(event)
        if refusal is not None:
            await self._break(event, *refusal)
            return
        handler = {
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "session.update": self._update,
            "conversation.item.create": self._create,
            "conversation.item.delete": self._delete,
            "conversation.item.truncate": self._truncate,
            "conversation.item.retrieve": self._retrieve,
            "response.create": self._respond,
            "response.cancel": self._cancel,
        }.get(event["type"])
        if handler is not None:
            await handler(event)

    def _refuse(self, event: Json) -> Refusal | None:
        if event["type"] == "session.update":
            return refuse_session(
                event["session"],
                model=self.model,
                has_spoken=bool(self.durations),
                before=self.session,
            )
        if event["type"] == "conversation.item.create":
            return refuse_item(event["item"], self.items)
        return (
            refuse_response(event.get("response")) if event["type"] == "response.create" else None
        )

    async def _break(self, event: Json, code: str, message: str, param: str = "") -> None:
        if not self._server.may_break:
            self._server.violations.append(f"{event['type']}: {param} {message}")
        await self._error(event, code, message)

    async def _append(self, event: Json) -> None:
        self.audio_ms += len(b64decode(event["audio"])) / 48
        self._server.on_audio(event)

    async def _commit(self, event: Json) -> None:
        item_id = self.new_id("item_user")
        await self.send("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
        await self._add(_heard(item_id))

    async def _create(self, event: Json) -> None:
        if self.refuse_items:
            await self._error(event, "invalid_value", "scripted refusal")
        elif not self.lose_items:
            await self._add(event["item"], after=event.get("previous_item_id"))

    async def _delete(self, event: Json) -> None:
        if self.items.pop(event["item_id"], None) is None:
            await self._error(event, "item_delete_invalid_item_id", "no such item")
        else:
            await self.send("conversation.item.deleted", item_id=event["item_id"])

    async def _retrieve(self, event: Json) -> None:
        found = self.items.get(event["item_id"])
        if found is None:
            await self._error(event, "item_retrieve_invalid_item_id", "no such item")
        else:
            await self.send("conversation.item.retrieved", item=found)

    async def _respond(self, event: Json) -> None:
        await self._begin(event, event.get("event_id") or "")

    async def _cancel(self, event: Json) -> None:
        wanted = event.get("response_id")
        if wanted in self.asides:
            self.asides.discard(wanted)
            await self.finish(wanted, "cancelled", "client_cancelled", aside=True)
        elif not self.active or wanted not in (None, self.active):
            await self._error(event, "response_cancel_not_active", "nothing to cancel")
        else:
            await self.finish(self.active, "cancelled", "client_cancelled")

    async def _begin(self, event: Json, event_id: str) -> None:
        if (event.get("response") or {}).get("conversation") == "none":
            await self._begin_aside(event)
            return
        if self.active:
            self._server.violations.append("response.create while a response is active")
            await self._error(event, "conversation_already_has_active_response", "one is active")
            return
        self.active = self.new_id("resp")
        response: Json = {
            "id": self.active,
            "object": "realtime.response",
            "status": "in_progress",
            "conversation_id": "conv_1",
            "output": [],
            "usage": None,
            "metadata": (event.get("response") or {}).get("metadata"),
        }
        self.metadata[self.active] = response["metadata"]
        await self.send("response.created", response=response)
        self.requests.put_nowait(event)

    async def _begin_aside(self, event: Json) -> None:
        aside = self.new_id("resp")
        self.asides.add(aside)
        response: Json = {
            "id": aside,
            "object": "realtime.response",
            "status": "in_progress",
            "status_details": None,
            "conversation_id": None,
            "output": [],
            "usage": None,
            "metadata": event["response"].get("metadata"),
        }
        await self.send("response.created", response=response)

    async def _update(self, event: Json) -> None:
        self.session = _merge(self.session, event["session"])
        await self.send("session.updated", session=self.session)

    async def _add(self, item: Json, *, done: bool = True, after: str | None = None) -> None:
        item = {"object": "realtime.item", "status": "completed", **item}
        item.setdefault("id", self.new_id("item"))
        if after == "root":
            self.items = {item["id"]: item, **self.items}
        self.items[item["id"]] = item
        await self.send("conversation.item.added", item=item, previous_item_id=None)
        if done:
            await self.send("conversation.item.done", item=item, previous_item_id=None)

    async def _truncate(self, event: Json) -> None:
        item_id, end_ms = event["item_id"], event["audio_end_ms"]
        if item_id not in self.items:
            await self._error(event, "item_truncate_invalid_item_id", "no such item")
        elif item_id not in self.durations:
            self._server.violations.append("truncate of an item without audio")
            await self._error(event, "invalid_value", "Only model output audio messages can be cut")
        elif end_ms > self.durations[item_id]:
            self._server.violations.append("truncate past the end")
            await self._error(event, "invalid_value", "already shorter")
        else:
            await self.send(
                "conversation.item.truncated",
                item_id=item_id,
                content_index=0,
                audio_end_ms=end_ms,
            )

    async def _error(self, event: Json, code: str, message: str) -> None:
        fault = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
        await self.send("error", error={**fault, "event_id": event.get("event_id")})

    def _detection(self) -> Json:
        return (self.session["audio"]["input"].get("turn_detection")) or {}

    def _creates(self) -> bool:
        return bool(self._detection().get("create_response", True))

    def _interrupts(self) -> bool:
        return bool(self._detection().get("interrupt_response", True))

    def _usage(self, response_id: str, status: str) -> Json:
        """Of a whole answer; of one that was cut, what had been made of it."""
        made = {"text_tokens": 20, "audio_tokens": 40}
        if status == "cancelled":
            sounded_ms = self.sounded_ms.get(response_id, 0.0)
            made = {"text_tokens": 0, "audio_tokens": min(40, round(sounded_ms / 50))}
        out = made["text_tokens"] + made["audio_tokens"]
        text = 500 + sum(len(str(item)) // 20 for item in self.items.values())
        audio = round(sum(self.durations.values()) / 50) + 20
        return {
            "total_tokens": text + audio + out,
            "input_tokens": text + audio,
            "output_tokens": out,
            "input_token_details": {
                "text_tokens": text,
                "audio_tokens": audio,
                "image_tokens": 0,
                "cached_tokens": 448,
                "cached_tokens_details": {
                    "text_tokens": 448,
                    "audio_tokens": 0,
                    "image_tokens": 0,
                },
            },
            "output_token_details": made,
        }


class RealtimeDouble(VendorServer[Connection]):
    """The server: ``async with RealtimeDouble() as vendor``."""

    path = "/v1/realtime"

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.refuse_with: int | None = None
        self.may_break = False
        """Whether the test's own client sends what the vendor refuses."""
        self.expires_in_s: int | None = None
        """Unix seconds that ``session.created`` tells."""
        self.on_audio: Any = lambda event: None

    def check(self) -> None:
        """Fail on violations, and on requests and connections that no step took."""
        super().check()
        left = sum(each.requests.qsize() for each in self.connections)
        if left:
            raise UnexpectedStep(f"{left} response.create were taken by no step")
        if self._taken < len(self.connections):
            raise UnexpectedStep("a connection was opened that no step took")

    def refuse(self, request: web.Request) -> web.Response | None:
        self.keys.append(request.headers.get("Authorization", ""))
        self.headers.append(dict(request.headers))
        if "OpenAI-Beta" in request.headers:
            self.violations.append("the beta header was sent")
        if self.refuse_with is None:
            return None
        return web.json_response({"error": {"code": "scripted"}}, status=self.refuse_with)

    def accept(self, request: web.Request, socket: web.WebSocketResponse) -> Connection:
        return Connection(self, socket, request.query.get("model", ""))


@asynccontextmanager
async def realtime_double() -> AsyncIterator[RealtimeDouble]:
    async with RealtimeDouble() as double:
        yield double


def _heard(item_id: str) -> Json:
    """A user's item whose audio was heard and whose words are not known."""
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_audio", "transcript": None}],
    }


def _default_session(model: str) -> Json:
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": "sess_double",
        "model": model,
        "output_modalities": ["audio"],
        "instructions": "",
        "tools": [],
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": None,
                "turn_detection": {"type": "server_vad", "create_response": True},
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"},
        },
    }


def _merge(base: Json, fields: Json) -> Json:
    merged = copy.deepcopy(base)
    for name, value in fields.items():
        if isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = _merge(merged[name], value)
        else:
            merged[name] = value
    return merged
