"""The image holds what the worker imports, and no more: the Dockerfile's COPY lines are enough."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.setup.dockerfile import IMAGES, stage_of


pytestmark = pytest.mark.process


ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = IMAGES / "worker.Dockerfile"
ENGINES = (
    "runpod_worker.handler, runpod_worker.engines.silero, runpod_worker.engines.faster_whisper, "
    "runpod_worker.engines.reader, runpod_worker.engines.espeak"
)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    for step in stage_of(DOCKERFILE, "runpod").steps:
        if step.name != "COPY":
            continue
        *sources, target = step.words
        for name in sources:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, tmp_path / target, dirs_exist_ok=True)
            else:
                (tmp_path / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(source, tmp_path / target)
    return tmp_path


def test_the_worker_imports_from_what_the_image_holds(image: Path) -> None:
    code = f"import {ENGINES}; import runpod_worker as r; print(r.__file__)"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=image, capture_output=True, text=True, timeout=200
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(image / "runpod_worker" / "__init__.py")


def test_the_image_has_no_gateway_and_no_configuration(image: Path) -> None:
    assert sorted(path.name for path in (image / "penny").iterdir() if path.is_dir()) == [
        "aio",
        "audio",
        "correction",
        "realtime",
        "tracing",
        "turns",
    ]
    assert not (image / "config").exists()
    assert not (image / "modes").exists()
