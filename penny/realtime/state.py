"""What the parts of the core share: one session's state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from penny.realtime.commands import Json
from penny.realtime.conversation import Conversation
from penny.realtime.input_buffer import InputBuffer
from penny.realtime.items import Item
from penny.realtime.kept_audio import KeptAudio
from penny.realtime.outbox import Outbox
from penny.realtime.settings import CoreSettings


@dataclass(slots=True)
class SessionState:
    """One session. ``session`` is the effective GA session object.

    Attributes:
        audio: of the newest items.
        spoke: audio was sent, so the voice is frozen.
        language: of the caller, as last heard.
    """

    settings: CoreSettings
    new_id: Callable[[str], str]
    outbox: Outbox
    session: Json
    conversation: Conversation
    audio: KeptAudio = field(default_factory=lambda: KeptAudio(0))
    buffer: InputBuffer = field(default_factory=InputBuffer)
    spoke: bool = False
    language: str | None = None

    @property
    def turn_detection(self) -> Json | None:
        found: Json | None = self.session["audio"]["input"]["turn_detection"]
        return found

    @property
    def transcribes(self) -> bool:
        return self.session["audio"]["input"]["transcription"] is not None

    def announce_item(self, item: Item, previous: str | None) -> None:
        """Send that a whole item is now in the conversation."""
        for event in ("conversation.item.added", "conversation.item.done"):
            self.outbox.send(event, previous_item_id=previous, item=item.to_json())
