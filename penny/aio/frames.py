"""WebSocket frames (RFC 6455, section 5), without a connection. Pure.

By hand, because every frame of every call passes here twice: a parser made of generators costs a
third of what a bare relay does. Handshakes and close codes are the ``websockets`` library's.
"""

from __future__ import annotations

import os
import struct

import numpy as np
from websockets.exceptions import ProtocolError
from websockets.frames import Close, CloseCode


CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, MASK, RESERVED = 0x80, 0x80, 0x70
_CONTROL = 8
_KNOWN = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
_WHOLE = (FIN | TEXT, FIN | BINARY)
_MEDIUM = struct.Struct("!BBH")
KEYS = 1024
"""Asked of the system at once: asking for every frame costs more than the rest of it."""
_keys: list[bytes] = []


class FrameError(Exception):
    """What the other side sent breaks the protocol; ``code`` is what to close with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class FrameReader:
    """Turns received bytes into whole messages and control frames.

    Args:
        masked: whether the other side masks its frames, as clients must.
        max_bytes: of a message; fragments count together.
    """

    def __init__(self, *, masked: bool, max_bytes: int) -> None:
        self._masked = masked
        self._key_bytes = 4 if masked else 0
        # The second byte of nearly every frame of a call: 16 bits of length follow.
        self._usual = (MASK if masked else 0) | 126 if max_bytes >= 65_535 else -1
        self._max_bytes = max_bytes
        self._rest = bytearray()
        self._needed = 0
        self._opcode = CONTINUATION
        """Of the fragmented message that is coming; CONTINUATION: none is."""
        self._fragments: list[bytes] = []
        self._fragment_bytes = 0
        self.error: FrameError | None = None
        """Set once the protocol was broken: what comes after is not read."""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Opcode and payload of all that is complete now, in order; ``error`` may be set."""
        if self.error is not None:
            return []
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return []
            data = bytes(self._rest)
            self._rest.clear()
        found: list[tuple[int, bytes]] = []
        at, size = 0, len(data)
        try:
            while at < size:
                if size - at > 3 and data[at + 1] == self._usual and data[at] in _WHOLE:
                    begin = at + 4
                    end = begin + (data[at + 2] << 8 | data[at + 3]) + self._key_bytes
                else:
                    begin, end = self._measure(data, at)
                if end > size:
                    self._needed = end - at
                    self._rest += data[at:]
                    break
                if self._masked:
                    payload = _xor(data[begin + 4 : end], data[begin : begin + 4])
                else:
                    payload = data[begin:end]
                first = data[at]
                if first in _WHOLE and not self._opcode:
                    found.append((first & 0x0F, payload))
                else:
                    self._take(first, payload, found)
                at = end
        except FrameError as error:
            self.error = error
        return found

    def _measure(self, data: bytes, at: int) -> tuple[int, int]:
        """Where the payload (or its mask) of the frame at ``at`` begins and ends; what its header
        lacks yet counts as part of it."""
        begin, size = at + 2, len(data)
        if begin > size:
            return begin, begin
        first, second = data[at], data[at + 1]
        opcode, length = first & 0x0F, second & 0x7F
        if first not in _WHOLE and (first & RESERVED or opcode not in _KNOWN):
            raise FrameError(CloseCode.PROTOCOL_ERROR, "reserved bits or opcode")
        if bool(second & MASK) is not self._masked:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "incorrect masking")
        if opcode >= _CONTROL and (length > 125 or not first & FIN):
            raise FrameError(CloseCode.PROTOCOL_ERROR, "control frame too long or fragmented")
        if length > 125:
            width = 2 if length == 126 else 8
            begin += width
            if begin > size:
                return begin, begin
            length = int.from_bytes(data[begin - width : begin], "big")
        if opcode < _CONTROL and self._fragment_bytes + length > self._max_bytes:
            raise FrameError(CloseCode.MESSAGE_TOO_BIG, f"more than {self._max_bytes} bytes")
        return begin, begin + length + self._key_bytes

    def _take(self, first: int, payload: bytes, found: list[tuple[int, bytes]]) -> None:
        opcode = first & 0x0F
        if opcode >= _CONTROL:
            found.append((opcode, payload))
            return
        if (opcode == CONTINUATION) is (self._opcode == CONTINUATION):
            raise FrameError(CloseCode.PROTOCOL_ERROR, "a fragment out of place")
        self._opcode = opcode or self._opcode
        self._fragments.append(payload)
        self._fragment_bytes += len(payload)
        if first & FIN:
            found.append((self._opcode, b"".join(self._fragments)))
            self._fragments.clear()
            self._opcode, self._fragment_bytes = CONTINUATION, 0


def write_frame(opcode: int, payload: bytes) -> bytes:
    """A server's frame: whole and not masked."""
    size = len(payload)
    if 126 <= size < 65_536:
        return _MEDIUM.pack(FIN | opcode, 126, size) + payload
    return _head(opcode, 0, size) + payload


def write_masked_frame(opcode: int, payload: bytes) -> bytes:
    """A client's frame: whole, and masked with random bytes of the system's."""
    try:
        key = _keys.pop()
    except IndexError:
        _keys.extend(map(bytes, zip(*[iter(os.urandom(KEYS * 4))] * 4, strict=True)))
        key = _keys.pop()
    return _head(opcode, MASK, len(payload)) + key + _xor(payload, key)


def _head(opcode: int, mask: int, size: int) -> bytes:
    if size < 126:
        return bytes((FIN | opcode, mask | size))
    if size < 65_536:
        return _MEDIUM.pack(FIN | opcode, mask | 126, size)
    return struct.pack("!BBQ", FIN | opcode, mask | 127, size)


def read_close(payload: bytes) -> int:
    """The code of a close frame, 1005 where it has none. Raises FrameError."""
    try:
        return int(Close.parse(payload).code)
    except ProtocolError as error:
        raise FrameError(CloseCode.PROTOCOL_ERROR, str(error)) from error
    except UnicodeDecodeError as error:
        raise FrameError(CloseCode.INVALID_DATA, "the reason must be UTF-8") from error


def _xor(data: bytes, key: bytes) -> bytes:
    """``data`` with the four bytes of ``key`` over it, again and again."""
    over = -len(data) % 4
    words = np.frombuffer(data + bytes(over) if over else data, np.uint32)
    masked = (words ^ np.frombuffer(key, np.uint32)).tobytes()
    return masked[:-over] if over else masked
