"""The Realtime edge: any OpenAI Realtime client, carried through as it is.

What talks back already speaks the same protocol, so this edge translates nothing: it checks that
a message is an event of bearable size whose fields have the protocol's types, keeps Penny's own
events from clients that did not ask for them, and speaks for the server where no speaker can (the
first event, the last one). The client owns its playback, as the protocol has it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from penny.aio.websocket import SocketReceiver
from penny.edges.realtime.paced import DELETE, PIECE_CHARS, RETRIEVE, LongAppend, Retrieves
from penny.errors import ProtocolError
from penny.ids import new_id
from penny.realtime.errors import ClientError, describe_error
from penny.realtime.fields import check_string
from penny.realtime.parse import (
    check_audio_length,
    load_message,
    read_event_id,
    read_type,
)
from penny.realtime.session_config import TRANSCRIPTION
from penny.realtime.settings import CoreSettings
from penny.realtime.shapes import check_shape
from penny.session.edge import EdgeSink
from penny.trust.limits import MOST_REST_S, MessageRate
from penny.writable import dump_json


log = structlog.get_logger()

Json = dict[str, Any]

OUTBOUND_BYTES = 16 * 1024 * 1024
"""Waiting for a client that does not read; past that the session ends. One event is never too
long by itself: the longest (an item with its audio, retrieved) is sent alone."""
EVENT_COST_BYTES = 64
"""Of a waiting event beyond its text: tiny ones count too."""
LEAST_BYTES = {RETRIEVE: 2 * 1024 * 1024, "session.update": 256 * 1024}
"""What an event counts as at least, for its rate: an item may hold its audio, and an
update sets up a worker anew. What the answer is longer counts as it comes."""
ANSWER_AUDIO = "response.output_audio.delta"

MAX_MODEL_CHARS = 128
"""Of a model's name, as for a client secret."""

INTERNAL = frozenset({"penny.session", "penny.note"})
"""Penny's own events that are no client's business: the speaker's session, for observers."""

AUDIO = "input_audio_buffer.append"
_ENDS_A_RETRIEVE = ("conversation.item.retrieved", "error")
DOES_NOT_READ = "client_does_not_read"
GOODBYES: dict[str, tuple[int, str, str]] = {
    "time_limit": (1001, "session_expired", "Your session hit the maximum duration."),
    "drain": (1001, "server_shutting_down", "Penny is shutting down; connect again in a moment."),
    "operator": (1001, "session_ended", "An operator ended this session."),
    "speaker_lost": (1011, "speaker_lost", "The connection to what talks back ended."),
    "cost_limit": (1001, "cost_limit", "The session reached its cost ceiling."),
    DOES_NOT_READ: (1008, DOES_NOT_READ, "Too much waited for you to read it."),
    "error": (1011, "server_error", "Penny had a fault of her own; it was logged."),
}
"""Reason -> close code, error code and sentence. Any other reason closes with 1000 and no error."""


class EventConnection(Protocol):
    """What carries a client's events: a WebSocket, or a WebRTC data channel."""

    @property
    def close_code(self) -> int | None: ...

    @property
    def is_full(self) -> bool: ...

    @property
    def buffered(self) -> int: ...

    def start(self, receiver: SocketReceiver, /) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def slow_down(self, rest_s: float = ..., /) -> None: ...

    def send_text(self, data: bytes, /) -> None: ...

    def begin_close(self, code: int, reason: str, /) -> None: ...


class RealtimeEdge:
    """One Realtime client on its connection.

    Args:
        session_id: every session object it sees carries it: by it a kept call is found.
        model: the name the client asked for; every session object it sees carries it.
        may_rename: whether a ``session.model`` may take that name's place; None: no other may,
            because the address named one. Any other is left out, and the rest of its update holds.
        expires_at: Unix time at which the gateway ends the session; a speaker's earlier end counts.
        penny_events: whether it asked for ``penny.*``.
        check: raises ProtocolError for an event that this client may not send.
        max_message_bytes: a longer message is answered by an error and not taken.
        rate: of its messages; one too many is answered by an error and not taken.
        clock: seconds, for ``rate``.
    """

    name = "realtime"

    def __init__(
        self,
        connection: EventConnection,
        *,
        session_id: str,
        model: str,
        expires_at: int,
        penny_events: bool,
        may_rename: Callable[[str], bool] | None = None,
        check: Callable[[Json], None] | None = None,
        max_message_bytes: int = CoreSettings().max_message_bytes,
        rate: MessageRate | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._session_id = session_id
        self._model = model
        self._may_rename = may_rename
        self._expires_at = expires_at
        self._penny_events = penny_events
        self._has_expired = False
        self._limits = CoreSettings(max_message_bytes=max_message_bytes)
        self._check = check
        self._rate = rate or MessageRate(None)
        self._clock = clock
        self._outbound: deque[bytes] = deque()
        self._outbound_bytes = 0
        self._sink: EdgeSink | None = None
        self._retrieves = Retrieves(self._pass_on)
        self._long: LongAppend | None = None
        self._is_held = False
        self._has_left = False
        self._closed = False
        self.end_reason = "client_gone"

    # -- what the client sends ----------------------------------------------------------------

    def start(self, sink: EdgeSink) -> None:
        self._sink = sink
        if self._has_left:
            sink.on_closed()
        self._connection.start(self)

    def pause(self) -> None:
        self._is_held = True
        self._connection.pause()
        if self._long is not None:
            self._long.stop()

    def resume(self) -> None:
        self._is_held = False
        if self._long is not None:
            self._long.go_on()
        else:
            self._connection.resume()

    def on_message(self, data: str | bytes) -> None:
        event_id = None
        try:
            message = load_message(data, self._limits)
            if not _is_audio(message):
                event_id = read_event_id(message)
                message = self._checked(message, len(data))
            if message["type"] == AUDIO and _is_long(message["audio"]):
                self._begin_long(message)
                return
        except ProtocolError as error:
            self._post(error_event(error, event_id))
            return
        if message["type"] in (RETRIEVE, DELETE):
            self._retrieves.take(message)
        else:
            self._pass_on(message)

    def _pass_on(self, message: Json) -> None:
        if self._sink is not None and not self._has_left:
            self._sink.on_event(message)

    def _begin_long(self, message: Json) -> None:
        """Raises ClientError ``audio_too_large``."""
        check_audio_length(message["audio"], "audio", self._limits.max_append_bytes)
        self._long = LongAppend(message, self._pass_on, self._append_passed)
        self._connection.pause()
        self._long.go_on()

    def _append_passed(self) -> None:
        self._long = None
        if not self._is_held:
            self._connection.resume()

    def _checked(self, message: Json, size_bytes: int) -> Json:
        """Raises ProtocolError."""
        kind = read_type(message)
        check_shape(message)
        if kind == "session.update":
            message = self._without_model(message)
        self._check_rate(message, size_bytes)
        if self._check is not None:
            self._check(message)
        return message

    def on_closed(self) -> None:
        # Closing the socket is how a Realtime client says goodbye; losing it is not.
        if self._connection.close_code in (1000, 1001):
            self.end_reason = "client_ended"
        self._hang_up()

    def _hang_up(self) -> None:
        if not self._has_left:
            self._has_left = True
            self._retrieves.close()
            if self._long is not None:
                self._long.stop()
            if self._sink is not None:
                self._sink.on_closed()

    def _check_rate(self, message: Json, size_bytes: int) -> None:
        """Raises ClientError ``rate_limited``."""
        # Audio is paced by the session itself; counting its pieces would punish small ones.
        if message["type"] == AUDIO:
            return
        counted = max(size_bytes, LEAST_BYTES.get(message["type"], 0))
        now_s = self._clock()
        wait_s = self._rate.take(now_s, counted)
        if not wait_s and message["type"] == "response.create":
            rest_s = self._rate.take_turn(now_s)
            if rest_s > 0:
                self._connection.slow_down(rest_s)
            wait_s = rest_s if rest_s > MOST_REST_S else 0.0
        if wait_s > 0:
            self._connection.slow_down()
            raise ClientError("rate_limited", f"Too many messages; try again in {wait_s:.1f} s.")
        if message["type"] == RETRIEVE and self._retrieves.is_full:
            raise ClientError("rate_limited", "Too many items are asked for; wait for the others.")

    def _without_model(self, message: Json) -> Json:
        """The update less its ``model``: what answers has another name than what was asked for.

        SDKs write a model of their own into every configuration, so one that the session cannot
        have costs the client nothing else of the update.

        Raises:
            ClientError: it is too long for a name.
        """
        session = message["session"]
        wanted = session.get("model")
        if wanted not in (None, self._model):
            name = check_string(wanted, "session.model", MAX_MODEL_CHARS)
            if self._may_rename is not None and self._may_rename(name):
                self._model, self._may_rename = name, None
            else:
                sentence = f"'session.model' was ignored: this session's is '{self._model}'"
                warning = {"type": "penny.warning", "code": "field_ignored", "message": sentence}
                self.deliver({**warning, "field": "session.model"})
        return {**message, "session": {k: v for k, v in session.items() if k != "model"}}

    # -- the session's side -------------------------------------------------------------------

    def open(self, session: Json) -> None:
        """Say ``session.created`` with the effective session."""
        created = {"type": "session.created", "event_id": new_id("event"), "session": session}
        self._post(self._named(created))

    def deliver(self, event: Json) -> None:
        kind = event["type"]
        if kind in INTERNAL or (kind.startswith("penny.") and not self._penny_events):
            return
        if "event_id" not in event:  # of Penny's own making
            event = {**event, "event_id": new_id("event")}
        if kind == "error" and event["error"].get("code") == "session_expired":
            self._has_expired = True
        self._post(self._named(event) if kind == "session.updated" else event)

    def _named(self, event: Json) -> Json:
        """The session as this client should see it: its model, its end, nothing of Penny's own."""
        session = {k: v for k, v in event["session"].items() if not k.startswith("penny_")}
        expires_at = min(self._expires_at, session.get("expires_at") or self._expires_at)
        session["id"] = self._session_id
        session["expires_at"] = expires_at
        if session.get("type") != TRANSCRIPTION:  # whose object has the recogniser's model alone
            session["model"] = self._model
        return {**event, "session": session}

    def _post(self, event: Json) -> None:
        data = dump_json(event)
        if event["type"] != ANSWER_AUDIO:
            self._rate.spend(len(data))
        if event["type"] in _ENDS_A_RETRIEVE:
            self._retrieves.answered(len(data))
        if not (self._outbound or self._connection.is_full):
            self._connection.send_text(data)
            return
        if self.end_reason == DOES_NOT_READ and not self._closed:
            return
        waiting = self.waiting_bytes + len(data) + EVENT_COST_BYTES
        if waiting <= OUTBOUND_BYTES or self._closed:
            self._outbound.append(data)
            self._outbound_bytes += len(data) + EVENT_COST_BYTES
            return
        log.warning("client_does_not_read", waiting=len(self._outbound), waiting_bytes=waiting)
        self._outbound.clear()
        self._outbound_bytes = 0
        self.end_reason = DOES_NOT_READ
        self._hang_up()

    @property
    def waiting_bytes(self) -> int:
        """What the client has not read, here and in the connection's own buffer."""
        return self._outbound_bytes + self._connection.buffered

    def on_writable(self) -> None:
        while self._outbound and not self._connection.is_full:
            data = self._outbound.popleft()
            self._outbound_bytes -= len(data) + EVENT_COST_BYTES
            self._connection.send_text(data)

    async def aclose(self, reason: str, totals: Json) -> None:
        """Close as the real server does: an error where there is one to tell, then the code."""
        if self._closed:
            return
        self._closed = True
        code, error_code, sentence = GOODBYES.get(reason, (1000, "", ""))
        if self._has_expired:
            # The speaker's own limit came first, and it has told the client.
            code, error_code = 1001, ""
        if error_code:
            kind = "server_error" if code == 1011 else "invalid_request_error"
            fault = describe_error(error_code, sentence, None, None, kind)
            self._post({"type": "error", "event_id": new_id("event"), "error": fault})
        while self._outbound:
            self._connection.send_text(self._outbound.popleft())
        self._connection.begin_close(code, error_code)


def _is_long(audio: object) -> bool:
    return isinstance(audio, str) and len(audio) > PIECE_CHARS


def _is_audio(message: Json) -> bool:
    """Whether it is a piece of audio and nothing else, of which there are fifty a second."""
    audio = message.get("audio")
    return isinstance(audio, str) and len(message) == 2 and message.get("type") == AUDIO


def error_event(error: ProtocolError, client_event_id: str | None) -> Json:
    fault = describe_error(
        error.code, error.message, error.field, client_event_id, "invalid_request_error"
    )
    return {"type": "error", "event_id": new_id("event"), "error": fault}
