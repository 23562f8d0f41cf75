"""WebSocket frames (RFC 6455, section 5) of a server, without a connection. Pure.

By hand, because every frame of every call passes here: a parser made of generators costs a
third of what a bare relay does. Handshakes and close codes are the ``websockets`` library's.
"""

from __future__ import annotations

import struct

from websockets.exceptions import ProtocolError
from websockets.frames import Close, CloseCode


try:
    from websockets.speedups import apply_mask
except ImportError:  # its wheel for this machine has no compiled part
    from websockets.utils import apply_mask


CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, MASK, RESERVED = 0x80, 0x80, 0x70
_CONTROL = 8
_KNOWN = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
_WHOLE = (FIN | TEXT, FIN | BINARY)
_MEDIUM = struct.Struct("!BBH")
LONG_BYTES = 65_536
"""A frame beyond that is unmasked as it comes, and copied once; a shorter one waits as it came."""
COUNTED_BYTES = 2048
"""So many of a long frame count as one more frame: 4 MB, read at once, are a pause for others."""


class FrameError(Exception):
    """What the other side sent breaks the protocol; ``code`` is what to close with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class FragmentJoiner:
    """Joins the data frames of either side into whole messages of ``max_bytes`` at most."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.begun = CONTINUATION
        """Opcode of the message that is coming in fragments; CONTINUATION: none is."""
        self._joined = bytearray()  # a list of a million fragments of a byte would be 60 MB

    def check(self, length: int) -> None:
        """Raises FrameError: so many bytes more are too many."""
        if len(self._joined) + length > self._max_bytes:
            raise FrameError(CloseCode.MESSAGE_TOO_BIG, f"more than {self._max_bytes} bytes")

    def add(self, opcode: int, payload: bytes, *, fin: bool) -> tuple[int, bytes] | None:
        """Opcode and payload of the message that this frame completes. Raises FrameError."""
        if (opcode == CONTINUATION) is (self.begun == CONTINUATION):
            raise FrameError(CloseCode.PROTOCOL_ERROR, "a fragment out of place")
        self.check(len(payload))
        self.begun = opcode or self.begun
        self._joined += payload
        if not fin:
            return None
        whole = self.begun, bytes(self._joined)
        self._joined.clear()
        self.begun = CONTINUATION
        return whole


class LongFrame:
    """A long frame of which a part has come: unmasked in pieces.

    Args:
        first: the first byte of its header.
        left: bytes of the payload that are to come.
    """

    def __init__(self, first: int, mask: bytes, left: int) -> None:
        self.first, self.left = first, left
        self._mask = mask
        self.pieces: list[bytes] = []

    def take(self, data: bytes) -> int:
        """Take what of ``data`` is the frame's; how much that was."""
        piece = data[: self.left]
        if piece:
            self.pieces.append(apply_mask(piece, self._mask))
            turned = len(piece) % 4
            self._mask = self._mask[turned:] + self._mask[:turned]
            self.left -= len(piece)
        return len(piece)


class FrameReader:
    """Turns the bytes of a client, who masks its frames, into messages and control frames.

    Args:
        max_bytes: of a message; fragments count together.
    """

    def __init__(self, max_bytes: int) -> None:
        # The second byte of nearly every frame of a call: 16 bits of length follow.
        self._usual = MASK | 126 if max_bytes >= 65_535 else -1
        self._joiner = FragmentJoiner(max_bytes)
        self._rest = bytearray()
        self._needed = 0
        self._long: LongFrame | None = None
        self.count = 0
        """Frames that came whole, those among them that complete no message; a long one is many."""
        self.error: FrameError | None = None
        """Set once the protocol was broken: what comes after is not read."""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Opcode and payload of all that is complete now, in order; ``error`` may be set."""
        if self.error is not None:
            return []
        found: list[tuple[int, bytes]] = []
        at = 0
        try:
            if self._long is not None:
                at = self._long.take(data)
                if self._long.left:
                    return found
                payload = b"".join(self._long.pieces)
                self._add(self._long.first, payload, found)
                self.count += len(payload) // COUNTED_BYTES
                self._long = None
            elif self._rest:
                self._rest += data
                if len(self._rest) < self._needed:
                    return found
                data = bytes(self._rest)
                self._rest.clear()
            size = len(data)
            while at < size:
                if size - at > 3 and data[at + 1] == self._usual and data[at] in _WHOLE:
                    begin = at + 4
                    end = begin + (data[at + 2] << 8 | data[at + 3]) + 4
                else:
                    begin, end = self._measure(data, at)
                if end > size:
                    if end - begin > LONG_BYTES and size >= begin + 4:
                        self._long = LongFrame(data[at], data[begin : begin + 4], end - begin - 4)
                        self._long.take(data[begin + 4 :])
                        break
                    self._needed = end - at
                    self._rest += data[at:]
                    break
                payload = apply_mask(data[begin + 4 : end], data[begin : begin + 4])
                self._add(data[at], payload, found)
                at = end
        except FrameError as error:
            self.error = error
        return found

    def _add(self, first: int, payload: bytes, found: list[tuple[int, bytes]]) -> None:
        """Add the message that this frame completes to ``found``. Raises FrameError."""
        opcode, fin = first & 0x0F, first >= FIN
        self.count += 1
        if opcode >= _CONTROL or (fin and opcode and not self._joiner.begun):
            found.append((opcode, payload))
        elif (whole := self._joiner.add(opcode, payload, fin=fin)) is not None:
            found.append(whole)

    def _measure(self, data: bytes, at: int) -> tuple[int, int]:
        """Where the mask of the frame at ``at`` begins and its payload ends; what its header lacks
        yet counts as part of it."""
        begin, size = at + 2, len(data)
        if begin > size:
            return begin, begin
        first, second = data[at], data[at + 1]
        opcode, length = first & 0x0F, second & 0x7F
        if first not in _WHOLE and (first & RESERVED or opcode not in _KNOWN):
            raise FrameError(CloseCode.PROTOCOL_ERROR, "reserved bits or opcode")
        if not second & MASK:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "incorrect masking")
        if opcode >= _CONTROL and (length > 125 or not first & FIN):
            raise FrameError(CloseCode.PROTOCOL_ERROR, "control frame too long or fragmented")
        if length > 125:
            width = 2 if length == 126 else 8
            begin += width
            if begin > size:
                return begin, begin
            length = int.from_bytes(data[begin - width : begin], "big")
        if opcode < _CONTROL:
            self._joiner.check(length)
        return begin, begin + length + 4


def write_frame(opcode: int, payload: bytes) -> bytes:
    """A server's frame: whole and not masked."""
    size = len(payload)
    if size < 126:
        return bytes((FIN | opcode, size)) + payload
    if size < LONG_BYTES:
        return _MEDIUM.pack(FIN | opcode, 126, size) + payload
    return write_long_head(opcode, size) + payload


def write_long_head(opcode: int, size: int) -> bytes:
    """The header of a server's frame of ``LONG_BYTES`` and more."""
    return struct.pack("!BBQ", FIN | opcode, 127, size)


def read_close(payload: bytes) -> int:
    """The code of a close frame, 1005 where it has none. Raises FrameError."""
    try:
        return int(Close.parse(payload).code)
    except ProtocolError as error:
        raise FrameError(CloseCode.PROTOCOL_ERROR, str(error)) from error
    except UnicodeDecodeError as error:
        raise FrameError(CloseCode.INVALID_DATA, "the reason must be UTF-8") from error
