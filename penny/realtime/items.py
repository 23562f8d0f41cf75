"""Conversation items: what a client may create, how they look on the wire and in the context."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from penny.realtime.commands import Json
from penny.realtime.errors import ClientError
from penny.realtime.fields import check_choice, need
from penny.realtime.settings import CoreSettings
from penny.realtime.shapes import make_shapes
from penny.realtime.speech import Speech
from penny.realtime.table import ITEM, Staged


PHASES = ("commentary", "final_answer")
"""Of an assistant's message, as models that reason tell them apart."""
IMAGE = re.compile(r"data:image/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/]")
CONTENT_TYPES = {
    "user": ("input_text", "input_audio", "input_image"),
    "system": ("input_text",),
    "assistant": ("output_text", "output_audio"),
}


@dataclass(slots=True, eq=False)
class Item(Staged):
    """One item. ``body`` is its GA form without id, object and status.

    Attributes:
        state: in the table ``ITEM``; ``status`` is what the wire shows.
        audio_ms: audio of a user's item. An answer's is in ``speech``.
        chars: what a client's item takes of ``max_conversation_chars``.
        pending: the transcript is still to come.
        transcribe: the client wants transcription events for it.
    """

    table = ITEM

    id: str
    body: Json
    state: str = "completed"
    status: str = "completed"
    audio_ms: int = 0
    chars: int = 0
    pending: bool = False
    transcribe: bool = False
    speech: Speech | None = None

    def apply(self, event: str) -> bool:
        """Move along the table; False when ``event`` has no place now."""
        was_deleted = self.state == "deleted"
        if not Staged.apply(self, event):
            return False
        if was_deleted:
            self.status = {"finish": "completed", "interrupt": "incomplete"}[event]
        elif self.state != "deleted":
            self.status = self.state
        return True

    def find_audio_part(self) -> int:
        """Return the index of the part that holds the user's audio, in an item that has one."""
        kinds = [part["type"] for part in self.body["content"]]
        return kinds.index("input_audio")

    def set_transcript(self, text: str) -> None:
        self.body["content"][self.find_audio_part()]["transcript"] = text

    def to_json(self) -> Json:
        """Return the item as the wire shows it now: a copy, without audio."""
        body = self._copy_body()
        if self.speech is not None and body["content"]:
            is_cut = self.speech.is_cut
            body["content"][0]["transcript"] = (
                self.speech.heard_text() if is_cut else self.speech.text
            )
        shown = {"id": self.id, "object": "realtime.item", "type": body.pop("type")}
        return {**shown, "status": self.status, **body}

    def to_context(self) -> Json | None:
        """Return the item as an engine should know it: answers cut to the words heard.

        None when nothing of it belongs in the context: an answer not heard, a call not finished.
        """
        if self.body["type"] == "function_call" and self.state != "completed":
            return None
        shown = self.to_json()
        if self.speech is not None:
            heard = self.speech.heard_text()
            if not heard or not shown["content"]:
                return None
            shown["content"][0]["transcript"] = heard
        return shown

    def _copy_body(self) -> Json:
        body = dict(self.body)
        if "content" in body:
            body["content"] = [dict(part) for part in body["content"]]
        return body


def parse_item(value: object, param: str, settings: CoreSettings) -> tuple[Json, Any | None]:
    """Check a client's item.

    Returns:
        Its body, and the audio of its one audio part, not yet decoded.

    Raises:
        ClientError: the field at fault and what to send instead.
    """
    make_shapes(settings).item(value, param)
    given: Json = value  # type: ignore[assignment]  # checked
    kind = given["type"]
    if kind == "message":
        return _parse_message(given, param, settings)
    names = ("name", "call_id", "arguments") if kind == "function_call" else ("call_id", "output")
    return {"type": kind, **{name: given[name] for name in names}}, None


def _parse_message(given: Json, param: str, settings: CoreSettings) -> tuple[Json, Any | None]:
    role = check_choice(given["role"], f"{param}.role", CONTENT_TYPES)
    at = f"{param}.content"
    parts = [
        _parse_part(part, role, f"{at}[{index}]", settings)
        for index, part in enumerate(given["content"])
    ]
    sounds = [sound for part, sound in parts if part["type"] == "input_audio"]
    if len(sounds) > 1:
        raise ClientError("invalid_value", f"'{at}': send one 'input_audio' part per item.", at)
    body: Json = {"type": "message", "role": role, "content": [part for part, _ in parts]}
    if role == "assistant" and given.get("phase") is not None:
        body["phase"] = check_choice(given["phase"], f"{param}.phase", PHASES)
    return body, next(iter(sounds), None)


def _parse_part(part: Json, role: str, at: str, settings: CoreSettings) -> tuple[Json, Any | None]:
    type_at = f"{at}.type"
    kind = check_choice(need(part, "type", type_at), type_at, CONTENT_TYPES[role])
    if kind == "input_image":
        return _parse_image(part, at, settings), None
    if kind == "input_audio":
        if part.get("transcript") is None:
            need(part, "audio", f"{at}.audio")
        return {"type": kind, "transcript": part.get("transcript")}, part.get("audio")
    # Of an answer said elsewhere the words alone: its sound cannot be given, as with OpenAI.
    words = "transcript" if kind == "output_audio" else "text"
    return {"type": kind, words: need(part, words, f"{at}.{words}")}, None


def _parse_image(part: Json, at: str, settings: CoreSettings) -> Json:
    if not settings.accept_images:
        raise ClientError(
            "unsupported_content_type",
            f"'{at}.type': this model does not see images; describe it in 'input_text'.",
            f"{at}.type",
        )
    address = need(part, "image_url", f"{at}.image_url")
    if not (settings.accept_image_addresses or IMAGE.match(address)):
        raise ClientError(
            "invalid_value",
            f"Invalid '{at}.image_url': send the image itself, as data:image/png;base64,… (or "
            "jpeg, webp, gif).",
            f"{at}.image_url",
        )
    kept = {"type": "input_image", "image_url": address}
    if part.get("detail") is not None:
        kept["detail"] = check_choice(part["detail"], f"{at}.detail", ("auto", "low", "high"))
    return kept
