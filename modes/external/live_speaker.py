"""OpenAI Live (``gpt-live-1``): the only file that knows its wire.

A full-duplex speaker: it decides itself when it talks, its instructions cannot change, nothing it
was told can be taken back, and it is paid by the second. Notes are appended on three channels:
*thinking* is known, *commentary* is said, *instructions* bind and may interrupt. A note that no
longer holds is told to be so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from brain.render import clean_text
from brain.texts import texts_of
from modes.external.live_stream import DELEGATED, PAUSE_S, LiveStream
from modes.external.openai_speaker import VendorProvider, end_if_terminal
from modes.external.placing import CHARS_PER_TOKEN
from modes.external.session_view import way_of
from modes.external.speaker import Capabilities, Json, Step, Translator
from modes.realtime import RealtimeSpeaker, expect, set_up
from penny.errors import SpeakerLost
from penny.ids import new_id
from penny.realtime.errors import describe_error
from penny.realtime.formats import CORE_FORMAT, WIRE_FORMATS


MAX_NOTE_CHARS = round(450 * CHARS_PER_TOKEN)
"""The provider takes 500 tokens; some are left for what an estimate misses."""
MAX_SEED_ITEMS = 128
MAX_SEED_CHARS = round(8_000 * CHARS_PER_TOKEN)
MAX_INSTRUCTIONS_CHARS = round(16_000 * CHARS_PER_TOKEN)


class LiveProvider(VendorProvider):
    """OpenAI's Live servers."""

    name = "openai_live"
    default_model = "gpt-live-1"
    able = Capabilities(
        rewrites=False,
        appended_as="thinking",
        answers_by_itself=True,
        truncates=False,
        calls_tools=False,
    )

    async def open(self, model: str, session: Json, seed: Sequence[Json]) -> LiveUpstream:
        speaker = await self.connect("live/sessions", {}, model)
        upstream = LiveUpstream(speaker, self.able, session)

        async def steps() -> None:
            speaker.send({"type": "session.start", "session": upstream.describe(model, seed)})
            await expect(speaker, "session.started")

        await set_up(speaker, steps())
        return upstream


class LiveUpstream(Translator):
    """One Live session. ``session``: the GA session that it stands for."""

    def __init__(self, speaker: RealtimeSpeaker, able: Capabilities, session: Json) -> None:
        super().__init__(speaker, able)
        heard = way_of(session, "input")
        self._texts = texts_of((heard.get("transcription") or {}).get("language") or "es")
        self._is_searching = any(t.get("name") == DELEGATED for t in session.get("tools") or ())
        self._kind = str((heard.get("format") or {}).get("type") or "")
        self._kind = self._kind if self._kind in WIRE_FORMATS else "audio/pcm"
        self.info["voice"] = way_of(session, "output").get("voice") or "marin"
        self.info["session"] = {**session, "type": "realtime", "model": self.info["model"]}
        wire = WIRE_FORMATS.get(self._kind, CORE_FORMAT)
        self._stream = LiveStream(wire, self._kind, self.info["voice"], new_id)
        self._steps: dict[str, str] = {}
        """Event id of a change's last append -> the change."""
        self._titles: dict[str, str] = {}
        """Folio -> what its note began with."""
        self._calls: set[str] = set()
        self._seconds = 0.0
        self._told_s = asyncio.get_running_loop().time()
        self._timer: asyncio.TimerHandle | None = None

    def describe(self, model: str, seed: Sequence[Json]) -> Json:
        """The ``session`` of ``session.start``."""
        instructions = str(self.info["session"].get("instructions") or "")
        audio_format = {"type": self._kind, "rate": WIRE_FORMATS[self._kind].rate_hz}
        return {
            "model": model,
            "instructions": instructions[:MAX_INSTRUCTIONS_CHARS],
            "audio": {"format": audio_format, "output": {"voice": self.info["voice"]}},
            "input": _seed(seed),
            "delegation": {"type": "client"},
        }

    def send(self, event: Json) -> None:
        match event["type"]:
            case "input_audio_buffer.append":
                self._speaker.send({"type": "session.input_audio.append", "audio": event["audio"]})
            case "response.create":
                asked = (event.get("response") or {}).get("instructions")
                self._append("commentary", asked or self._texts["speak"])
            case "conversation.item.create":
                self._take_item(event["item"])
            case "conversation.item.delete":
                self._answer("conversation.item.deleted", item_id=event["item_id"])
            case "session.update":
                self._update(event)
            case "input_audio_buffer.clear":
                self._answer("input_audio_buffer.cleared")
            case kind:
                self._refuse(event, f"'{kind}' is nothing that this speaker can do")

    def _take_item(self, item: Json) -> None:
        text = _text_of(item)
        if item["type"] == "function_call_output":
            delegation = item["call_id"] if item["call_id"] in self._calls else None
            self._append("commentary", item["output"], delegation)
        elif item.get("role") == "user":
            self._append("commentary", self._texts["typed"].format(clean_text(text)))
        elif text:
            channel = "instructions" if item.get("role") == "system" else "thinking"
            self._append(channel, text)
        self._stream.item(item)
        self._tell_stream()

    def _update(self, event: Json) -> None:
        """Instructions are immutable: what changes in them is appended; audio cannot change."""
        fields = event["session"]
        ways = (way_of(fields, "input"), way_of(fields, "output"))
        if any(way.get("format") or way.get("voice") for way in ways):
            self._refuse(event, "format and voice cannot change after the start", "session.audio")
            return
        if isinstance(fields.get("instructions"), str):
            self._append("instructions", fields["instructions"])
        self.info["session"] = {**self.info["session"], **fields, "type": "realtime"}
        self._answer("session.updated", session=self.info["session"])

    def change(self, step: Step) -> None:
        if step.act == "remove":
            title = self._titles.pop(step.folios[0], "")
            event_id = self._append("thinking", self._texts["gone"].format(title))
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
            self._speaker.send({**event, "content": content, "delegation_id": delegation_id})
        return event_id

    def _answer(self, kind: str, **fields: Any) -> None:
        self.tell({"type": kind, "event_id": new_id("event"), **fields})

    def _refuse(self, event: Json, message: str, param: str | None = None) -> None:
        event_id, kind = event.get("event_id"), "invalid_request_error"
        self._answer("error", error=describe_error("invalid_value", message, param, event_id, kind))

    def translate(self, event: Json) -> Iterable[Json]:
        match event["type"]:
            case "session.output_audio.delta":
                self._stream.sounded(event["delta"])
            case "session.output_transcript.delta":
                self._stream.spoke(event["delta"])
            case "session.input_transcript.delta":
                self._wait_for_pause()
                self._stream.heard(event["delta"], event["start_ms"], event["end_ms"])
            case "session.delegation.created":
                self._delegated(event["delegation"])
            case "session.usage.updated":
                return [self._used(event["usage"]["seconds"])]
            case "session.closed":
                self.tell(self._used(event["usage"]["seconds"]))
                raise SpeakerLost(f"the speaker closed the session: {event['reason']}")
            case "error":
                return self._failed(event["error"])
            case kind if kind.endswith(".appended"):
                step_id = self._steps.pop(event.get("client_event_id") or "", "")
                return [{"type": "penny.placed", "step_id": step_id}] if step_id else []
        return self._stream.drain()

    def _used(self, total_s: float) -> Json:
        """Usage since the last, of a session that has lasted ``total_s``."""
        self._told_s = asyncio.get_running_loop().time()
        seconds, self._seconds = max(0.0, total_s - self._seconds), max(total_s, self._seconds)
        used = {"type": "duration", "seconds": seconds}
        return {"type": "penny.usage", "component": "portavoz", "usage": used}

    def unbilled(self) -> Sequence[Json]:
        since_s = asyncio.get_running_loop().time() - self._told_s
        return [self._used(self._seconds + since_s)]

    def _delegated(self, delegation: Json) -> None:
        if delegation.get("target") != "client":
            return
        self._calls.add(delegation["id"])
        if self._is_searching:
            self._stream.delegated(delegation["id"])
        else:
            self._append("commentary", '{"status": "nothing_found"}', delegation["id"])

    def _failed(self, fault: Json) -> Iterable[Json]:
        end_if_terminal(fault)
        code, event_id = fault.get("code") or "", fault.get("client_event_id") or ""
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
        self._stream.pause()
        self._tell_stream()

    def _tell_stream(self) -> None:
        for event in self._stream.drain():
            self.tell(event)

    async def aclose(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with suppress(SpeakerLost):
            self._speaker.send({"type": "session.close"})
        await super().aclose()


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
        if text:
            role = "developer" if role == "system" else role
            kind = "output_text" if role == "assistant" else "input_text"
            content = [{"type": kind, "text": text}]
            seeds.append({"type": "message", "role": role, "content": content})
    return seeds[::-1]
