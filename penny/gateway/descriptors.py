"""Whether this process may still open a file or take a connection.

With its descriptors used up the event loop's library closes each new connection without a word,
so that nothing tells of it: a descriptor is asked for every second.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource

import structlog


log = structlog.get_logger()

PERIOD_S = 1.0
_USED_UP = (errno.EMFILE, errno.ENFILE)


class DescriptorWatch:
    """Notes when no file descriptor is left, and logs it once until one is free again."""

    def __init__(self) -> None:
        self._is_used_up = False

    async def watch(self) -> None:
        """Look for as long as the gateway lives."""
        while True:
            self.look()
            await asyncio.sleep(PERIOD_S)

    def look(self) -> None:
        """Ask for a descriptor and give it back."""
        try:
            os.close(os.dup(2))
        except OSError as error:
            if error.errno in _USED_UP and not self._is_used_up:
                self._is_used_up = True
                limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
                log.error("descriptors_used_up", limit=limit, remedy="raise it with ulimit -n")  # noqa: TRY400
            return
        if self._is_used_up:
            self._is_used_up = False
            log.info("descriptors_free_again")

    def fault(self) -> str:
        """Why new callers are not heard, or ''."""
        return "no file descriptor is left: new callers are closed" if self._is_used_up else ""
