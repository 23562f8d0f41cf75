"""THIRD_PARTY.md against the locks: every package, and no licence that MIT cannot stand beside."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.setup.package_index import pins


pytestmark = pytest.mark.pure

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| ([^|`]+) \| (`[^|]+`) \|$", re.MULTILINE)
PERMISSIVE = {
    "0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSD-3-Clause-Modification",
    "BSL-1.0", "CC0-1.0", "CNRI-Python", "ISC", "LLVM-exception", "MIT", "MIT-0", "MIT-CMU",
    "PSF-2.0", "Unlicense", "ZPL-2.1", "Zlib",
}  # fmt: skip
BY_FILE_OR_LIBRARY = {"MPL-2.0", "LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-or-later"}
STRONG = {"espeakng-loader": "GPL-3.0-or-later", "av": "GPL-2.0-or-later"}
"""What "What was found" tells of; a third one is a decision, not a row."""
NOT_FREE = {"LicenseRef-NVIDIA-Proprietary", "LicenseRef-LiveKit-Model"}
MORE_THAN_THE_METADATA = {"av"}
"""Its wheel carries libraries that its own expression does not name."""


def listed() -> list[tuple[str, str]]:
    """(package, licence) of every row."""
    packages = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8").partition("## Packages")[2]
    return [
        (name, licence)
        for licence, names in ROW.findall(packages)
        for name in re.findall(r"`([^`]+)`", names)
    ]


def locked(name: str = "*") -> set[str]:
    files = (ROOT / "requirements").glob(f"{name}.txt")
    return {canonicalize_name(pin) for file in files for pin, _ in pins(file.read_text())}


def parts(licence: str) -> set[str]:
    """The licences of an SPDX expression."""
    return set(re.findall(r"[\w.-]+", licence)) - {"AND", "OR", "WITH"}


def test_every_locked_package_is_listed_once_and_no_other() -> None:
    assert sorted(name for name, _ in listed()) == sorted(locked())


def test_no_licence_is_unknown_and_strong_copyleft_is_only_what_is_told() -> None:
    known = PERMISSIVE | BY_FILE_OR_LIBRARY | NOT_FREE

    assert {
        name: licence
        for name, licence in listed()
        if parts(licence) - known - {STRONG.get(name, "")} or not parts(licence)
    } == {}


def test_what_make_run_installs_is_free() -> None:
    base = locked("base")

    assert [name for name, licence in listed() if name in base and parts(licence) & NOT_FREE] == []


def test_what_is_installed_names_the_licence_that_is_listed() -> None:
    told = {
        canonicalize_name(each.metadata["Name"]): each.metadata.get("License-Expression")
        for each in distributions()
        if each.metadata["Name"]
    }

    assert {
        name: (licence, told[name])
        for name, licence in listed()
        if told.get(name)
        and name not in MORE_THAN_THE_METADATA
        and parts(licence) != parts(str(told[name]))
    } == {}
