"""``python -m tests.fuzz.run``: mutates the seeds of every target; ``make fuzz`` runs it.

Prints executions per target. An input that breaks a target is kept beside the seeds, so that the
next CI run fails until it is mended, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType

import structlog

from tests.fuzz.targets import TARGETS, Target


SEEDS = Path(__file__).parent / "seeds"
HANG_S = 5
TOKENS = (
    b'{"type":"',
    b'":',
    b"null",
    b"-1",
    b"1e309",
    b"NaN",
    b"\\ud800",
    b"\x00",
    b"[" * 64,
    b'{"a":' * 32,
    b"\n",
    b"\xff\xfe",
    b"${",
    b"!!python/object",
    b"&a *a",
    "ñ¿é".encode(),
    b"session_start",
    b"session.update",
    b"conversation.item.create",
    b"9" * 400,
)


def seeds_of(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((SEEDS / name).glob("*"))]


def mutate(seed: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """One to six small changes: bits, cuts, repeats, tokens, a piece of another seed."""
    data = bytearray(seed)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.randint(1, 32))
        match rng.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end] * rng.randint(1, 8)
            case 3:
                data[at:at] = rng.choice(TOKENS)
            case 4:
                other = rng.choice(others)
                start = rng.randrange(len(other) + 1)
                data[at:end] = other[start : start + rng.randint(1, 64)]
            case 5:
                data[at:end] = rng.randbytes(end - at)
            case _:
                data[at:at] = b"\n" + rng.choice(others)
    return bytes(data[:20_000])


class Hang(Exception):
    """A target took longer than ``HANG_S``."""


def _alarm(_number: int, _frame: FrameType | None) -> None:
    raise Hang


def try_one(target: Target, data: bytes) -> str:
    """The traceback of what broke; empty when it held."""
    signal.alarm(HANG_S)
    try:
        target(data)
    except (Exception, Hang):
        return traceback.format_exc()
    finally:
        signal.alarm(0)
    return ""


def fuzz(name: str, mutations: int, rng: random.Random) -> int:
    """Failures found, each kept as a seed."""
    target, seeds = TARGETS[name], seeds_of(name)
    began_s, failures = time.perf_counter(), 0
    for _ in range(mutations):
        data = mutate(rng.choice(seeds), seeds, rng)
        trace = try_one(target, data)
        if trace:
            failures += 1
            path = SEEDS / name / f"broke-{hashlib.sha256(data).hexdigest()[:12]}"
            path.write_bytes(data)
            print(f"{name}: kept as {path}\n{trace}", file=sys.stderr)
    took_s = time.perf_counter() - began_s
    print(f"{name:18} {mutations:9,} mutations {took_s:7.1f} s  {failures} failures", flush=True)
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=1_000_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    parser.add_argument("--target", choices=TARGETS, action="append")
    arguments = parser.parse_args()
    signal.signal(signal.SIGALRM, _alarm)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    print(f"seed {arguments.seed}")
    rng = random.Random(arguments.seed)
    names = arguments.target or list(TARGETS)
    weights = {name: SLOW.get(name, 1.0) for name in names}
    whole = sum(weights.values())
    share = {name: int(arguments.mutations * weights[name] / whole) for name in names}
    share[names[0]] += arguments.mutations - sum(share.values())
    failures = sum(fuzz(name, share[name], rng) for name in names)
    return 1 if failures else 0


SLOW = {"config": 0.03, "kb_query": 0.03, "realtime_session": 0.5, "caller_session": 0.02}
"""Slow targets get fewer of the mutations; the parsers that strangers reach get the most."""


if __name__ == "__main__":
    sys.exit(main())
