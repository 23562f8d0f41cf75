"""A core under test with the client and the engine on either side of it."""

from __future__ import annotations

import base64
import itertools
from typing import Any

from penny.realtime import commands as c
from penny.realtime.core import RealtimeCore
from penny.realtime.settings import CoreSettings
from tests.realtime_schema import assert_server_event_valid


Json = dict[str, Any]
MS = 48
NOW_S = 1_800_000_000.0


class Talk:
    """Drives a core; every event it emits is validated, every ``event_id`` must be new."""

    def __init__(self, *, opened: bool = True, **settings: Any) -> None:
        counters: dict[str, itertools.count[int]] = {}

        def new_id(prefix: str) -> str:
            return f"{prefix}_{next(counters.setdefault(prefix, itertools.count(1)))}"

        self.core = RealtimeCore(CoreSettings(**settings), new_id)
        self.events: list[Json] = []
        self.commands: list[c.Output] = []
        self._event_ids: set[str] = set()
        if opened:
            self.take(self.core.open(NOW_S))

    def take(self, outputs: list[c.Output]) -> list[Json]:
        events = [output.event for output in outputs if isinstance(output, c.Send)]
        for event in events:
            assert_server_event_valid(event)
            assert event["event_id"] not in self._event_ids
            self._event_ids.add(event["event_id"])
        self.events += events
        self.commands += [output for output in outputs if not isinstance(output, c.Send)]
        return events

    def send(self, kind: str, **fields: Any) -> list[Json]:
        return self.take(self.core.receive({"type": kind, **fields}))

    def raw(self, text: str | bytes) -> list[Json]:
        return self.take(self.core.receive(text))

    def report(self, *reports: c.EngineReport) -> list[Json]:
        return [event for report in reports for event in self.take(self.core.report(report))]

    def update(self, **session: Any) -> list[Json]:
        return self.send("session.update", session={"type": "realtime", **session})

    def append(self, ms: int) -> None:
        self.send("input_audio_buffer.append", audio=base64.b64encode(bytes(ms * MS)).decode())

    def say(self, text: str, **fields: Any) -> list[Json]:
        content = [{"type": "input_text", "text": text}]
        return self.create({"type": "message", "role": "user", "content": content}, **fields)

    def create(self, item: Json, **fields: Any) -> list[Json]:
        return self.send("conversation.item.create", item=item, **fields)

    def respond(self, **response: Any) -> str:
        """Ask for a response; return its id."""
        (created,) = self.send("response.create", response=response)
        assert created["type"] == "response.created", created
        return str(created["response"]["id"])

    def speak(self, start_ms: int = 0, end_ms: int = 1000) -> list[Json]:
        """The caller says something; audio, onset and end of turn as the engine reports them."""
        missing = end_ms + 200 - self.core._state.buffer.end_ms
        if missing > 0:
            self.append(missing)
        return self.report(c.SpeechStarted(start_ms), c.SpeechStopped(end_ms))

    def phrase(self, response_id: str, text: str, ms: int) -> list[Json]:
        return self.report(
            c.PhraseDelta(response_id, text), c.AudioDelta(response_id, bytes(ms * MS))
        )

    def truncate(self, item_id: str, ms: int, content_index: int = 0) -> list[Json]:
        return self.send(
            "conversation.item.truncate",
            item_id=item_id,
            content_index=content_index,
            audio_end_ms=ms,
        )

    def ask(self, response_id: str) -> c.GenerationRequest:
        request = self.core.request(response_id)
        assert request is not None
        return request

    def last_command(self, kind: type[Any]) -> Any:
        return next(each for each in reversed(self.commands) if isinstance(each, kind))


def kinds(events: list[Json]) -> list[str]:
    return [event["type"] for event in events]


def the_error(events: list[Json]) -> Json:
    """Return the one error among ``events``, which must be the only event."""
    (event,) = events
    assert event["type"] == "error"
    assert event["error"]["message"]
    return dict(event["error"])


def the(events: list[Json], kind: str) -> Json:
    (found,) = (event for event in events if event["type"] == kind)
    return found
