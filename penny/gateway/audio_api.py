"""`/v1/audio/transcriptions`, `/v1/audio/speech`: files for the private mode's engines.

Each request is a session of the private mode of its own, under the same limits; no vendor hears it
and no record of a call is kept.
"""

from __future__ import annotations

import asyncio
import io
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import orjson
import soundfile
from aiohttp import BodyPartReader, web

from penny.aio.audio_files import decode
from penny.audio.windows import cut_quietly
from penny.dense import check_values
from penny.errors import EngineError, Forbidden, PennyError, ProtocolError, SpeakerLost
from penny.gateway.audio_forms import (
    LISTS,
    MAX_FILE_BYTES,
    Heard,
    SpeechWish,
    TranscriptionWish,
    cut_text,
    tell,
    whole_text,
)
from penny.gateway.gate import Gate
from penny.gateway.json_routes import read_as
from penny.gateway.realtime import BODY_WAIT_S, RealtimeDoor, refuse
from penny.session.mode import Speaker
from penny.writable import dump_json


Json = dict[str, Any]

EDGE = "file"
PRIVATE = "penny-self-hosted"
RATE_HZ = 24_000
LONGEST_MS, BACK_MS = 25_000, 8_000
"""Whisper's window is 30 s."""
LEAST_BYTES = RATE_HZ * 2 // 5
"""0.2 s: what is shorter is filled with silence; under 0.1 s nothing can be committed."""
PIECE_BYTES = RATE_HZ * 2
SAID_CHARS = 500
"""OpenAI's limit of a value in ``metadata`` is 512."""
UPLOAD_WAIT_S = 120.0
TYPES = {
    "mp3": ("audio/mpeg", "MP3", "MPEG_LAYER_III"),
    "opus": ("audio/ogg", "OGG", "OPUS"),
    "flac": ("audio/flac", "FLAC", "PCM_16"),
    "wav": ("audio/wav", "WAV", "PCM_16"),
}
SSE = "text/event-stream"


class Conversation:
    """One session with the engines, as a sink: its events wait until they are read."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._events: asyncio.Queue[Json | SpeakerLost] = asyncio.Queue()
        speaker.start(self)

    def on_event(self, event: Json) -> None:
        self._events.put_nowait(event)

    def on_closed(self, error: SpeakerLost | None) -> None:
        self._events.put_nowait(error or SpeakerLost("the worker ended; try again"))

    async def events(self) -> AsyncIterator[Json]:
        """What comes next. Raises SpeakerLost, ProtocolError (the session refused something)."""
        while True:
            event = await self._events.get()
            if isinstance(event, SpeakerLost):
                raise event
            if event["type"] == "error":
                fault = event["error"]
                raise ProtocolError(str(fault.get("message")), field=fault.get("param"))
            yield event

    async def hear(self, pcm16: bytes, start_ms: float) -> Heard:
        """Recognise one window. Raises PennyError."""
        for at in range(0, len(pcm16), PIECE_BYTES):
            audio = b64encode(pcm16[at : at + PIECE_BYTES]).decode()
            self._speaker.send({"type": "input_audio_buffer.append", "audio": audio})
            await self._speaker.drain()
        if len(pcm16) < LEAST_BYTES:
            audio = b64encode(bytes(LEAST_BYTES - len(pcm16))).decode()
            self._speaker.send({"type": "input_audio_buffer.append", "audio": audio})
        self._speaker.send({"type": "input_audio_buffer.commit"})
        known: Json = {}
        async for event in self.events():
            match event["type"]:
                case "penny.transcript":
                    known = event
                case "conversation.item.input_audio_transcription.completed":
                    return Heard(
                        event["transcript"].strip(),
                        start_ms,
                        start_ms + len(pcm16) * 500 / RATE_HZ,
                        known.get("language", ""),
                        known.get("confidence"),
                        known.get("words", ()),
                    )
                case "conversation.item.input_audio_transcription.failed":
                    raise EngineError(str(event["error"].get("message")), stage="stt")
        raise AssertionError("events end by an exception")

    async def say(self, text: str) -> AsyncIterator[bytes]:
        """PCM16 at 24 000 Hz of a text, word for word, as it comes. Raises PennyError."""
        for piece in cut_text(text, SAID_CHARS):
            response = {"conversation": "none", "metadata": {"penny_say": piece}}
            self._speaker.send({"type": "response.create", "response": response})
            async for event in self.events():
                if event["type"] == "response.output_audio.delta":
                    yield b64decode(event["delta"])
                elif event["type"] == "response.done":
                    if event["response"]["status"] != "completed":
                        raise EngineError("the voice failed; try again", stage="tts")
                    break


class AudioApi:
    """Serves both routes. The door is the one that opens Realtime sessions."""

    def __init__(self, door: RealtimeDoor, gate: Gate) -> None:
        self._door = door
        self._gate = gate

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/v1/audio/transcriptions", self._transcribe)
        app.router.add_post("/v1/audio/speech", self._speak)

    @asynccontextmanager
    async def _opened(self, request: web.Request, session: Json) -> AsyncIterator[Conversation]:
        """A session with the private mode's engines. Raises PennyError."""
        asked = await self._door.ask(request, {"model": PRIVATE, **session})
        if asked.identity.secret:
            raise Forbidden("a client secret opens sessions; send a key")
        try:
            async with (
                asyncio.timeout(self._gate.session_limits(asked.policy).max_s),
                self._door.opened(asked, EDGE, holds_playback=True) as speaker,
            ):
                yield Conversation(speaker)
        except TimeoutError:
            raise ProtocolError("it takes longer than a session may; send it in parts") from None

    # -- ears ---------------------------------------------------------------------------------

    async def _transcribe(self, request: web.Request) -> web.StreamResponse:
        try:
            identity = await self._gate.admit_page(request, "sessions:open")
            max_s = self._gate.session_limits(self._gate.policy(identity)).max_s
            content, wish = await _read_form(request)
            pcm16 = await decode(content, RATE_HZ, max_s)
            async with self._opened(request, _ears(wish)) as talk:
                if wish.stream:
                    return await self._stream_text(request, talk, pcm16)
                heard = [each async for each in _hear_all(talk, pcm16)]
            if "word" in wish.timestamp_granularities and not any(each.words for each in heard):
                raise ProtocolError(
                    "timestamp_granularities: these ears tell no times of words; ask for segment",
                    field="timestamp_granularities",
                )
            told = tell(heard, wish)
        except PennyError as error:
            return refuse(error)
        if isinstance(told, str):
            return web.Response(text=told)
        return web.Response(body=dump_json(told), content_type="application/json")

    async def _stream_text(
        self, request: web.Request, talk: Conversation, pcm16: bytes
    ) -> web.StreamResponse:
        """Each window's words as they are known; the first before anything is promised."""
        heard: list[Heard] = []
        response = web.StreamResponse(headers={"Content-Type": SSE, "Cache-Control": "no-store"})
        async for each in _hear_all(talk, pcm16):
            delta = f" {each.text}" if whole_text(heard) and each.text else each.text
            heard.append(each)
            if not response.prepared:
                await response.prepare(request)
            if delta:
                await response.write(_sse({"type": "transcript.text.delta", "delta": delta}))
        if not response.prepared:
            await response.prepare(request)
        await response.write(_sse({"type": "transcript.text.done", "text": whole_text(heard)}))
        await response.write_eof()
        return response

    # -- voice --------------------------------------------------------------------------------

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        try:
            await self._gate.admit_page(request, "sessions:open")
            wish = await _read_speech(request)
            voice = {"voice": wish.voice} if wish.voice else {}
            session = {"audio": {"output": {"speed": wish.speed, **voice}}}
            async with self._opened(request, session) as talk:
                if wish.response_format == "pcm":
                    return await self._stream_sound(request, talk, wish)
                pcm16 = b"".join([piece async for piece in talk.say(wish.input)])
            content_type, container, codec = TYPES[wish.response_format]
            body = await asyncio.to_thread(_encode, pcm16, container, codec)
        except PennyError as error:
            return refuse(error)
        return web.Response(body=body, content_type=content_type)

    async def _stream_sound(
        self, request: web.Request, talk: Conversation, wish: SpeechWish
    ) -> web.StreamResponse:
        """The sound as it is made; the first of it before anything is promised."""
        is_sse = wish.stream_format == "sse"
        response = web.StreamResponse(headers={"Content-Type": SSE if is_sse else "audio/pcm"})
        async for piece in talk.say(wish.input):
            if not response.prepared:
                await response.prepare(request)
            told = {"type": "speech.audio.delta", "audio": b64encode(piece).decode()}
            await response.write(_sse(told) if is_sse else piece)
        if not response.prepared:
            await response.prepare(request)
        if is_sse:
            await response.write(_sse({"type": "speech.audio.done"}))
        await response.write_eof()
        return response


def _ears(wish: TranscriptionWish) -> Json:
    """The transcription session that hears a file: windows are committed by hand."""
    named = {"model": wish.model, "language": wish.language, "prompt": wish.prompt}
    heard = {"transcription": {name: value for name, value in named.items() if value}}
    return {"type": "transcription", "audio": {"input": {"turn_detection": None, **heard}}}


async def _hear_all(talk: Conversation, pcm16: bytes) -> AsyncIterator[Heard]:
    at_ms = 0.0
    for window in cut_quietly(pcm16, RATE_HZ, LONGEST_MS, BACK_MS):
        yield await talk.hear(window, at_ms)
        at_ms += len(window) * 500 / RATE_HZ


async def _read_form(request: web.Request) -> tuple[bytes, TranscriptionWish]:
    """The file and the wish. Raises ProtocolError."""
    if request.content_type != "multipart/form-data":
        raise ProtocolError("Content-Type: send multipart/form-data with 'file'", field="file")
    content: bytes | None = None
    fields: Json = {}
    try:
        async with asyncio.timeout(UPLOAD_WAIT_S):
            async for part in await request.multipart():
                if not isinstance(part, BodyPartReader) or part.name is None:
                    raise ProtocolError("the form has a part without a name, or nested ones")
                raw = await _read_part(part)
                if part.name == "file":
                    content = raw
                elif part.name in LISTS:
                    fields.setdefault(LISTS[part.name], []).append(raw.decode())
                else:
                    fields[part.name] = raw.decode()
    except TimeoutError:
        raise ProtocolError(
            f"the body did not arrive within {UPLOAD_WAIT_S:g} s", code="request_timeout"
        ) from None
    except ValueError as error:
        raise ProtocolError(f"the body cannot be read: {error}") from error
    if content is None:
        raise ProtocolError("file: the form has none", field="file")
    return content, read_as(lambda: TranscriptionWish.model_validate(fields))


async def _read_part(part: BodyPartReader) -> bytes:
    body = bytearray()
    while piece := await part.read_chunk(1 << 16):
        body += piece
        if len(body) > MAX_FILE_BYTES:
            raise ProtocolError(
                f"{part.name}: is longer than {MAX_FILE_BYTES} bytes; send it in parts",
                code="too_long",
                field=part.name,
            )
    return bytes(body)


async def _read_speech(request: web.Request) -> SpeechWish:
    try:
        async with asyncio.timeout(BODY_WAIT_S):
            raw = await request.read()
        check_values(raw)
        body = orjson.loads(raw)
    except TimeoutError:
        raise ProtocolError("the body did not arrive in time", code="request_timeout") from None
    except orjson.JSONDecodeError as error:
        raise ProtocolError("the body is not JSON") from error
    wish: SpeechWish = read_as(lambda: SpeechWish.model_validate(body))
    if wish.stream_format == "sse" and wish.response_format != "pcm":
        raise ProtocolError(
            "response_format: as server-sent events, ask for pcm", field="response_format"
        )
    return wish


def _encode(pcm16: bytes, container: str, codec: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.frombuffer(pcm16, "<i2"), RATE_HZ, codec, format=container)
    return file.getvalue()


def _sse(event: Json) -> bytes:
    return b"data: " + dump_json(event) + b"\n\n"
