"""Audio as a Realtime client streams it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any


CHUNK_BYTES = 48 * 20
"""20 ms of PCM16 at 24 kHz."""


def append_events(pcm: bytes) -> Iterator[dict[str, Any]]:
    for at in range(0, len(pcm), CHUNK_BYTES):
        audio = base64.b64encode(pcm[at : at + CHUNK_BYTES]).decode()
        yield {"type": "input_audio_buffer.append", "audio": audio}
