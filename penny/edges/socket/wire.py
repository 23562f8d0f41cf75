"""The sending side of one client: its queues, what it was sent, and the connection of the moment.

Three queues leave in this order: what the client missed on a lost connection, control, audio that
is due. Only the edge's writer sends, or whoever has a message while it rests. A message is logged
in the same step in which it leaves its queue, so at any moment it is either still to be sent or
what a client who comes back can ask for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from penny.aio.alarm import Alarm
from penny.aio.outlet import Outlet
from penny.edges.player import Frame
from penny.edges.socket.sent_log import SentLog


log = structlog.get_logger()

CONTROL_EVENTS = 4_096
"""Messages waiting for a client that does not read; past that the session ends."""


@dataclass(frozen=True, slots=True)
class HoldSettings:
    """Args:
    hold_s: how long a lost client may take to come back; 0: not at all.
    max_audio_bytes: sent audio kept for it.
    max_text_bytes: sent texts kept for it, where these carry the audio; None: by number.
    """

    hold_s: float = 0.0
    max_audio_bytes: int = 0
    max_text_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One connection. ``abort`` drops it at once: a half-open one would never say it is gone."""

    socket: web.WebSocketResponse
    abort: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Missed:
    """What a client that came back gets again. ``audio_ms`` by item includes what was due."""

    messages: int
    lost_frames: int
    audio_ms: dict[str, float]


class Wire:
    """Args:
    on_gone: called once when the client is gone for good.
    """

    def __init__(self, line: Line, hold: HoldSettings, on_gone: Callable[[], None]) -> None:
        self.line: Line | None = line
        self._outlet = Outlet(line.socket)
        self._hold_s = hold.hold_s
        self._log = SentLog(hold.max_audio_bytes, hold.max_text_bytes)
        self._on_gone = on_gone
        self._greeting: str | None = None
        self._missed: list[str | bytes] = []
        self._control: deque[str] = deque()
        self._due: deque[Frame | str] = deque()
        self._giving_up: asyncio.TimerHandle | None = None
        self.wake = Alarm()

    # -- queues -------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Control messages not sent yet."""
        return len(self._control)

    def post(self, text: str) -> bool:
        """Send a control message in this step, or queue it; False when the client reads nothing
        and too many wait."""
        if self.is_resting and not self._due and self._outlet.write(text.encode(), WSMsgType.TEXT):
            self._log.add_text(text)
            return True
        if len(self._control) >= CONTROL_EVENTS:
            return False
        self._control.append(text)
        self.wake.set()
        return True

    def play(self, due: Frame | str) -> None:
        """Queue what the player let go, audio or a word about it: it paces, so few wait here."""
        self._due.append(due)

    @property
    def is_resting(self) -> bool:
        """Whether there is a client and its writer waits: then ``write`` may be used."""
        return self.line is not None and self.wake.is_waited_for

    def write(self, due: Frame | str) -> None:
        """Send what the player let go in this step; what the client has to be waited for, and
        all after it, is left to the writer."""
        if self._due:
            self._due.append(due)
        elif isinstance(due, Frame) and self._outlet.write(due.data, WSMsgType.BINARY):
            self._log.add_audio(due)
        elif isinstance(due, str) and self._outlet.write(due.encode(), WSMsgType.TEXT):
            self._log.add_text(due)
        else:
            self._due.append(due)
            self.wake.set()

    def note_played(self, item_id: str, played_ms: float) -> None:
        """The client tells what it played; that will not be asked for again."""
        self._log.forget_played(item_id, played_ms)

    # -- connections --------------------------------------------------------------------------

    def lose(self, line: Line, *, leaving: bool) -> None:
        """This connection is gone: wait for another, or give up at once.

        Args:
            leaving: the client said goodbye, or the session is over.
        """
        if line is not self.line:
            return
        self.line = None
        self.wake.set()
        if leaving or line.socket.close_code in _GOODBYES or not self._hold_s:
            self._on_gone()
            return
        log.info("client_lost", hold_s=self._hold_s)
        self._giving_up = asyncio.get_running_loop().call_later(self._hold_s, self._on_gone)

    def resume(self, line: Line, received: int) -> Missed | None:
        """Go on over another connection; None when messages are gone that it would need."""
        sent = self._log.since(received)
        if sent is None:
            return None
        self.forget_hold()
        if self.line is not None:
            self.line.abort()
        self.line = line
        self._outlet = Outlet(line.socket)
        self._missed = [message.data for message in reversed(sent)]
        audio_ms: dict[str, float] = {}
        again = [message.frame for message in sent if message.frame is not None]
        again += [message for message in self._due if isinstance(message, Frame)]
        for frame in again:
            audio_ms[frame.item_id] = audio_ms.get(frame.item_id, 0.0) + frame.audio_ms
        self.wake.set()
        return Missed(len(sent), self._log.count - received - len(sent), audio_ms)

    def greet(self, text: str) -> None:
        """The first message on a new connection. It is not logged: it belongs to it alone."""
        self._greeting = text

    def forget_hold(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    # -- sending ------------------------------------------------------------------------------

    async def send_all(self, line: Line) -> None:
        """Send everything that is queued. Raises ConnectionError."""
        if self._greeting is not None:
            greeting, self._greeting = self._greeting, None
            await line.socket.send_str(greeting)
        while self._missed:
            self._check(line)
            await _send(line, self._missed.pop())  # the oldest stands last
        if self._control:
            await self.send_control(line)
        while self._due:
            self._check(line)
            due = self._due.popleft()
            if isinstance(due, Frame):
                self._log.add_audio(due)
                await line.socket.send_bytes(due.data)
            else:
                self._log.add_text(due)
                await line.socket.send_str(due)
            if self._control:
                await self.send_control(line)

    async def send_control(self, line: Line) -> None:
        while self._control:
            self._check(line)
            text = self._control.popleft()
            self._log.add_text(text)
            await line.socket.send_str(text)

    def _check(self, line: Line) -> None:
        if self.line is not line:
            raise ConnectionResetError("another connection took over")


_GOODBYES = frozenset({WSCloseCode.OK, WSCloseCode.GOING_AWAY})
"""Close codes of a client that leaves on purpose; without a close frame there is none."""


async def _send(line: Line, data: str | bytes) -> None:
    if isinstance(data, bytes):
        await line.socket.send_bytes(data)
    else:
        await line.socket.send_str(data)
