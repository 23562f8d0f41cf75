"""Reads files in a child process with limits of memory and time; one that dies is replaced."""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

import orjson

from kb.sources.blocks import Block, FileContent, Record
from kb.sources.front_matter import UnreadableFile


WALL_S = 120.0
"""Of one file, on a machine that does other things: twice the child's own limit of CPU."""
_ROOT = Path(__file__).parent.parent.parent


class FileReader:
    """Reads one file at a time; safe for many threads. The child starts with the first file.

    It inherits no descriptor but its pipes, and of the environment only what Python needs: no
    secret of the gateway's is in the process that parses strangers' files.
    """

    def __init__(self, wall_s: float = WALL_S) -> None:
        self._wall_s = wall_s
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def read(self, path: Path) -> FileContent:
        """Read one source.

        Raises:
            UnreadableFile: it is broken, or too heavy for its limits; the message says which.
        """
        with self._lock:
            reply = self._ask(path)
        if "unreadable" in reply:
            raise UnreadableFile(str(reply["unreadable"]))
        return _content(reply)

    def close(self) -> None:
        """End the child. Reading again starts another."""
        with self._lock:
            self._end()

    def _ask(self, path: Path) -> dict[str, Any]:
        request = orjson.dumps(str(path.absolute())) + b"\n"
        for _ in range(2):  # a child that something else ended is no fault of this file
            try:
                answers = self._send(request)
                ready = bool(select.select([answers], [], [], self._wall_s)[0])
                line = answers.readline() if ready else b""
            except BrokenPipeError:
                ready, line = True, b""
            if line.endswith(b"\n"):
                reply: dict[str, Any] = orjson.loads(line)
                return reply
            self._end()
            if not ready:
                break
        raise UnreadableFile(
            "it is too heavy to read (memory, time, or a parser gave up); split it or save it anew"
        )

    def _send(self, request: bytes) -> IO[bytes]:
        """Write to the child; returns the pipe that its answer comes from."""
        child = self._started()
        if child.stdin is None or child.stdout is None:
            raise BrokenPipeError
        child.stdin.write(request)
        child.stdin.flush()
        return child.stdout

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is not None:
            self._end()
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "kb.sources.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=_ROOT,
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            )
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                with contextlib.suppress(BrokenPipeError):  # an unread rest of a request
                    if pipe is not None:
                        pipe.close()


def read_apart(path: Path) -> FileContent:
    """Read one source in the process's own :class:`FileReader`. Raises UnreadableFile."""
    return _shared.read(path)


_shared = FileReader()
atexit.register(_shared.close)
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")


def _content(reply: dict[str, Any]) -> FileContent:
    return FileContent(
        title=reply["title"],
        language=reply["language"],
        blocks=tuple(Block(**block) for block in reply["blocks"]),
        records=tuple(Record(**record) for record in reply["records"]),
        questions={name: tuple(asked) for name, asked in reply["questions"].items()},
        words=reply["words"],
        phrases={name: tuple(said) for name, said in reply["phrases"].items()},
        lacking=reply["lacking"],
    )
