"""Who says what: speech, transcripts, audio, interruptions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .message import ClientMessage, ItemId, Milliseconds, ResponseId, ServerEvent, TurnId


Role = Literal["user", "penny"]
ResponseStatus = Literal["completed", "cancelled", "failed", "incomplete"]


class TextInput(ClientMessage):
    """A typed turn: answered as if it had been spoken."""

    type: Literal["text_input"] = "text_input"
    text: Annotated[str, Field(min_length=1, max_length=4_000, pattern=r"\S")]
    """What the caller typed; 1 to 4000 characters."""


class Playback(ClientMessage):
    """What the client has really played of an item. Interruptions cut the history to it."""

    type: Literal["playback"] = "playback"
    item_id: ItemId
    """The item, as in ``audio_started``."""
    played_ms: Annotated[int, Field(ge=0, le=86_400_000)]
    """Audio of this item that left the loudspeaker, in ms since the item began."""
    ended: bool = False
    """True in the last report of an item: no more of it will be played (all was, or the rest
    was dropped)."""


class Interrupt(ClientMessage):
    """The caller pressed a button: stop talking. Answered by ``interruption`` if Penny talks."""

    type: Literal["interrupt"] = "interrupt"


class SpeechStarted(ServerEvent):
    """The caller began to speak."""

    type: Literal["speech_started"] = "speech_started"
    turn_id: TurnId
    """The turn that begins."""
    at_ms: Milliseconds
    """Onset, in ms of audio received since the session began."""


class SpeechStopped(ServerEvent):
    """The caller's turn is over."""

    type: Literal["speech_stopped"] = "speech_stopped"
    turn_id: TurnId
    """The turn that ended."""
    at_ms: Milliseconds
    """End of speech, in ms of audio received since the session began."""


class TranscriptDelta(ServerEvent):
    """More text of one side, as it becomes known. Append it to the item's text so far."""

    type: Literal["transcript_delta"] = "transcript_delta"
    role: Role
    """Who says it."""
    turn_id: TurnId
    """The turn it belongs to."""
    item_id: ItemId
    """The item it belongs to."""
    delta: str
    """Text to append, spaces included."""


class TranscriptFinal(ServerEvent):
    """The whole text of an item. Replaces what the deltas gave."""

    type: Literal["transcript_final"] = "transcript_final"
    role: Role
    """Who says it."""
    turn_id: TurnId
    """The turn it belongs to."""
    item_id: ItemId
    """The item it belongs to."""
    text: str
    """For ``user`` what was understood; for ``penny`` what was generated."""
    understood: bool | None = None
    """``user`` only: false when the ears rejected what they heard; null when they cannot tell."""
    language: str | None = None
    """BCP-47 language of the text; null when unknown."""
    heard: str | None = None
    """``penny`` only: what the caller heard, when already known; else ``transcript_heard``
    tells."""


class TranscriptHeard(ServerEvent):
    """What the caller really heard of an item of Penny's, once its playback is over."""

    type: Literal["transcript_heard"] = "transcript_heard"
    turn_id: TurnId
    """The turn it belongs to."""
    item_id: ItemId
    """Penny's item."""
    text: str
    """The words that were heard."""
    heard_ms: Milliseconds
    """Audio of the item that was heard."""
    complete: bool
    """True when the item was heard to its end."""


class AudioStarted(ServerEvent):
    """The binary messages that follow are the audio of this item, until ``audio_done``."""

    type: Literal["audio_started"] = "audio_started"
    turn_id: TurnId
    """The turn being answered."""
    response_id: ResponseId
    """The response it belongs to."""
    item_id: ItemId
    """The item whose audio follows; ``playback`` reports name it."""


class AudioDone(ServerEvent):
    """No more audio of this item follows."""

    type: Literal["audio_done"] = "audio_done"
    turn_id: TurnId
    """The turn being answered."""
    response_id: ResponseId
    """The response it belongs to."""
    item_id: ItemId
    """The item whose audio is complete."""
    duration_ms: Milliseconds
    """Audio sent of this item."""


class Interruption(ServerEvent):
    """The caller stopped Penny: drop all audio not yet played, then report ``playback`` once."""

    type: Literal["interruption"] = "interruption"
    turn_id: TurnId
    """The turn whose answer was cut."""
    item_id: ItemId | None = None
    """The item that was being heard; null when no audio of the response had begun."""
    heard_ms: Milliseconds
    """Audio of the item that was heard."""
    heard_text: str
    """The words that were heard: what the history keeps."""
    cut_text: str
    """The words that were not."""


class ResponseDone(ServerEvent):
    """A response ended. Its audio may still be playing at the client."""

    type: Literal["response_done"] = "response_done"
    turn_id: TurnId
    """The turn that was answered."""
    response_id: ResponseId
    """The response."""
    status: ResponseStatus
    """How it ended; ``cancelled`` when the caller interrupted."""
