"""One response: what was asked of it, where it stands, and how the wire shows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from penny.realtime.commands import Json
from penny.realtime.errors import ClientError
from penny.realtime.formats import check_format
from penny.realtime.items import Item
from penny.realtime.session_config import with_types
from penny.realtime.settings import CoreSettings
from penny.realtime.shapes import make_shapes
from penny.realtime.table import RESPONSE, Staged
from penny.realtime.usage import Usage, count_output_audio


@dataclass(slots=True)
class ResponseOptions:
    """The session's settings at the moment of creation, with the response's own over them."""

    instructions: str
    tools: list[Json]
    tool_choice: str | Json
    modalities: list[str]
    voice: str | Json
    speed: float
    output_format: Json
    max_output_tokens: int | str
    metadata: Json | None = None
    in_conversation: bool = True
    input: list[Json] | None = None

    @property
    def voice_name(self) -> str:
        return str(self.voice["id"]) if isinstance(self.voice, dict) else self.voice


def take_options(session: Json) -> ResponseOptions:
    """Return the options of a response that overrides nothing."""
    output = session["audio"]["output"]
    return ResponseOptions(
        instructions=session["instructions"],
        tools=session["tools"],
        tool_choice=session["tool_choice"],
        modalities=session["output_modalities"],
        voice=output["voice"],
        speed=output["speed"],
        output_format=output["format"],
        max_output_tokens=session["max_output_tokens"],
    )


def parse_options(
    given: Json, session: Json, settings: CoreSettings, *, spoke: bool
) -> ResponseOptions:
    """Check the ``response`` of a response.create over the session's settings.

    ``input`` is only checked to be an array of objects: its items need the conversation.

    Raises:
        ClientError: a wrong value, or another voice after the first audio.
    """
    make_shapes(settings).response(given, "response")
    options = take_options(session)
    wanted = {name: value for name, value in given.items() if value is not None}
    options.instructions = wanted.get("instructions", options.instructions)
    options.tools = with_types(wanted.get("tools", options.tools))
    options.tool_choice = wanted.get("tool_choice", options.tool_choice)
    options.modalities = wanted.get("output_modalities", options.modalities)
    options.max_output_tokens = wanted.get("max_output_tokens", options.max_output_tokens)
    options.metadata = wanted.get("metadata")
    options.in_conversation = wanted.get("conversation") != "none"
    options.input = wanted.get("input")
    output = (wanted.get("audio") or {}).get("output") or {}
    if output.get("format") is not None:
        options.output_format = check_format(output["format"], "response.audio.output.format")
    voice = output.get("voice") or options.voice
    if spoke and voice != options.voice:
        raise ClientError(
            "cannot_update_voice",
            "Cannot change the voice once audio was sent; leave 'response.audio.output.voice' out.",
            "response.audio.output.voice",
        )
    options.voice = voice
    return options


@dataclass(slots=True)
class Response(Staged):
    """A response in flight or just ended; ``state`` is in the table ``RESPONSE``."""

    table = RESPONSE

    id: str
    options: ResponseOptions
    conversation_id: str | None
    context: list[Item] | None = None
    """Items to answer to in place of the conversation."""
    state: str = "created"
    output: list[Item] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

    def to_json(self, details: Json | None = None, *, ended: bool = False) -> Json:
        """Return the GA response object; with usage when it has ended."""
        if ended:
            self.usage.output_audio = sum(
                count_output_audio(item.speech.audio_ms) for item in self.output if item.speech
            )
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self.state if ended else "in_progress",
            "status_details": details,
            "output": [item.to_json() for item in self.output] if ended else [],
            "conversation_id": self.conversation_id,
            "output_modalities": list(self.options.modalities),
            "max_output_tokens": self.options.max_output_tokens,
            "audio": {
                "output": {
                    "format": dict(self.options.output_format),
                    "voice": self.options.voice_name,
                }
            },
            "usage": self.usage.to_json() if ended else None,
            "metadata": self.options.metadata,
        }
