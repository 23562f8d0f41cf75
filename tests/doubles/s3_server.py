"""A real S3 server as a process: moto's. It is stopped and started at the same port."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from types import TracebackType
from typing import Self


class S3Server:
    """Server with one bucket, ``calls``; what it holds is gone when it stops."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and make the bucket."""
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        give_up = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    break
            assert time.monotonic() < give_up, "moto does not listen"
            time.sleep(0.05)
        make = urllib.request.Request(f"{self.url}/calls", method="PUT")
        with urllib.request.urlopen(make, timeout=60) as answer:
            assert answer.status == 200

    def stop(self) -> None:
        """End it, at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
