"""One item of a private session's conversation, as another worker is told of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from penny.audio.format import AudioFormat
from penny.turns.heard import HeardText


Json = dict[str, Any]


@dataclass(slots=True)
class Entry:
    """One item of the conversation. ``audio`` is base64 of what the caller said, until its words
    are known."""

    id: str
    body: Json
    audio: list[str] = field(default_factory=list)
    heard: HeardText | None = None
    sounded: int = 0
    """Bytes of an answer's audio that ``heard`` does not know of yet."""
    complete: bool = True
    told: bool = True
    """The caller's side knows of it: the worker has acknowledged it."""

    def place_audio(self, spoken: AudioFormat) -> None:
        """Tell ``heard`` of the audio so far: now and then, not for every piece."""
        if self.heard is not None:
            self.heard.audio(spoken.ms_of(self.sounded))
            self.sounded = 0

    def seed(self) -> Json | None:
        """The item for another worker; None when there is nothing to tell it."""
        if self.heard is not None:
            text = self.heard.spoken
            if not self.complete or not text.strip():
                return None
            content = [{"type": "output_text", "text": text}]
            return {"id": self.id, "type": "message", "role": "assistant", "content": content}
        if self.audio:
            part = {"type": "input_audio", "audio": "".join(self.audio)}
            return {"id": self.id, "type": "message", "role": "user", "content": [part]}
        return {"id": self.id, **self.body} if self.body else None
