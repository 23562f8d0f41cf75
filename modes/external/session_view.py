"""Two views of one session object: what the caller's side set, and what the upstream is told. Pure.

Penny adds to the upstream's session (her notes in the instructions, her tools, and turns that she
answers herself); the caller's side sees what it asked for and nothing of this.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any


Json = dict[str, Any]

PCM_BYTES_PER_MS = 48
G711_BYTES_PER_MS = 8


class SessionView:
    """Args:
    tools: Penny's own function tools.
    answers_turns: whether she creates the responses to spoken turns herself.
    transcription: her own wish; the brain needs the words even where the caller's side does not.
    shows_words: whether the caller's side gets transcription events from the start.
    """

    def __init__(
        self,
        tools: Sequence[Json],
        *,
        answers_turns: bool,
        transcription: Json,
        shows_words: bool = True,
    ) -> None:
        self._tools = list(tools)
        self._client_tools: list[Json] = []
        self.answers_turns = answers_turns
        self._client_creates = True
        self._detects_turns = True
        self._transcription = transcription
        self._client_transcription = transcription if shows_words else None
        self.in_bytes_per_ms = self.out_bytes_per_ms = PCM_BYTES_PER_MS

    @property
    def own_tools(self) -> frozenset[str]:
        return frozenset(tool["name"] for tool in self._tools)

    @property
    def shows_words(self) -> bool:
        """Whether the caller's side gets transcription events."""
        return self._client_transcription is not None

    def leave_turns(self) -> None:
        """Another speaker takes over, which answers turns by itself."""
        self.answers_turns = False

    @property
    def creates(self) -> bool:
        """Whether a finished turn is to be answered by us."""
        return self.answers_turns and self._client_creates and self._detects_turns

    def outward(self, session: Json, instructions: str | None) -> Json:
        """A client's session fields as the upstream gets them.

        ``instructions``: the whole context, in place of the client's own; None leaves it alone.
        """
        fields = copy.deepcopy(session)
        if instructions is not None and "instructions" in fields:
            fields["instructions"] = instructions
        if "tools" in fields:
            self._client_tools = list(fields["tools"] or ())
            fields["tools"] = self._client_tools + self._tools
        audio = fields.get("audio") or {}
        heard, spoken = audio.get("input") or {}, audio.get("output") or {}
        if heard.get("format"):
            self.in_bytes_per_ms = _bytes_per_ms(heard["format"])
        if spoken.get("format"):
            self.out_bytes_per_ms = _bytes_per_ms(spoken["format"])
        if "transcription" in heard:
            self._client_transcription = heard["transcription"]
            heard["transcription"] = heard["transcription"] or self._transcription
        if "turn_detection" in heard:
            detection = heard["turn_detection"]
            self._detects_turns = detection is not None
            if detection is not None:
                self._client_creates = detection.get("create_response", self._client_creates)
                if self.answers_turns:
                    heard["turn_detection"] = {**detection, "create_response": False}
        return fields

    def inward(self, session: Json, base_instructions: str) -> Json:
        """An effective session object as the caller's side is to see it."""
        fields = copy.deepcopy(session)
        fields.pop("expires_at", None)  # the upstream's end, which the call outlives
        if "instructions" in fields:
            fields["instructions"] = base_instructions
        own = self.own_tools
        if fields.get("tools"):
            fields["tools"] = [tool for tool in fields["tools"] if tool.get("name") not in own]
        heard = (fields.get("audio") or {}).get("input") or {}
        if self.answers_turns and heard.get("turn_detection"):
            heard["turn_detection"]["create_response"] = self._client_creates
        if "transcription" in heard and not self.shows_words:
            heard["transcription"] = None
        return fields


def _bytes_per_ms(audio_format: Json) -> int:
    return PCM_BYTES_PER_MS if audio_format.get("type") == "audio/pcm" else G711_BYTES_PER_MS
