"""Writes one response's output items on the wire as the engine reports them."""

from __future__ import annotations

import base64
from typing import Any

from penny.realtime.commands import Json
from penny.realtime.formats import OutputEncoder
from penny.realtime.items import Item
from penny.realtime.responses import Response
from penny.realtime.speech import Speech
from penny.realtime.state import SessionState


class Answer:
    """The output of one response: at most one message, and its function calls.

    The message opens with its first content and stays open until the response ends, so that the
    speech of a preamble may still arrive while a function call is written.
    """

    def __init__(self, state: SessionState, response: Response) -> None:
        self._state = state
        self.response = response
        self._message: Item | None = None
        self._calls: dict[str, Item] = {}
        self._encoder: OutputEncoder | None = None

    def write_text(self, text: str) -> None:
        message = self._open_message()
        message.body["content"][0]["text"] += text
        self._send_part("response.output_text.delta", message, delta=text)

    def write_words(self, words: str) -> None:
        message = self._open_message()
        assert message.speech is not None
        message.speech.add_words(words)
        self._send_part("response.output_audio_transcript.delta", message, delta=words)

    def write_audio(self, pcm: bytes) -> None:
        message = self._open_message()
        assert message.speech is not None
        if self._encoder is None:
            self._encoder = OutputEncoder(self.response.options.output_format)
        message.speech.add_audio(len(pcm))
        self._state.audio.add(message.id, pcm)
        self._send_audio(message, self._encoder.feed(pcm))

    def finish_speech(self) -> None:
        """The last phrase has all its audio, whatever the response ends with."""
        if self._message is not None and self._message.speech is not None:
            self._message.speech.finish()

    def _send_audio(self, message: Item, wire: bytes) -> None:
        if wire:
            # What is said beside the conversation leaves no assistant audio in it.
            self._state.spoke |= self.response.options.in_conversation
            delta = base64.b64encode(wire).decode()
            self._send_part("response.output_audio.delta", message, delta=delta)

    def write_call(self, call_id: str, name: str, arguments: str) -> None:
        if call_id in self._calls and self._calls[call_id].status == "completed":
            return
        item = self._open_call(call_id, name)
        item.body["arguments"] += arguments
        if arguments:
            self._send_call("response.function_call_arguments.delta", item, delta=arguments)

    def finish_call(self, call_id: str, name: str, arguments: str) -> None:
        """Close a call with its whole arguments; what was not sent as deltas is sent now."""
        if call_id in self._calls and self._calls[call_id].status == "completed":
            return
        item = self._open_call(call_id, name)
        sent = item.body["arguments"]
        if arguments.startswith(sent) and arguments != sent:
            rest = arguments[len(sent) :]
            self._send_call("response.function_call_arguments.delta", item, delta=rest)
        item.body["arguments"] = arguments
        self._finish_call(item)

    def close(self, event: str) -> None:
        """Close every open item. ``event`` is "finish" or "interrupt" of the table ``ITEM``."""
        for item in self.response.output:
            if item.status != "in_progress":
                continue
            if item is self._message:
                self._close_message(item, event)
            elif event == "finish":
                self._finish_call(item)
            else:
                # No arguments.done: clients act on it, and half a call must not be carried out.
                self._close_item(item, event)

    def _finish_call(self, item: Item) -> None:
        body = item.body
        self._send_call(
            "response.function_call_arguments.done",
            item,
            name=body["name"],
            arguments=body["arguments"],
        )
        self._close_item(item, "finish")

    def _close_message(self, item: Item, event: str) -> None:
        if item.speech is None:
            text = item.body["content"][0]["text"]
            self._send_part("response.output_text.done", item, text=text)
            part: Json = {"type": "text", "text": text}
        else:
            if event == "finish":
                item.speech.finish()
            words = item.speech.text
            self._send_part("response.output_audio.done", item)
            self._send_part("response.output_audio_transcript.done", item, transcript=words)
            part = {"type": "audio", "transcript": words}
        self._send_part("response.content_part.done", item, part=part)
        self._close_item(item, event)

    def _open_message(self) -> Item:
        if self._message is not None:
            return self._message
        audio = self.response.options.modalities == ["audio"]
        body = {"type": "message", "role": "assistant", "content": []}
        item = self._message = self._open_item(body)
        if audio:
            item.speech = Speech()
            item.body["content"].append({"type": "output_audio", "transcript": ""})
            part = {"type": "audio", "transcript": ""}
        else:
            item.body["content"].append({"type": "output_text", "text": ""})
            part = {"type": "text", "text": ""}
        self._send_part("response.content_part.added", item, part=part)
        return item

    def _open_call(self, call_id: str, name: str) -> Item:
        if call_id not in self._calls:
            body = {"type": "function_call", "name": name, "call_id": call_id, "arguments": ""}
            self._calls[call_id] = self._open_item(body)
        return self._calls[call_id]

    def _open_item(self, body: Json) -> Item:
        item = Item(self._state.new_id("item"), body, state="in_progress", status="in_progress")
        self.response.output.append(item)
        self._send_item("response.output_item.added", item)
        if self.response.options.in_conversation:
            previous = self._state.conversation.append(item)
            self._state.outbox.send(
                "conversation.item.added", previous_item_id=previous, item=item.to_json()
            )
        return item

    def _close_item(self, item: Item, event: str) -> None:
        item.apply(event)
        conversation = self._state.conversation
        if item.id in conversation:
            previous = conversation.find_previous(item.id)
            self._state.outbox.send(
                "conversation.item.done", previous_item_id=previous, item=item.to_json()
            )
        self._send_item("response.output_item.done", item)

    def _send_item(self, event_type: str, item: Item) -> None:
        self._send_output(event_type, item, {"item": item.to_json()})

    def _send_output(self, event_type: str, item: Item, fields: Json) -> None:
        index = self.response.output.index(item)
        self._state.outbox.send(
            event_type, response_id=self.response.id, output_index=index, **fields
        )

    def _send_part(self, event_type: str, item: Item, **fields: Any) -> None:
        self._send_output(event_type, item, {"item_id": item.id, "content_index": 0, **fields})

    def _send_call(self, event_type: str, item: Item, **fields: Any) -> None:
        call_id = item.body["call_id"]
        self._send_output(event_type, item, {"item_id": item.id, "call_id": call_id, **fields})
