"""The C library's heap of this process: long blocks go back to the system as soon as they are free.

By default glibc keeps what was freed for the next block of that length, up to 32 MB, and a heap for
each of many threads: a minute of long messages would be memory for good.
"""

from __future__ import annotations

import ctypes
import sys


TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
"""Parameters of ``mallopt`` (malloc.h)."""
LONG_BYTES = 262_144
"""Longer blocks are the system's own. A piece of four seconds of audio is shorter."""
ARENAS = 2


def settle_heap() -> bool:
    """Set it up; before threads begin. False where the C library has no such settings (macOS)."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    taken = mallopt(MMAP_THRESHOLD, LONG_BYTES) + mallopt(TRIM_THRESHOLD, 4 * LONG_BYTES)
    return bool(taken + mallopt(ARENA_MAX, ARENAS) == 3)
