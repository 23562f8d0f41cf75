"""The checkout is the package: nothing installed may answer to our names."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest


pytestmark = pytest.mark.process


ROOT = Path(__file__).parent.parent
TOP_LEVEL = ("penny", "modes", "brain", "kb", "config", "runpod_worker", "tests")


def test_no_installed_distribution_ships_one_of_our_names() -> None:
    installed = packages_distributions()

    assert "pytest" in installed
    assert {name: installed[name] for name in TOP_LEVEL if name in installed} == {}


def test_every_top_level_name_is_imported_from_the_checkout() -> None:
    code = f"import {', '.join(TOP_LEVEL)}; print({', '.join(f'{n}.__file__' for n in TOP_LEVEL)})"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == [str(ROOT / name / "__init__.py") for name in TOP_LEVEL]


def test_penny_itself_imports_nothing_of_its_own() -> None:
    # One eager import here makes modes circular and drags the gateway into the worker's image.
    tree = ast.parse((ROOT / "penny/__init__.py").read_text(encoding="utf-8"))

    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imports] == ["import os"]
