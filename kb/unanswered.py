"""What callers asked and nothing was sure to answer: kept for the owner of the documents to read.

One small file of the index folder. Numbers of four digits and more are blanked before they are
kept. Without a limit nothing is kept.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import structlog

from kb.normal.words import plain_words


log = structlog.get_logger()

_DIGITS = re.compile(r"\d(?:[\d .-]*\d){3,}")
_MOST_CHARS = 300


@dataclass(slots=True)
class Unanswered:
    """A question without a sure answer. ``asked``: how often. ``last_at``: seconds since 1970."""

    text: str
    asked: int
    last_at: float


class UnansweredQuestions:
    """The questions of every collection, the latest ``most`` of each; safe for many threads.

    Args:
        path: the file they are kept in.
        most: of one collection; 0 keeps none.
        clock: seconds since 1970.
    """

    def __init__(self, path: Path, most: int, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._faulty = False

    def note(self, ref: str, text: str) -> None:
        """Keep a question, or count it once more. A file that cannot be written is logged once."""
        if not self._most:
            return
        kept = _DIGITS.sub("…", text.strip())[:_MOST_CHARS]
        with self._lock:
            every = self._read()
            questions = every.setdefault(ref, {})
            before = questions.pop(plain_words(kept), None)
            asked = before.asked + 1 if before else 1
            questions[plain_words(kept)] = Unanswered(kept, asked, self._clock())
            for oldest in list(questions)[: -self._most]:
                del questions[oldest]
            self._write(every)

    def list(self, ref: str) -> list[Unanswered]:
        """The questions of one collection, the latest first."""
        with self._lock:
            return list(reversed(self._read().get(ref, {}).values()))

    def remove(self, ref: str, text: str | None = None) -> None:
        """Forget one question, or all of a collection."""
        with self._lock:
            every = self._read()
            if text is None:
                every.pop(ref, None)
            else:
                every.get(ref, {}).pop(plain_words(text), None)
            self._write(every)

    def _read(self) -> dict[str, dict[str, Unanswered]]:
        try:
            stored = orjson.loads(self._path.read_bytes())
            return {
                ref: {plain_words(row["text"]): Unanswered(**row) for row in rows}
                for ref, rows in stored.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            self._note_fault(error)
            return {}

    def _write(self, every: dict[str, dict[str, Unanswered]]) -> None:
        partial = self._path.with_suffix(".part")
        rows = {ref: [asdict(each) for each in kept.values()] for ref, kept in every.items()}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(orjson.dumps(rows))
            partial.chmod(0o600)
            partial.replace(self._path)
        except OSError as error:
            self._note_fault(error)

    def _note_fault(self, error: Exception) -> None:
        if not self._faulty:
            log.warning("kb_unanswered_not_kept", reason=type(error).__name__)
        self._faulty = True
