"""conversation.item.*: create, retrieve, truncate, delete."""

from __future__ import annotations

import json

from pybase64 import b64encode_as_string

from penny.audio.convert import Converter
from penny.realtime.commands import ItemAudio, Json
from penny.realtime.errors import ClientError
from penny.realtime.fields import check_id, check_integer, check_string, need
from penny.realtime.formats import CORE_FORMAT, WIRE_FORMATS, InputDecoder
from penny.realtime.items import Item, parse_item
from penny.realtime.parse import decode_audio
from penny.realtime.speech import BYTES_PER_MS
from penny.realtime.state import SessionState


class Dialogue:
    """Carries out what a client asks of the conversation's items."""

    def __init__(self, state: SessionState) -> None:
        self._state = state

    def create(self, message: Json) -> None:
        """Add a client's item where it wants it; its audio goes to be transcribed.

        Raises:
            ClientError: a wrong field, a taken id, or no such previous item.
        """
        state, settings = self._state, self._state.settings
        given = need(message, "item", "item")
        body, audio = parse_item(given, "item", settings)
        item_id = state.new_id("item")
        if given.get("id") is not None:
            item_id = check_id(given["id"], "item.id", settings.max_id_chars)
        after = message.get("previous_item_id")
        if after is not None:
            after = check_string(after, "previous_item_id")
        item = Item(item_id, body, chars=len(json.dumps(body)))
        pcm = b"" if audio is None else self._decode(item, audio)
        previous = state.conversation.insert(item, after)
        state.audio.add(item.id, pcm)
        state.announce_item(item, previous)
        if item.pending:
            state.outbox.command(ItemAudio(item.id, pcm, item.transcribe))

    def _decode(self, item: Item, audio: object) -> bytes:
        state, index = self._state, item.find_audio_part()
        param = f"item.content[{index}].audio"
        data = decode_audio(audio, param, state.settings.max_append_bytes)
        pcm = InputDecoder(state.session["audio"]["input"]["format"]).feed(data)
        item.audio_ms = len(pcm) // BYTES_PER_MS
        item.pending = item.body["content"][index]["transcript"] is None
        item.transcribe = item.pending and state.transcribes
        return pcm

    def retrieve(self, message: Json) -> None:
        """Show an item as it stands.

        Raises:
            ClientError: no such item.
        """
        item_id = self._read_id(message)
        item = self._state.conversation.find(item_id)
        if item is None:
            raise _missing("retrieve", "retrieving", item_id)
        self._state.outbox.send("conversation.item.retrieved", item=self._show(item))

    def _show(self, item: Item) -> Json:
        """The item with its audio, as far as that was kept: an answer's as far as it was heard."""
        shown = item.to_json()
        pcm = self._state.audio.find(item.id)
        if not pcm or not shown["content"]:
            return shown
        side = "input"
        if item.speech is not None:
            side, pcm = "output", pcm[: item.speech.heard_ms * BYTES_PER_MS]
        converter = Converter(
            CORE_FORMAT, WIRE_FORMATS[self._state.session["audio"][side]["format"]["type"]]
        )
        wire = converter.process(pcm) + converter.flush()
        for part in shown["content"]:
            if part["type"] == f"{side}_audio":
                part["audio"] = b64encode_as_string(wire)
        return shown

    def delete(self, message: Json) -> None:
        """Delete an item; a second time is acknowledged too.

        Raises:
            ClientError: no such item.
        """
        item_id = self._read_id(message)
        conversation = self._state.conversation
        if item_id in conversation:
            conversation.delete(item_id)
            self._state.audio.drop(item_id)
        elif not conversation.was_deleted(item_id):
            raise _missing("delete", "deleting", item_id)
        self._state.outbox.send("conversation.item.deleted", item_id=item_id)

    def truncate(self, message: Json) -> None:
        """Cut an answer to what was heard; a position past its end is clamped.

        Raises:
            ClientError: no such item, no answer with audio, or a wrong index or position.
        """
        state = self._state
        item_id = self._read_id(message)
        index = check_integer(need(message, "content_index", "content_index"), "content_index")
        wanted = check_integer(need(message, "audio_end_ms", "audio_end_ms"), "audio_end_ms")
        item = state.conversation.find(item_id)
        if item is None:
            if not state.conversation.was_deleted(item_id):
                raise _missing("truncate", "truncating", item_id)
            self._acknowledge_cut(item_id, index, 0)
            return
        if item.speech is None:
            raise ClientError(
                "unsupported_content_type",
                "Only model output audio messages can be truncated; delete other items instead.",
                "item_id",
            )
        if index != 0:
            raise ClientError(
                "invalid_value",
                f"Invalid 'content_index': item '{item_id}' has its audio at index 0.",
                "content_index",
            )
        item.apply("truncate")
        self._acknowledge_cut(item_id, index, item.speech.truncate(wanted))
        if state.settings.penny_events:
            heard = item.speech.heard_text()
            ms = item.speech.heard_ms
            state.outbox.send("penny.item.heard", item_id=item_id, audio_ms=ms, transcript=heard)

    def _acknowledge_cut(self, item_id: str, index: int, audio_end_ms: int) -> None:
        self._state.outbox.send(
            "conversation.item.truncated",
            item_id=item_id,
            content_index=index,
            audio_end_ms=audio_end_ms,
        )

    def _read_id(self, message: Json) -> str:
        return check_id(need(message, "item_id", "item_id"), "item_id", 512)


def _missing(verb: str, doing: str, item_id: str) -> ClientError:
    return ClientError(
        f"item_{verb}_invalid_item_id",
        f"Error {doing} item: the item with id '{item_id}' does not exist.",
        "item_id",
    )
