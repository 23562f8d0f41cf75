"""How long workers took to wake: the history, and an honest guess for the one awaited now."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import structlog

from penny.aio.files import write_whole


log = structlog.get_logger()

KEPT = 40
"""Starts remembered of each kind: a week of mornings, so that old hardware is forgotten."""


def guess_remaining_ms(seconds: Sequence[float], elapsed_s: float) -> int | None:
    """Milliseconds still to wait after ``elapsed_s``, from what past starts took.

    Three of four past starts were done by the guess. Past that point it is the slowest start
    seen; past that, or without a history, None.
    """
    if not seconds:
        return None
    ordered = sorted(seconds)
    usual_s = ordered[math.ceil(0.75 * len(ordered)) - 1]
    for expected_s in (usual_s, ordered[-1]):
        if elapsed_s < expected_s:
            return round((expected_s - elapsed_s) * 1000)
    return None


class ColdStarts:
    """Durations by kind (``cold``: a machine is fetched; ``warm``: one was waiting), on disk.

    A file that is missing, broken or cannot be written costs the memory, never the call.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds: dict[str, list[float]] = {"cold": [], "warm": []}

    def load(self) -> None:
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            for kind, seconds in self._seconds.items():
                seconds[:] = [float(value) for value in stored.get(kind, [])][-KEPT:]
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("cold_starts_unreadable", path=str(self._path), error=type(error).__name__)

    def record(self, kind: str, took_s: float) -> None:
        """Remember one start."""
        seconds = self._seconds[kind]
        seconds.append(round(took_s, 2))
        del seconds[:-KEPT]
        self._write()

    def seconds(self, kind: str) -> list[float]:
        return list(self._seconds[kind])

    def learn(self, kind: str, seconds: list[float]) -> None:
        """Take over what all gateways together remember."""
        if seconds and seconds != self._seconds[kind]:
            self._seconds[kind][:] = seconds[-KEPT:]
            self._write()

    def _write(self) -> None:
        try:
            write_whole(self._path, json.dumps(self._seconds))
        except OSError as error:
            log.warning("cold_starts_not_kept", path=str(self._path), error=type(error).__name__)

    def remaining_ms(self, kind: str, elapsed_s: float) -> int | None:
        return guess_remaining_ms(self._seconds[kind], elapsed_s)
