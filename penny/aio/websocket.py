"""WebSockets that push: a message is handed on in the step in which it was read, and sent in one.

``penny.aio.frames`` reads and writes the frames, asyncio carries the bytes, and
``penny.aio.handshake`` opens connections of either side.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

import structlog
from websockets.frames import Close, CloseCode

from penny.aio.frames import (
    BINARY,
    CLOSE,
    LONG_BYTES,
    PING,
    PONG,
    TEXT,
    FrameError,
    FrameReader,
    read_close,
    write_frame,
    write_long_head,
)


log = structlog.get_logger()

CLOSE_S = 2.0
"""Most that the other side takes to answer a close; then the connection is dropped."""
KEPT_MESSAGES, KEPT_BYTES = 256, 262_144
"""Messages kept for a reader that has not come or has paused; past either no more is read."""
CALLER_MESSAGES_PER_S = 1600.0
"""That a caller's connection takes: 32 s of audio in a second."""
STEP_BYTES, SMALL_STEP_BYTES = 4096, 512
SLICE_S, REST_S = 0.001, 0.004
BURST_MESSAGES, REFUSED_S = 64, 0.01
"""Of a connection with ``messages_per_s``. One read may bring thousands of tiny messages (256 KiB):
they are taken a step at a time (small once it was fast), and after ``SLICE_S``, or past what it
may send, all other connections have their turn for ``REST_S`` at least."""


class SocketReceiver(Protocol):
    """Takes a connection's messages. Called in the loop; what it raises ends the connection."""

    def on_message(self, message: str | bytes, /) -> None: ...

    def on_writable(self) -> None:
        """The connection has room again, after it was full."""
        ...

    def on_closed(self) -> None:
        """The connection is gone, once, last; ``close_code`` tells how."""
        ...


class SocketConnection(asyncio.Protocol):
    """One WebSocket, of either side. Sends never wait: ``is_full`` tells when to stop.

    Until ``start`` it may be read with ``receive``, which loses no message when it is cancelled.

    Args:
        max_message_bytes: of what the other side sends; more closes with 1009.
        heartbeat_s: a ping goes out after so long without a word of the other side; after half
            as long again it is lost.
        send_limit_s: a connection that stays full for so long is lost; None: it may.
        messages_per_s: taken at most, more wait to be read; None: all. Fewer than that may still
            have no more than a fifth of the process.
        owner: the protocol that had the transport, and is told when it is gone.
    """

    def __init__(
        self,
        *,
        max_message_bytes: int,
        heartbeat_s: float | None = None,
        send_limit_s: float | None = None,
        messages_per_s: float | None = None,
        owner: asyncio.BaseProtocol | None = None,
    ) -> None:
        self._frames = FrameReader(max_message_bytes)
        self._heartbeat_s = heartbeat_s
        self._send_limit_s = send_limit_s
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._receiver: SocketReceiver | None = None
        self._deliver: Callable[[str | bytes], None] = self._keep
        self._is_paused = False
        self._kept: deque[str | bytes] = deque()
        self._kept_bytes = 0
        self._messages_per_s = messages_per_s
        self._unread = b""
        self._allowed, self._allowed_at_s = float(BURST_MESSAGES), 0.0
        self._reader: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._silent = 0
        self._giving_up: asyncio.TimerHandle | None = None
        self._writers: list[asyncio.Future[None]] = []
        self._is_leaving = False
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._close_code: int | None = None
        self.is_open = False
        """Whether what is sent goes out: the handshake is over and no goodbye was said."""
        self.is_full = False
        """Whether more than the transport's mark (64 KiB) waits to be sent."""

    @property
    def close_code(self) -> int | None:
        """What the other side closed with; 1006 when it is gone without a word."""
        if self._close_code is not None:
            return self._close_code
        return int(CloseCode.ABNORMAL_CLOSURE) if self._gone.done() else None

    @property
    def buffered(self) -> int:
        """Bytes that wait to be sent."""
        return self._transport.get_write_buffer_size()

    # -- reading ------------------------------------------------------------------------------

    def start(self, receiver: SocketReceiver) -> None:
        """Push messages to ``receiver`` from now on: first, in this call, those that wait."""
        self._receiver = receiver
        self._push_kept()
        if self._gone.done():
            receiver.on_closed()

    def pause(self) -> None:
        """Read no more until ``resume``. Idempotent."""
        self._is_paused = True
        self._deliver = self._keep
        if not self._gone.done():
            self._transport.pause_reading()

    def slow_down(self, rest_s: float = REFUSED_S) -> None:
        """A message came too fast: nothing more is read for so long."""
        self._allowed -= rest_s * (self._messages_per_s or 0.0)

    def resume(self) -> None:
        """Read again, after the messages that wait. Idempotent."""
        self._is_paused = False
        self._push_kept()

    async def receive(self) -> str | bytes | None:
        """The next message; None when the connection has ended."""
        while not self._kept:
            if self._gone.done() or self._is_leaving:
                return None
            self._reader = self._loop.create_future()
            await self._reader
        message = self._kept.popleft()
        self._kept_bytes -= len(message)
        if not self._kept:
            self._read_on()
        return message

    def _push_kept(self) -> None:
        while self._kept and self._receiver is not None and not self._is_paused:
            message = self._kept.popleft()
            self._kept_bytes -= len(message)
            try:
                self._receiver.on_message(message)
            except Exception:
                self._refuse()
        if not self._kept:
            if not (self._receiver is None or self._is_paused or self._is_leaving):
                self._deliver = self._receiver.on_message
            self._read_on()

    def _read_on(self) -> None:
        waits = self._unread or (self._is_paused and not self._is_leaving)
        if not (waits or self._gone.done()):
            self._transport.resume_reading()

    def _keep(self, message: str | bytes) -> None:
        if self._is_leaving:
            return
        self._kept.append(message)
        self._kept_bytes += len(message)
        if self._keeps_enough:
            self._transport.pause_reading()
        self._wake_reader()

    @property
    def _keeps_enough(self) -> bool:
        return len(self._kept) >= KEPT_MESSAGES or self._kept_bytes >= KEPT_BYTES

    def _refuse(self) -> None:
        """The receiver raised: the connection cannot go on."""
        log.exception("message_not_taken")
        self.begin_close(CloseCode.INTERNAL_ERROR, "")

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # -- sending ------------------------------------------------------------------------------

    def send_text(self, data: bytes) -> None:
        """Send UTF-8 text as one message; nothing happens once the connection closes."""
        if self.is_open and len(data) < LONG_BYTES:
            self._transport.write(write_frame(TEXT, data))
        elif self.is_open:  # not copied to stand behind its header
            self._transport.writelines((write_long_head(TEXT, len(data)), data))

    def send_binary(self, data: bytes) -> None:
        """``send_text`` for bytes."""
        if self.is_open:
            self._transport.write(write_frame(BINARY, data))

    async def drain(self) -> None:
        """Wait until the connection is not full, or gone; at once where it is neither."""
        while self.is_full and not self._gone.done():
            writer = self._loop.create_future()
            self._writers.append(writer)
            await writer

    def _wake_writers(self) -> None:
        for writer in self._writers:
            if not writer.done():
                writer.set_result(None)
        self._writers.clear()

    # -- closing ------------------------------------------------------------------------------

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Say goodbye and wait until the connection is gone, ``CLOSE_S`` at most. Idempotent."""
        self.begin_close(code, reason)
        await self.wait_closed()

    async def wait_closed(self) -> None:
        await asyncio.shield(self._gone)

    def abort(self) -> None:
        """Drop the connection at once: a half-open one would never say that it is gone."""
        if not self._gone.done():
            self._transport.abort()

    def begin_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Say goodbye without waiting for the answer; what still comes is not taken. Idempotent."""
        if self._is_leaving or self._gone.done():
            return
        self._is_leaving = True
        self._deliver = self._keep
        self._kept.clear()
        self._kept_bytes = 0
        self._wake_reader()
        self._send_close(Close(code, reason).serialize())
        self._read_on()  # for the other side's answer
        self._close_in(CLOSE_S)

    def _send_close(self, payload: bytes) -> None:
        if self.is_open:
            self._write_control(CLOSE, payload)
            self.is_open = False

    def _write_control(self, opcode: int, payload: bytes) -> None:
        self._transport.write(write_frame(opcode, payload))

    def _close_in(self, seconds: float) -> None:
        _cancel(self._timer)
        self._timer = self._loop.call_later(seconds, self.abort)

    # -- asyncio's side -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is over."""
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True
        if self._heartbeat_s is not None:
            self._timer = self._loop.call_later(self._heartbeat_s / 2, self._beat)

    def data_received(self, data: bytes) -> None:
        self._silent = 0
        if self._messages_per_s is None:
            self._take(data)
        elif self._unread:  # it rests
            self._unread += data
        else:
            self._take_slice(data, self._messages_per_s)

    def _take_slice(self, data: bytes, per_s: float) -> None:
        """Take what was read for as long as one client may, and the rest later."""
        now_s = time.perf_counter()  # uvloop's own clock stands still within a step
        earned, self._allowed_at_s = (now_s - self._allowed_at_s) * per_s, now_s
        self._allowed = min(float(BURST_MESSAGES), self._allowed + earned)
        step = STEP_BYTES if self._allowed == BURST_MESSAGES else SMALL_STEP_BYTES
        at, size = 0, len(data)
        while at < size and self._allowed >= 1 and not (self._keeps_enough or self._gone.done()):
            taken = self._take(data[at : at + step] if size > step else data)
            self._allowed -= taken  # what is taken may have slowed this connection down
            at += step
            if at < size and time.perf_counter() >= now_s + SLICE_S:
                break
        if at < size and not self._gone.done():
            self._unread = data[at:]
            self._transport.pause_reading()
            self._loop.call_later(max(REST_S, (1 - self._allowed) / per_s), self._take_rest, per_s)

    def _take_rest(self, per_s: float) -> None:
        data, self._unread = self._unread, b""
        self._take_slice(data, per_s)
        if not self._keeps_enough:
            self._read_on()

    def _take(self, data: bytes) -> int:
        """How many frames there were: a message may be a million fragments of nothing."""
        before = self._frames.count
        try:
            for opcode, payload in self._frames.feed(data):
                if self._close_code is not None:
                    return 0
                if opcode > BINARY:
                    self._on_control(opcode, payload)
                    continue
                message = payload if opcode == BINARY else payload.decode()
                try:
                    self._deliver(message)
                except Exception:
                    self._refuse()
            if self._frames.error is not None:
                raise self._frames.error
        except FrameError as error:
            self._fail(error.code, str(error))
        except UnicodeDecodeError:
            self._fail(CloseCode.INVALID_DATA, "text must be UTF-8")
        return self._frames.count - before

    def _on_control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING and self.is_open:
            self._write_control(PONG, payload)
        elif opcode == CLOSE:
            self._close_code = read_close(payload)
            self._send_close(payload)
            self._transport.close()
            self._close_in(CLOSE_S)

    def _fail(self, code: int, reason: str) -> None:
        """The other side broke the protocol."""
        self._send_close(Close(code, reason).serialize())
        self._transport.close()
        self._close_in(CLOSE_S)

    def connection_lost(self, error: Exception | None) -> None:
        _cancel(self._timer)
        _cancel(self._giving_up)
        self._gone.set_result(None)
        self.is_full = self.is_open = False
        self._wake_writers()
        self._wake_reader()
        if isinstance(self._owner, asyncio.Protocol):
            self._owner.connection_lost(error)
        if self._receiver is not None:
            try:
                self._receiver.on_closed()
            except Exception:
                log.exception("close_not_taken")

    def pause_writing(self, steps: int = 4) -> None:
        """The limit in ``steps``: a loop that was late, and sent nothing, is late by one."""
        self.is_full = True
        if not steps:
            self.abort()
        elif self._send_limit_s is not None:
            step_s = self._send_limit_s / 4
            self._giving_up = self._loop.call_later(step_s, self.pause_writing, steps - 1)

    def resume_writing(self) -> None:
        self.is_full = False
        _cancel(self._giving_up)
        self._wake_writers()
        if self._receiver is not None:
            try:
                self._receiver.on_writable()
            except Exception:
                self._refuse()

    def _beat(self) -> None:
        """Every half a heartbeat: silence is counted while this side listens."""
        assert self._heartbeat_s is not None
        self._silent = self._silent + 1 if self._transport.is_reading() else 0
        if self._silent > 2:
            self.abort()
            return
        if self._silent == 2 and self.is_open:
            self._write_control(PING, b"")
        self._timer = self._loop.call_later(self._heartbeat_s / 2, self._beat)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
