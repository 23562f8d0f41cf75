"""Keys to the other side as sound, between the frames of what is said: no word is lost. Pure."""

from __future__ import annotations

from collections import deque

from penny.audio.format import AudioFormat
from penny.edges.player import FRAME_MS
from penny.edges.telephone.tones import write_keys
from penny.errors import LimitReached


class KeysOut:
    """Keys of one call that are to sound; they wait for silence, and speech for the end of a key.

    Args:
        line: PCM16.
    """

    def __init__(self, line: AudioFormat) -> None:
        self._line = line
        self._silence = bytes(line.bytes_of(FRAME_MS))
        self._keys: deque[bytes] = deque()
        self._late: deque[bytes] = deque()
        """Speech that a key held up: 80 ms at most, caught up in the next silence."""
        self._is_mid_key = False

    @property
    def are_sounding(self) -> bool:
        """Whether keys are still to go out."""
        return bool(self._keys)

    def send(self, digits: str) -> None:
        """Let these keys sound. Raises LimitReached while the last ones do."""
        if self._keys:
            seconds = FRAME_MS * len(self._keys) / 1000
            raise LimitReached(
                "the last keys still sound: send the next after them",
                code="keys_still_sound",
                retry_after_s=seconds,
            )
        self._keys.extend(write_keys(digits, self._line))

    def fill(self, frame: bytes) -> bytes:
        """What goes out in the place of this frame."""
        if frame != self._silence:
            self._late.append(frame)
        if self._keys and (self._is_mid_key or not self._late):
            key = self._keys.popleft()
            after = self._keys[0] if self._keys else self._silence
            self._is_mid_key = self._silence not in (key, after)
            return key
        return self._late.popleft() if self._late else self._silence

    def flush(self) -> None:
        """Drop the speech that waits; keys go on."""
        self._late.clear()
