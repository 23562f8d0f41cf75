"""``python -m tests.fuzz.guided TARGET [libFuzzer options]``: coverage chooses the mutations.

Needs atheris (Linux on x86-64). New inputs that reach new code go to var/fuzz/TARGET.
"""

from __future__ import annotations

import sys

import atheris


with atheris.instrument_imports(include=["penny", "config", "kb"]):
    from tests.fuzz.run import SEEDS
    from tests.fuzz.targets import TARGETS


def main() -> None:
    name, options = sys.argv[1], sys.argv[2:]
    from pathlib import Path

    corpus = Path("var/fuzz") / name
    corpus.mkdir(parents=True, exist_ok=True)
    arguments = [sys.argv[0], *options, "-timeout=5", str(corpus), str(SEEDS / name)]
    atheris.Setup(arguments, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
