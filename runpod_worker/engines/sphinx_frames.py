"""What the worker and the ``sphinx`` children say to each other, in one place for both. Pure."""

from __future__ import annotations

import struct

from runpod_worker.stages import STT_RATE_HZ


HEADER = struct.Struct("<cI")
"""A letter and the length of the payload that follows."""
MAX_UTTERANCE_BYTES = STT_RATE_HZ * 2 * 60
"""Audio of one utterance; what is over it is not heard."""

PHRASES, BEGIN, AUDIO, PAUSE, RESUME, FINISH, CANCEL = (
    b"G", b"B", b"A", b"P", b"R", b"F", b"C",
)  # fmt: skip
