"""OpenAI Live (``gpt-live-1``): the only file that knows its wire.

A full-duplex speaker: it decides itself when it talks, its instructions cannot change, nothing it
was told can be taken back, and it is paid by the second. Notes are appended on three channels:
*thinking* is known, *commentary* is said, *instructions* bind and may interrupt. A note that no
longer holds is told to be so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from brain.quoting import clean_text
from modes.external.live_stream import DELEGATED, PAUSE_S, LiveStream
from modes.external.placing import CHARS_PER_TOKEN
from modes.external.speaker import TERMINAL_CODES, Capabilities, Json, Step
from modes.external.vendor_socket import (
    VendorProvider,
    VendorSocket,
    configure,
    connect,
)
from penny.aio.websocket import SocketConnection
from penny.errors import SpeakerLost
from penny.ids import new_id
from penny.realtime.errors import describe_error
from penny.realtime.formats import CORE_FORMAT, WIRE_FORMATS


MAX_NOTE_CHARS = round(450 * CHARS_PER_TOKEN)
"""The provider takes 500 tokens; some are left for what an estimate misses."""
MAX_SEED_ITEMS = 128
MAX_SEED_CHARS = round(8_000 * CHARS_PER_TOKEN)
MAX_INSTRUCTIONS_CHARS = round(16_000 * CHARS_PER_TOKEN)
GONE = {
    "es": "La nota «{title}» ya no vale: no la uses.",
    "en": "The note «{title}» no longer holds: do not use it.",
}
TYPED = {
    "es": "La persona ha escrito, responde a eso: «{text}»",
    "en": "The caller has typed, answer that: «{text}»",
}
SPEAK = {"es": "Es tu turno: habla ahora.", "en": "It is your turn: speak now."}


class LiveProvider(VendorProvider):
    """OpenAI's Live servers."""

    name = "openai_live"
    default_model = "gpt-live-1"
    able = Capabilities(
        rewrites=False,
        appended_as="thinking",
        max_note_chars=MAX_NOTE_CHARS,
        answers_by_itself=True,
        truncates=False,
        calls_tools=False,
        bills_seconds=True,
    )

    async def open(self, model: str, session: Json, seed: Sequence[Json]) -> LiveSpeaker:
        connection = await connect(self.client, "live/sessions", {})
        speaker = LiveSpeaker(connection, {"model": model, "provider": self.name})
        try:
            await configure(speaker.configure(model, session, seed))
        except BaseException:
            await speaker.aclose()
            raise
        return speaker


class LiveSpeaker(VendorSocket):
    """One upstream."""

    able = LiveProvider.able

    def __init__(self, connection: SocketConnection, info: Json) -> None:
        super().__init__(connection, info)
        self._steps: dict[str, str] = {}
        """Event id of a change's last append -> the change."""
        self._titles: dict[str, str] = {}
        """Folio -> what its note began with."""
        self._calls: set[str] = set()
        self._seconds = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._language = "es"

    # -- opening ------------------------------------------------------------------------------

    async def configure(self, model: str, session: Json, seed: Sequence[Json]) -> None:
        """Raises SpeakerLost, ModeUnavailable."""
        audio = session.get("audio") or {}
        heard, spoken = audio.get("input") or {}, audio.get("output") or {}
        language = (heard.get("transcription") or {}).get("language") or "es"
        self._language = "en" if language.startswith("en") else "es"
        self._is_searching = any(t.get("name") == DELEGATED for t in session.get("tools") or ())
        wire = WIRE_FORMATS.get(str((heard.get("format") or {}).get("type")), CORE_FORMAT)
        kind = next(name for name, known in WIRE_FORMATS.items() if known == wire)
        self._stream = LiveStream(wire, new_id)
        voice = spoken.get("voice") or "marin"
        start = {
            "model": model,
            "instructions": str(session.get("instructions") or "")[:MAX_INSTRUCTIONS_CHARS],
            "audio": {
                "format": {"type": kind, "rate": wire.rate_hz},
                "output": {"voice": voice},
            },
            "input": _seed(seed),
            "delegation": {"type": "client"},
        }
        self.write({"type": "session.start", "session": start})
        await self.expect("session.started")
        self.info["voice"] = voice
        self.info["session"] = {**session, "type": "realtime", "model": model}

    # -- writing ------------------------------------------------------------------------------

    def send(self, event: Json) -> None:
        match event["type"]:
            case "input_audio_buffer.append":
                self.write({"type": "session.input_audio.append", "audio": event["audio"]})
            case "response.create":
                asked = (event.get("response") or {}).get("instructions")
                self._append("commentary", asked or SPEAK[self._language])
            case "conversation.item.create":
                self._take_item(event["item"])
            case "conversation.item.delete":
                item_id = event["item_id"]
                self._tell({"type": "conversation.item.deleted", "item_id": item_id})
            case "session.update":
                self._update(event)
            case "input_audio_buffer.clear":
                self._tell({"type": "input_audio_buffer.cleared"})
            case kind:
                self._refuse(event, f"'{kind}' is nothing that this speaker can do")

    def _take_item(self, item: Json) -> None:
        text = _text_of(item)
        if item["type"] == "function_call_output":
            delegation = item["call_id"] if item["call_id"] in self._calls else None
            self._append("commentary", item["output"], delegation)
        elif item.get("role") == "user":
            typed = TYPED[self._language].format(text=clean_text(text))
            self._append("commentary", typed)
        elif text:
            channel = "instructions" if item.get("role") == "system" else "thinking"
            self._append(channel, text)
        for told in self._stream.item(item):
            self._tell(told)

    def _update(self, event: Json) -> None:
        """Instructions are immutable: what changes in them is appended; audio cannot change."""
        fields = event["session"]
        if any((way or {}).get("format") or (way or {}).get("voice") for way in _ways(fields)):
            self._refuse(event, "format and voice cannot change after the start", "session.audio")
            return
        if isinstance(fields.get("instructions"), str):
            self._append("instructions", fields["instructions"])
        self.info["session"] = {**self.info["session"], **fields, "type": "realtime"}
        self._tell({"type": "session.updated", "session": self.info["session"]})

    def change(self, step: Step) -> None:
        if step.act == "remove":
            title = self._titles.pop(step.folios[0], "")
            event_id = self._append("thinking", GONE[self._language].format(title=title))
        else:
            self._titles[step.folios[0]] = step.text.partition("\n")[0][:200]
            binds = step.urgent or step.channel == "correction"
            said = "commentary" if step.channel == "speakable" else "thinking"
            event_id = self._append("instructions" if binds else said, step.text)
        self._steps[event_id] = step.id

    def seed(self, item: Json) -> None:
        for each in _seed([item]):
            self._append("thinking", f"{each['role']}: {clean_text(each['content'][0]['text'])}")

    def _append(self, channel: str, text: str, delegation_id: str | None = None) -> str:
        """Append a text in pieces that the provider takes; returns the last one's event id."""
        event_id = ""
        for start in range(0, max(1, len(text)), MAX_NOTE_CHARS):
            event_id = new_id("event")
            event = {"type": f"session.{channel}.append", "event_id": event_id}
            content = text[start : start + MAX_NOTE_CHARS]
            self.write({**event, "content": content, "delegation_id": delegation_id})
        return event_id

    def _tell(self, event: Json) -> None:
        if self._sink is not None:
            self._sink.on_event({"event_id": new_id("event"), **event})

    def _refuse(self, event: Json, message: str, param: str | None = None) -> None:
        event_id, kind = event.get("event_id"), "invalid_request_error"
        fault = describe_error("invalid_value", message, param, event_id, kind)
        self._tell({"type": "error", "error": fault})

    # -- reading ------------------------------------------------------------------------------

    def translate(self, event: Json) -> Iterable[Json]:
        match event["type"]:
            case "session.output_audio.delta":
                return self._stream.sounded(event["delta"])
            case "session.output_transcript.delta":
                return self._stream.spoke(event["delta"])
            case "session.input_transcript.delta":
                self._wait_for_pause()
                return self._stream.heard(event["delta"], event["start_ms"], event["end_ms"])
            case "session.delegation.created":
                return self._delegated(event["delegation"])
            case "session.usage.updated":
                return self._used(event["usage"])
            case "session.closed":
                raise SpeakerLost(f"the speaker closed the session: {event['reason']}")
            case "error":
                return self._failed(event["error"])
            case kind if kind.endswith(".appended"):
                step_id = self._steps.pop(event.get("client_event_id") or "", "")
                return [{"type": "penny.placed", "step_id": step_id}] if step_id else []
        return []

    def _delegated(self, delegation: Json) -> Iterable[Json]:
        if delegation.get("target") != "client":
            return []
        self._calls.add(delegation["id"])
        if self._is_searching:
            return self._stream.delegated(delegation["id"])
        self._append("commentary", '{"status": "nothing_found"}', delegation["id"])
        return []

    def _used(self, usage: Json) -> Iterator[Json]:
        seconds, self._seconds = usage["seconds"] - self._seconds, usage["seconds"]
        told = {"type": "duration", "seconds": seconds}
        yield {"type": "penny.usage", "component": "portavoz", "usage": told}

    def _failed(self, fault: Json) -> Iterable[Json]:
        code, event_id = fault.get("code") or "", fault.get("client_event_id") or ""
        if code in TERMINAL_CODES:
            raise SpeakerLost(fault.get("message") or code, code=code, retryable=False)
        step_id = self._steps.pop(event_id, "")
        if step_id:
            return [{"type": "penny.placement_refused", "step_id": step_id, "code": code}]
        kind = fault.get("type") or "server_error"
        told = describe_error(code, fault.get("message") or "", fault.get("param"), event_id, kind)
        return [{"type": "error", "event_id": new_id("event"), "error": told}]

    def _wait_for_pause(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(PAUSE_S, self._paused)

    def _paused(self) -> None:
        for event in self._stream.pause():
            self._tell(event)

    async def aclose(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with suppress(SpeakerLost):
            self.write({"type": "session.close"})
        await super().aclose()


def _ways(session: Json) -> list[Any]:
    audio = session.get("audio") or {}
    return [audio.get("input"), audio.get("output")]


def _text_of(item: Json) -> str:
    parts = item.get("content") or ()
    return " ".join(str(part.get("text") or part.get("transcript") or "") for part in parts).strip()


def _seed(items: Sequence[Json]) -> list[Json]:
    """The newest items that the provider takes, each with its text alone."""
    seeds: list[Json] = []
    left = MAX_SEED_CHARS
    for item in reversed(items[-MAX_SEED_ITEMS:]):
        role = item.get("role") or "developer"
        text = _text_of(item) or str(item.get("output") or item.get("arguments") or "")
        left -= len(text)
        if left < 0:
            break
        if not text:
            continue
        role = "developer" if role == "system" else role
        kind = "output_text" if role == "assistant" else "input_text"
        content = [{"type": kind, "text": text}]
        seeds.append({"type": "message", "role": role, "content": content})
    return seeds[::-1]
