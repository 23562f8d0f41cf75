"""The excuse in the worker's own voice, kept for the moment when there is no worker to say it.

The first session in a language and voice has its worker say the sentence once, outside the
conversation; the audio is kept here. The gateway holds no engine and needs none. A Realtime
client's worker is its own business: only sessions of Penny's own edges record.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any

from brain.texts import texts_of
from modes.self_hosted.spoken_response import say


Json = dict[str, Any]

MARK = "penny_excuse"
MAX_KEPT = 32
"""Recordings kept, of about 200 kB each; past that new voices excuse themselves afterwards."""
MAX_DELTAS = 1_000
Key = tuple[str, str]
"""Language and voice."""


@dataclass(slots=True)
class Excuse:
    """A spoken sentence. ``deltas`` are base64 of PCM16 at 24 kHz, as they came."""

    text: str
    language: str
    deltas: list[str] = field(default_factory=list)

    def request(self) -> Json:
        """What makes a worker say it, unheard by the caller."""
        return {
            "type": "response.create",
            "response": {
                "conversation": "none",
                "instructions": texts_of(self.language)["say"].format(self.text),
                "metadata": {"penny_say": self.text, MARK: "1"},
            },
        }

    def events(self, session: Json) -> list[Json]:
        """The sentence as an answer of the speaker's, whole, in the order of the protocol.

        ``session`` is the effective one: its format is what the caller hears.
        """
        return say(self.text, map(b64decode, self.deltas), session, aside=False)


class ExcuseRecorder:
    """Takes the recording out of one session's events.

    Args:
        records: whether this session may have its worker say the sentence.
    """

    def __init__(
        self, kept: dict[Key, Excuse], key: Key, text: str, *, records: bool = True
    ) -> None:
        self._kept = kept
        self._records = records
        self._key = key
        self._excuse = Excuse(text, key[0])
        self.response_id = ""
        """Of the recording; empty before there is one."""
        self._limits_due = False

    @property
    def recorded(self) -> Excuse | None:
        return self._kept.get(self._key)

    def request(self) -> Json | None:
        """What to send to have it recorded; None when it is, or there is no room."""
        if not self._records or self.recorded is not None or len(self._kept) >= MAX_KEPT:
            return None
        return self._excuse.request()

    def spoken_afterwards(self) -> Json:
        """What makes the next worker say it, where nothing was recorded in time."""
        request = self._excuse.request()
        response = request["response"]
        del response["conversation"], response["metadata"][MARK]
        return request

    def takes(self, event: Json) -> bool:
        """Whether ``event`` is the recording's own, which the caller must not see."""
        kind = event["type"]
        if not self.response_id and kind != "response.created":
            return False
        response: Json = event.get("response") or {}
        if kind == "response.created" and MARK in (response.get("metadata") or {}):
            self.response_id = response["id"]
            return True
        if kind == "rate_limits.updated" and self._limits_due:
            self._limits_due = False  # it follows every response
            return True
        if kind == "response.done" and response.get("id") == self.response_id:
            self._limits_due = True
            if response.get("status") == "completed" and self._excuse.deltas:
                self._kept.setdefault(self._key, self._excuse)
            return True
        if event.get("response_id") != self.response_id:
            return False
        if kind == "response.output_audio.delta" and len(self._excuse.deltas) < MAX_DELTAS:
            self._excuse.deltas.append(event["delta"])
        return True
