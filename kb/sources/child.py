"""A process that reads files for its parent, so that what breaks a parser breaks nothing else.

Started as ``python -m kb.sources.child``. Per file one line in (the path) and one JSON object out:
a :class:`FileContent`, or ``{"unreadable": reason}``. Limits are the operating system's.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import orjson

from kb.sources.front_matter import UnreadableFile
from kb.sources.loader import read_file


MEMORY_BYTES = 2 << 30
"""Address space. The largest honest file of 50 MB took 0.9 GB; zip bombs stop here."""
CPU_S = 60
"""Of one file. A PDF of 3,000 pages took 12 s; on a slow core, five times as much."""
OUT_OF_MEMORY = "it needs more memory than one file may have; split it"


def answer(path: Path) -> bytes:
    """What is told of one file. Raises nothing that a file can cause."""
    try:
        return orjson.dumps(read_file(path))
    except UnreadableFile as error:
        return orjson.dumps({"unreadable": str(error)})
    except OSError as error:
        return orjson.dumps({"unreadable": error.strerror or type(error).__name__})
    except MemoryError:
        return orjson.dumps({"unreadable": OUT_OF_MEMORY})


def main() -> None:
    """Answer until standard input closes."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        used = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(
            resource.RLIMIT_CPU,
            (int(used.ru_utime + used.ru_stime) + CPU_S, resource.RLIM_INFINITY),
        )
        sys.stdout.buffer.write(answer(Path(orjson.loads(line))) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
