"""Keys that a caller presses, collected into one entry. Pure: the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass


KEYS = frozenset("0123456789*#ABCD")
END = "#"
PAUSE_S = 3.0
"""Without another key for so long an entry is whole."""
MOST = 64
"""An entry that is longer is whole as it stands."""


@dataclass(slots=True)
class Keys:
    """The entry under way. Its digits may be a card's or a secret: they are never logged."""

    _pressed: str = ""
    _last_s: float = 0.0

    def __bool__(self) -> bool:
        return bool(self._pressed)

    def press(self, key: str, now_s: float) -> str:
        """Take a key; the entry that it ends, else ''. What is no key counts for nothing."""
        if key not in KEYS:
            return ""
        self._last_s = now_s
        if key == END and self._pressed:
            return self._take()
        self._pressed += key
        return self._take() if len(self._pressed) >= MOST else ""

    def due(self, now_s: float) -> str:
        """The entry that a pause has ended, else ''."""
        if self._pressed and now_s - self._last_s >= PAUSE_S:
            return self._take()
        return ""

    def _take(self) -> str:
        entry, self._pressed = self._pressed, ""
        return entry
