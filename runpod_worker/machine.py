"""What this machine can carry: its cores, its free memory, its vector unit; and what that means."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path


MOST_CORES = 4
"""More cores for one phrase or one decoding hardly help, and other calls want them."""
NATURAL_CORES = 2
NATURAL_MEMORY_BYTES = 1_500_000_000
"""Whisper base and Kokoro with their worker, beside the worker that answers meanwhile."""
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Machine:
    """``cores`` are those this process may use. ``vectors``: AVX2 on x86, or an ARM of 64 bits."""

    cores: int
    free_bytes: int
    vectors: bool

    def __str__(self) -> str:
        return f"{self.cores} cores, {self.free_bytes / 1e9:.1f} GB of memory free"


def refuse_natural(machine: Machine) -> str:
    """Why this machine is too small for Whisper base and Kokoro; '' when it is not."""
    if machine.cores < NATURAL_CORES:
        return f"{machine.cores} core, and it wants {NATURAL_CORES}"
    if machine.free_bytes < NATURAL_MEMORY_BYTES:
        free, wanted = (size / 1e9 for size in (machine.free_bytes, NATURAL_MEMORY_BYTES))
        return f"{free:.1f} GB of memory free, and it wants {wanted:.1f}"
    return "" if machine.vectors else "this processor has no AVX2"


def measure_machine() -> Machine:
    """As the system tells it now; a container's limits count."""
    return Machine(count_cores(), _free_bytes(), _has_vectors())


def usable_cores() -> int:
    """Threads for one computation that a caller waits for."""
    return min(count_cores(), MOST_CORES)


def count_cores() -> int:
    """Cores of this process: its affinity, and its container's quota rounded down; 1 at least."""
    affine = getattr(os, "sched_getaffinity", None)
    cores = len(affine(0)) if affine is not None else os.cpu_count() or 1
    quota, _, period_us = _read(CGROUPS / "cpu.max").partition(" ")
    if quota.isdigit() and period_us.strip().isdigit():
        cores = min(cores, int(quota) // int(period_us))
    return max(1, cores)


def _free_bytes() -> int:
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")  # all there is: macOS
    for line in _read(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    limit, used = _read(CGROUPS / "memory.max").strip(), _read(CGROUPS / "memory.current").strip()
    if limit.isdigit() and used.isdigit():
        free = min(free, int(limit) - int(used))
    return free


def _has_vectors() -> bool:
    if platform.machine().lower() in ("arm64", "aarch64"):
        return True
    return "avx2" in _read(Path("/proc/cpuinfo")).split()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
