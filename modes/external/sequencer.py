"""One response at a time: when ``response.create`` goes out. Pure.

Servers refuse a second response while one is active, and a creation right behind a cancellation.
So a request becomes *requested* when it is sent, not when it is confirmed; a further one waits
until ``response.done``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Literal


Json = dict[str, Any]
State = Literal["idle", "requested", "active", "cancelling"]
Input = Literal["request", "created", "done", "cancel", "refused", "busy", "nothing_to_cancel"]

TABLE: dict[tuple[State, Input], State] = {
    ("idle", "request"): "requested",
    ("idle", "created"): "active",  # the server's own turn detection
    ("requested", "created"): "active",
    ("requested", "done"): "idle",  # done without created: a known race of interruptions
    ("requested", "refused"): "idle",
    ("requested", "busy"): "active",  # the server began one of its own in the same moment
    ("requested", "cancel"): "cancelling",
    ("active", "done"): "idle",
    ("active", "cancel"): "cancelling",
    ("active", "busy"): "active",
    ("cancelling", "created"): "cancelling",
    ("cancelling", "done"): "idle",
    ("cancelling", "refused"): "idle",
    ("cancelling", "nothing_to_cancel"): "idle",
}
"""What is not in it changes nothing."""

WAITING = 8
FINISHED = 64


@dataclass(slots=True)
class _Request:
    params: Json | None
    event_id: str


class ResponseSequencer:
    """Each call returns the client events to send now, in order."""

    def __init__(self) -> None:
        self.state: State = "idle"
        self.active_id = ""
        self._asked: _Request | None = None
        self._waiting: deque[_Request] = deque()
        self._finished: deque[str] = deque(maxlen=FINISHED)

    @property
    def is_idle(self) -> bool:
        return self.state == "idle" and not self._waiting

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def request(self, params: Json | None, event_id: str) -> list[Json] | None:
        """Ask for a response; None when too many wait already.

        Requests without parameters are one: whatever was said meanwhile, one answer covers it.
        """
        if self.state == "idle":
            return self._ask(_Request(params, event_id))
        if params is None and any(each.params is None for each in self._waiting):
            return []
        if len(self._waiting) >= WAITING:
            return None
        self._waiting.append(_Request(params, event_id))
        return []

    def created(self, response_id: str) -> list[Json]:
        was_cancelling = self.state == "cancelling"
        self._step("created")
        self.active_id = response_id
        return [_cancel(response_id)] if was_cancelling else []

    def done(self, response_id: str) -> list[Json]:
        """A response ended. The trailing end of one that is over already changes nothing."""
        if response_id in self._finished:
            return []
        if self.active_id and response_id != self.active_id:
            return []
        self._finished.append(response_id)
        self._step("done")
        return self._next()

    def cancel(self, response_id: str | None = None) -> list[Json]:
        """Stop the response; what waits is dropped with it."""
        self._waiting.clear()
        if response_id and self.active_id and response_id != self.active_id:
            return []
        before = self.state
        self._step("cancel")
        if before == "active":
            return [_cancel(self.active_id)]
        return []

    def refused(self, event_id: str, code: str) -> list[Json] | None:
        """An error came; None when it is not about a request of ours."""
        if code == "response_cancel_not_active":
            self._step("nothing_to_cancel")
            return self._next() if self.state == "idle" else []
        asked = self._asked
        if asked is None or asked.event_id != event_id:
            return None
        self._asked = None
        if code == "conversation_already_has_active_response":
            self._waiting.appendleft(asked)
            self._step("busy")
            return []
        self._step("refused")
        return self._next()

    def speech_began(self) -> None:
        """The caller speaks again: their own turn will be answered, nothing waits for the old."""
        self._waiting = deque(each for each in self._waiting if each.params is not None)

    def reset(self) -> bool:
        """The upstream is another one; True when a response was lost with the old."""
        lost = self.state in ("requested", "active")
        self.state, self.active_id, self._asked = "idle", "", None
        return lost

    def flush(self) -> list[Json]:
        """After a reset: ask for what waits."""
        return self._next() if self.state == "idle" else []

    def _ask(self, request: _Request) -> list[Json]:
        self._step("request")
        self._asked = request
        event: Json = {"type": "response.create", "event_id": request.event_id}
        if request.params is not None:
            event["response"] = request.params
        return [event]

    def _next(self) -> list[Json]:
        self.active_id = ""
        return self._ask(self._waiting.popleft()) if self._waiting else []

    def _step(self, what: Input) -> None:
        self.state = TABLE.get((self.state, what), self.state)


def _cancel(response_id: str) -> Json:
    return {"type": "response.cancel", "response_id": response_id}
