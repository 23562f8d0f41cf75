"""Follows the documents (writer) or the writer's commits (reader) in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import structlog
from watchfiles import watch


log = structlog.get_logger()

# A burst of saves is read once it pauses this long; with the reading it stays below 2 s.
_DEBOUNCE_MS = 300
_STEP_MS = 50
# How often a reader looks for a commit, and whether the writer is gone.
_FOLLOW_S = 0.25
_REPEAT_S = 1.0
# A server that embeds is not waited for at the end: its thread is a daemon.
_LONGEST_STOP_S = 2.0


class Watcher:
    """Thread that follows changes of the documents.

    One thread, ``kb-watch``, from ``start`` to ``stop``.

    Args:
        documents: the folder watched; while it is missing it is looked for.
        is_writer: whether this process writes the index now (it may begin to at any time).
        refresh: brings the index, or the view of it, up to date; its errors are logged and the
            watching goes on.

    ``fault`` is why the index does not keep up with the documents, '' while it does. It is logged
    when it begins and when it is over, however often the refreshing fails meanwhile.
    """

    def __init__(
        self, documents: Path, is_writer: Callable[[], bool], refresh: Callable[[], None]
    ) -> None:
        self._documents = documents
        self._is_writer = is_writer
        self._refresh = refresh
        self._stopped = threading.Event()
        self.fault = ""
        self.faults = 0
        self._thread = threading.Thread(target=self._run, name="kb-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            if self._is_writer() and self._documents.is_dir():
                self._follow_documents()
            else:
                self._safely_refresh()
                self._stopped.wait(_FOLLOW_S)

    def _follow_documents(self) -> None:
        self._safely_refresh()  # what changed before the watch began
        try:
            for _ in watch(
                self._documents,
                stop_event=self._stopped,
                debounce=_DEBOUNCE_MS,
                step=_STEP_MS,
                rust_timeout=1000,
                yield_on_timeout=True,
                raise_interrupt=False,
            ):
                self._safely_refresh()
                if not self._documents.is_dir():
                    return
        except OSError as error:
            self._note(error)
            self._stopped.wait(_FOLLOW_S)

    def _safely_refresh(self) -> None:
        try:
            self._refresh()
        except Exception as error:
            self._note(error)
        else:
            if self.fault:
                self.fault = ""
                log.info("kb_refreshed_again")

    def _note(self, error: Exception) -> None:
        if not self.fault:
            self.faults += 1
            log.error("kb_refresh_failed", exc_info=error)
        self.fault = getattr(error, "strerror", None) or type(error).__name__


class Repeater:
    """Thread that repeats one piece of work, a second after the last time.

    ``work`` tells of its own failures; one it did not expect is logged and the thread goes on.
    """

    def __init__(self, name: str, work: Callable[[], None], first_after_s: float = 0.0) -> None:
        self._work = work
        self._first_after_s = first_after_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread once what it does is done; it waits for that at most two seconds."""
        self._stopped.set()
        self._thread.join(_LONGEST_STOP_S)

    def _run(self) -> None:
        if self._stopped.wait(self._first_after_s):
            return
        while True:
            try:
                self._work()
            except Exception:
                log.exception("kb_background_failed", work=self._thread.name)
            if self._stopped.wait(_REPEAT_S):
                return
