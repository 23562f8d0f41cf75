"""``make soak``: paced calls beside injected faults, for some minutes, against real processes.

Half of the callers reach the gateway through a proxy that stalls and resets; Redis is killed,
frozen and started again; the worker is stopped and continued. Prints what was held and lost.
Exit status 1 when a turn or an event was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import psutil

from tests.doubles.faulty_proxy import FaultyProxy, faulty_proxy
from tests.doubles.processes import PennyProcess, gateway_process, worker_process
from tests.doubles.redis_server import RedisServer, running_redis
from tests.soak.caller import SoakCaller, Tally


FAULT_EVERY_S = 2.0
FREEZE_S = 0.6


class Faults:
    """One fault after the other, each undone before the next."""

    def __init__(self, proxy: FaultyProxy, redis: RedisServer, worker: PennyProcess) -> None:
        self._proxy = proxy
        self._redis = redis
        self._worker = worker
        self.injected: Counter[str] = Counter()

    async def inject(self, stop: asyncio.Event, rng: random.Random) -> None:
        faults = (self._reset, self._stall, self._slow, self._kill_redis, self._freeze_redis)
        while not stop.is_set():
            await asyncio.sleep(FAULT_EVERY_S)
            fault = rng.choice((*faults, self._freeze_worker, self._reset))
            await fault()
            self.injected[fault.__name__.removeprefix("_")] += 1

    async def _reset(self) -> None:
        self._proxy.drop()

    async def _stall(self) -> None:
        self._proxy.stall()
        await asyncio.sleep(FREEZE_S)
        self._proxy.flow()

    async def _slow(self) -> None:
        self._proxy.delay_s = 0.05
        await asyncio.sleep(FREEZE_S)
        self._proxy.delay_s = 0.0

    async def _kill_redis(self) -> None:
        self._redis.stop()
        await asyncio.sleep(FREEZE_S)
        await asyncio.to_thread(self._redis.start)

    async def _freeze_redis(self) -> None:
        os.kill(self._redis.pid, signal.SIGSTOP)
        await asyncio.sleep(FREEZE_S)
        os.kill(self._redis.pid, signal.SIGCONT)

    async def _freeze_worker(self) -> None:
        self._worker.signal(signal.SIGSTOP)
        await asyncio.sleep(FREEZE_S)
        self._worker.signal(signal.SIGCONT)


async def soak(folder: Path, sessions: int, seconds: float, seed: int) -> int:
    tally, stop, rng = Tally(), asyncio.Event(), random.Random(seed)
    with running_redis() as redis:
        shared = {"url": redis.url, "lease_s": 3.0}
        async with (
            worker_process(folder) as worker,
            gateway_process(folder, worker.port, redis=shared) as gateway,
            faulty_proxy(gateway.port) as proxy,
        ):
            process = psutil.Process(gateway.process.pid)
            callers = [
                SoakCaller(
                    proxy.url if number % 2 else gateway.url, tally, stop, measure=number % 2 == 0
                )
                for number in range(sessions)
            ]
            calls = asyncio.gather(*(caller.run() for caller in callers))
            await asyncio.sleep(min(10.0, seconds / 4))
            before = _resources(process)
            faults = Faults(proxy, redis, worker)
            injecting = asyncio.create_task(faults.inject(stop, rng), name="faults")
            await asyncio.sleep(seconds)
            after = _resources(process)
            stop.set()
            await injecting
            await calls
            print_report(sessions, seconds, faults, tally, before, after)
            errors = Counter(
                record["event"]
                for record in map(json.loads, filter(_is_record, gateway.log.splitlines()))
                if record["level"] == "error"
            )
            print(f"{'errors logged':25}{dict(errors)}")
    lost = tally.asked - tally.answered
    return 1 if lost or tally.wrong_audio or tally.out_of_order or tally.failures else 0


def print_report(
    sessions: int,
    seconds: float,
    faults: Faults,
    tally: Tally,
    before: tuple[float, int],
    after: tuple[float, int],
) -> None:
    late = sorted(tally.lateness_ms) or [0.0]
    middle_ms, p99_ms = late[len(late) // 2], late[len(late) * 99 // 100]
    told = ", ".join(f"{name} {count}" for name, count in sorted(faults.injected.items()))
    lines = {
        "sessions held": f"{sessions} for {seconds:.0f} s",
        "faults injected": f"{sum(faults.injected.values())} ({told})",
        "connections resumed": tally.resumed,
        "turns": f"{tally.asked} asked, {tally.asked - tally.answered} lost",
        "answered again": f"{tally.replaced} turns of workers that were lost",
        "events lost": tally.out_of_order,
        "answers with wrong audio": tally.wrong_audio,
        "frame lateness p50, p99": f"{middle_ms:.1f}, {p99_ms:.1f} ms",
        "memory": f"{before[0]:.1f} -> {after[0]:.1f} MiB",
        "descriptors": f"{before[1]} -> {after[1]}",
        "callers failed": tally.failures or 0,
        "first wrong turns": tally.wrong_turns or 0,
    }
    for name, value in lines.items():
        print(f"{name:25}{value}")


def _is_record(line: str) -> bool:
    return line.startswith("{")


def _resources(process: psutil.Process) -> tuple[float, int]:
    return process.memory_info().rss / 1024**2, process.num_fds()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="penny-soak-") as folder:
        return asyncio.run(
            soak(Path(folder), arguments.sessions, arguments.seconds, arguments.seed)
        )


if __name__ == "__main__":
    sys.exit(main())
