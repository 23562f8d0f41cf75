"""The sending side of one client: its queues, what it was sent, and the connection of the moment.

Three queues leave in this order: what the client missed on a lost connection, control, audio that
is due. A message is logged in the same step in which it is sent, so at any moment it is either
still to be sent or what a client who comes back can ask for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from config.trust import ResumeSection
from penny.aio.websocket import SocketConnection
from penny.edges.player import Frame
from penny.edges.socket.sent_log import SentLog


log = structlog.get_logger()

CONTROL_EVENTS = 4_096
CONTROL_BYTES = 4 * 1024 * 1024
"""Messages waiting for a client that does not read; past either the session ends."""
GOODBYES = frozenset({1000, 1001})
"""Close codes of a client that leaves on purpose; without a close frame it is 1006."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What a client that came back gets again. ``audio_ms`` by item includes what was due."""

    messages: int
    lost_frames: int
    audio_ms: dict[str, float]


class ResumableSender:
    """Sends to one client over one connection after the other; nothing is lost between them.

    Args:
        on_gone: called once when the client is gone for good.
    """

    def __init__(
        self, connection: SocketConnection, hold: ResumeSection, on_gone: Callable[[], None]
    ) -> None:
        self.connection: SocketConnection | None = connection
        self.lost_s: float | None = None
        """Since when the client is lost, by the loop's clock; None while it is there."""
        self._hold_s = hold.hold_s
        self._log = SentLog(hold.max_audio_bytes)
        self._on_gone = on_gone
        self._greeting: str | None = None
        self._missed: list[str | bytes] = []
        # Lists where few wait: an empty deque takes ten times the memory of one.
        self._control: list[str] = []
        self._control_bytes = 0
        self._due: deque[Frame | str] = deque()
        self._giving_up: asyncio.TimerHandle | None = None

    # -- sending ------------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """Whether a message goes out in the step in which it is given: then audio may be due."""
        return not (
            self.connection is None
            or self.connection.is_full
            or self._due
            or self._missed
            or self._control
        )

    @property
    def waiting_bytes(self) -> int:
        """Of control messages not sent yet, and of what the connection has not sent."""
        buffered = self.connection.buffered if self.connection is not None else 0
        return self._control_bytes + buffered

    def post(self, text: str) -> bool:
        """Send a control message, or queue it; False when the client reads nothing and too many
        wait."""
        if len(self._control) >= CONTROL_EVENTS or self._control_bytes >= CONTROL_BYTES:
            return False
        self._control.append(text)
        self._control_bytes += len(text)
        self.flush()
        return True

    def play(self, due: Frame | str) -> None:
        """Send what the player let go, audio or a word about it: it paces, so few wait here."""
        connection = self.connection
        if connection is None or connection.is_full or self._due:
            self._due.append(due)
        else:
            self._send_due(connection, due)

    def flush(self) -> None:
        """Send what waits, as far as the connection takes it."""
        connection = self.connection
        if connection is None:
            return
        if self._greeting is not None:
            connection.send_text(self._greeting.encode())
            self._greeting = None
        while self._missed and not connection.is_full:
            self._send_missed(connection)
        while self._control and not (connection.is_full or self._missed):
            text = self._control.pop(0)
            self._control_bytes -= len(text)
            self._send_text(connection, text)
        while self._due and not connection.is_full:
            self._send_due(connection, self._due.popleft())

    def finish(self, text: str) -> None:
        """Send what was missed, the control messages that wait and ``text``, the last, however
        full it is."""
        if self.connection is not None:
            while self._missed:
                self._send_missed(self.connection)
            for message in (*self._control, text):
                self._send_text(self.connection, message)
            self.forget_waiting()

    def forget_waiting(self) -> None:
        """Drop what waits: the session ends."""
        self._missed.clear()
        self._control.clear()
        self._due.clear()
        self._control_bytes = 0

    def _send_missed(self, connection: SocketConnection) -> None:
        data = self._missed.pop()  # the oldest stands last
        if isinstance(data, bytes):
            connection.send_binary(data)
        else:
            connection.send_text(data.encode())

    def _send_text(self, connection: SocketConnection, text: str) -> None:
        self._log.add_text(text)
        connection.send_text(text.encode())

    def _send_due(self, connection: SocketConnection, due: Frame | str) -> None:
        if isinstance(due, str):
            self._send_text(connection, due)
            return
        self._log.add_audio(due)
        connection.send_binary(due.data)

    def note_played(self, item_id: str, played_ms: float) -> None:
        """The client tells what it played; that will not be asked for again."""
        self._log.forget_played(item_id, played_ms)

    # -- connections --------------------------------------------------------------------------

    def lose(self, *, leaving: bool) -> None:
        """The connection is gone: wait for another, or give up at once.

        Args:
            leaving: the client said goodbye, or the session is over.
        """
        connection, self.connection = self.connection, None
        said_goodbye = connection is None or connection.close_code in GOODBYES
        if leaving or said_goodbye or not self._hold_s:
            self._on_gone()
            return
        log.info("client_lost", hold_s=self._hold_s)
        loop = asyncio.get_running_loop()
        self.lost_s = loop.time()
        self._giving_up = loop.call_later(self._hold_s, self._on_gone)

    def reconnect(self, connection: SocketConnection, received: int) -> Missed | None:
        """Go on over another connection; None when messages are gone that it would need."""
        sent = self._log.since(received)
        if sent is None:
            return None
        self.forget_hold()
        previous, self.connection, self.lost_s = self.connection, connection, None
        if previous is not None:
            previous.abort()
        self._missed = [message.data for message in reversed(sent)]
        audio_ms: dict[str, float] = {}
        again = [message.frame for message in sent if message.frame is not None]
        again += [message for message in self._due if isinstance(message, Frame)]
        for frame in again:
            audio_ms[frame.item_id] = audio_ms.get(frame.item_id, 0.0) + frame.audio_ms
        return Missed(len(sent), self._log.count - received - len(sent), audio_ms)

    def greet(self, text: str) -> None:
        """The first message on a new connection. It is not logged: it belongs to it alone."""
        self._greeting = text
        self.flush()

    def forget_hold(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None
