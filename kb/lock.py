"""Which of the processes on one index folder writes it; the kernel frees a dead one's lock."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from kb.passage import IndexUnavailable


class FolderLock:
    """An advisory lock on a file of the index folder, held by the process until ``release``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def try_acquire(self) -> bool:
        """Return whether this process holds the lock now.

        Raises:
            IndexUnavailable: the folder cannot be written.
        """
        if self.held:
            return True
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise IndexUnavailable(
                f"the index folder cannot be written ({error.strerror}); "
                "give Penny a folder of its own in kb.index"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def wait(self, limit_s: float) -> bool:
        """Acquire the lock within ``limit_s``; return whether it is held."""
        deadline = time.monotonic() + limit_s
        while not self.try_acquire():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
