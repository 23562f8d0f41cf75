"""Any chunks in, frames of one fixed size out; no byte is lost or made."""

from __future__ import annotations


class Framer:
    """Cuts a stream into frames of ``frame_bytes``.

    Holds less than one frame between calls. Raises ValueError when ``frame_bytes`` < 1.
    """

    def __init__(self, frame_bytes: int) -> None:
        if frame_bytes < 1:
            raise ValueError(f"frame_bytes: {frame_bytes} is too small; use 1 or more")
        self.frame_bytes = frame_bytes
        self._held = b""

    def __len__(self) -> int:
        """Bytes held back."""
        return len(self._held)

    def feed(self, data: bytes) -> list[bytes]:
        """Every frame that is complete now, in order."""
        size = self.frame_bytes
        if self._held:
            data = self._held + data
        if len(data) == size:
            self._held = b""
            return [data]
        whole = len(data) - len(data) % size
        self._held = data[whole:]
        return [data[at : at + size] for at in range(0, whole, size)]

    def drain(self) -> bytes:
        """The rest, unpadded; the framer is empty after it."""
        rest, self._held = self._held, b""
        return rest
