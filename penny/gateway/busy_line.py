"""Ends a call of an analogue line that sounds busy: its other side has hung up."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from pybase64 import b64decode

from penny.session.observers import Json, Observer
from penny.telephony.busy_tone import BusyTone


log = structlog.get_logger()

RATE_HZ = 24_000
"""Of ``input_audio_buffer.append``, whatever the line's own."""


class BusyLine(Observer):
    """Observer of one call.

    Args:
        country: of its line; '' where it is not known.
        end: ends the session, with this reason.
    """

    listens_to = ("input_audio_buffer.append",)

    def __init__(self, country: str, end: Callable[[str], object]) -> None:
        self._tone = BusyTone(country, RATE_HZ)
        self._end = end
        self._has_ended = False

    def caller_event(self, event: Json, at_s: float) -> None:
        if not self._has_ended and self._tone.take(b64decode(event["audio"])):
            self._has_ended = True
            log.info("line_sounds_busy")
            self._end("client_ended")
