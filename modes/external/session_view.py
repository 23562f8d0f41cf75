"""Two views of one session object: what the caller's side set, and what the upstream is told. Pure.

Penny adds to the upstream's session (notes in the instructions, tools, and turns for which it
creates the response); the caller's side sees what it asked for and nothing of this. What that
side asks for counts once the upstream has agreed to it (``session.updated``).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penny.audio.format import PCM24K, AudioFormat
from penny.realtime.formats import WIRE_FORMATS


Json = dict[str, Any]


class SessionView:
    """The session of one call. ``tools``: Penny's own; ``answers_turns``: whether Penny creates
    the responses to spoken turns; ``transcription``: what it asks for, whether the caller's side
    needs the words or not; ``shows_words``: whether that side gets them from the start."""

    def __init__(
        self,
        tools: Sequence[Json],
        *,
        answers_turns: bool,
        transcription: Json,
        shows_words: bool = True,
    ) -> None:
        self._tools = list(tools)
        self.answers_turns = answers_turns
        self._client_tools: frozenset[str] = frozenset()
        self._transcription = transcription
        self._client_transcription: Json | None = transcription if shows_words else None
        self._client_creates = True
        self._detection: str | None = "server_vad"
        self._take({})

    def _take(self, session: Json) -> None:
        self.session = session
        """What the upstream agreed to, or what the first one is asked for; outward."""
        self.input_format = _format_of(session, "input")
        self.output_format = _format_of(session, "output")

    @property
    def own_tools(self) -> frozenset[str]:
        """Names of Penny's tools; a client's tool of the same name is the client's."""
        return frozenset(tool["name"] for tool in self._tools) - self._client_tools

    @property
    def shows_words(self) -> bool:
        """Whether the caller's side gets transcription events."""
        return self._client_transcription is not None

    @property
    def detects_turns(self) -> bool:
        return self._detection is not None

    @property
    def wants_answers(self) -> bool:
        """Whether a turn that the speaker found the end of is to be answered, by whomever."""
        return self._client_creates and self.detects_turns

    @property
    def creates(self) -> bool:
        """Whether such a turn is answered by Penny."""
        return self.answers_turns and self.wants_answers

    def leave(self) -> None:
        """Another speaker takes over, which answers turns by itself and has none of our tools."""
        self.answers_turns, self._tools = False, []

    def begin(self, session: Json, wishes: Json) -> None:
        """What the first upstream is asked for: the house's own, the caller's side's over it."""
        self._take(self.outward(session, None))
        if wishes:
            self.accept(wishes)

    def accept(self, fields: Json) -> None:
        """A client's fields hold from now on."""
        if "tools" in fields:
            self._client_tools = _names(fields["tools"] or ())
        heard = way_of(fields, "input")
        if "transcription" in heard:
            self._client_transcription = heard["transcription"]
        if "turn_detection" in heard:
            self._detect(heard["turn_detection"])
        kept = {name: value for name, value in fields.items() if name != "instructions"}
        self._take(merge(self.session, self.outward(kept, None)))

    def _detect(self, detection: Json | None) -> None:
        """Another kind of turn detection begins with its own defaults."""
        kind = None if detection is None else detection.get("type", self._detection)
        if kind != self._detection:
            self._client_creates = True
            way_of(self.session, "input").pop("turn_detection", None)
        if detection is not None:
            self._client_creates = bool(detection.get("create_response", self._client_creates))
        self._detection = kind

    def outward(self, session: Json, instructions: str | None) -> Json:
        """A client's session fields as the upstream gets them, without a model, for which it would
        refuse them all. ``instructions``: the whole context, in place of the client's own."""
        fields = copy.deepcopy(session)
        fields.pop("model", None)
        if instructions is not None and "instructions" in fields:
            fields["instructions"] = instructions
        if "tools" in fields:
            # By name, the last of each; what has no name (MCP servers) stays.
            theirs = list({t.get("name") or id(t): t for t in fields["tools"] or ()}.values())
            names = _names(theirs)
            fields["tools"] = theirs + [tool for tool in self._tools if tool["name"] not in names]
        heard = way_of(fields, "input")
        if "transcription" in heard:
            heard["transcription"] = heard["transcription"] or self._transcription
        detection = heard.get("turn_detection")
        if detection is not None and self.answers_turns:
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
        heard = way_of(fields, "input")
        if self.answers_turns and heard.get("turn_detection"):
            heard["turn_detection"]["create_response"] = self._client_creates
        if "transcription" in heard and not self.shows_words:
            heard["transcription"] = None
        return fields


def _names(tools: Iterable[Json]) -> frozenset[str]:
    return frozenset(tool["name"] for tool in tools if "name" in tool)


def way_of(session: Json, way: str) -> Json:
    """A session's ``audio.input`` or ``audio.output``."""
    found: Json = (session.get("audio") or {}).get(way) or {}
    return found


def _format_of(session: Json, way: str) -> AudioFormat:
    told = way_of(session, way).get("format") or {}
    return WIRE_FORMATS.get(str(told.get("type")), PCM24K)


def merge(base: Mapping[str, object], fields: Mapping[str, object]) -> Json:
    """``fields`` over ``base``, objects merged."""
    merged: Json = dict(base)
    for name, value in fields.items():
        old = merged.get(name)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[name] = merge(old, value) if both else value  # type: ignore[arg-type]  # both dicts
    return merged
