"""A response of Penny's own making: what a speaker would send if it said a sentence. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Any

from penny.audio.convert import Converter
from penny.ids import new_id
from penny.realtime.formats import CORE_FORMAT, WIRE_FORMATS
from penny.realtime.usage import Usage


Json = dict[str, Any]


def say(text: str, pcm24k: Iterable[bytes], session: Json, *, aside: bool) -> list[Json]:
    """The Realtime server events of a response with one item, in the order of the protocol.

    Args:
        pcm24k: its sound, PCM16 at 24 kHz; one delta for each piece.
        session: the effective one: its output format, and whether there is sound at all.
        aside: out of band: said and heard, but no part of the conversation.
    """
    spoken = "audio" in (session.get("output_modalities") or ["audio"])
    item: Json = {
        "id": new_id("item"),
        "object": "realtime.item",
        "type": "message",
        "role": "assistant",
    }
    response: Json = {
        "id": new_id("resp"),
        "object": "realtime.response",
        "conversation_id": None if aside else new_id("conv"),
        "metadata": None,
        "status_details": None,
    }
    begun = {**item, "status": "in_progress", "content": []}
    part = _part("output_audio" if spoken else "output_text", text)
    ended = {**item, "status": "completed", "content": [part]}
    within: Json = {"response_id": response["id"], "output_index": 0}
    at: Json = {**within, "item_id": item["id"], "content_index": 0}
    shown = "audio" if spoken else "text"
    words = "response.output_audio_transcript" if spoken else "response.output_text"

    events: list[Json] = [
        {
            "type": "response.created",
            "response": {**response, "status": "in_progress", "output": []},
        },
        {"type": "response.output_item.added", **within, "item": begun},
        {"type": "conversation.item.added", "item": begun},
        {"type": "response.content_part.added", **at, "part": _part(shown, "")},
        {"type": f"{words}.delta", **at, "delta": text},
    ]
    if spoken:
        events.extend(
            {"type": "response.output_audio.delta", **at, "delta": delta}
            for delta in _sound(pcm24k, session)
        )
        events.append({"type": "response.output_audio.done", **at})
    whole = {"status": "completed", "output": [ended], "usage": Usage().to_json()}
    events += [
        {"type": f"{words}.done", **at, "transcript" if spoken else "text": text},
        {"type": "response.content_part.done", **at, "part": _part(shown, text)},
        {"type": "conversation.item.done", "item": ended},
        {"type": "response.output_item.done", **within, "item": ended},
        {"type": "response.done", "response": {**response, **whole}},
    ]
    return [
        {"event_id": new_id("event"), **event}
        for event in events
        if not (aside and event["type"].startswith("conversation."))
    ]


def _part(kind: str, words: str) -> Json:
    return {"type": kind, "transcript" if kind.endswith("audio") else "text": words}


def _sound(pcm24k: Iterable[bytes], session: Json) -> Iterator[str]:
    """Base64 in the session's output format."""
    wire = ((session.get("audio") or {}).get("output") or {}).get("format") or {}
    converter = Converter(CORE_FORMAT, WIRE_FORMATS.get(wire.get("type", ""), CORE_FORMAT))
    for piece in pcm24k:
        if data := converter.process(piece):
            yield b64encode(data).decode("ascii")
    if tail := converter.flush():
        yield b64encode(tail).decode("ascii")
