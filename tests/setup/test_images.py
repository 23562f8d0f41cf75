"""The images' Dockerfiles as they must be, as far as no engine is needed to see it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.setup.dockerfile import IMAGES, ROOT, read_dockerfile, stage_of
from tests.setup.package_index import pins


pytestmark = pytest.mark.pure

OWN = [
    ("gateway.Dockerfile", "gateway"),
    ("gateway.Dockerfile", "cpu"),
    ("worker.Dockerfile", "worker"),
]


@pytest.mark.parametrize("path", sorted(IMAGES.glob("*.Dockerfile")), ids=lambda path: path.name)
def test_what_is_copied_is_in_the_repository_and_not_hidden_from_the_builder(path: Path) -> None:
    shown = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    ]
    for stage in read_dockerfile(path):
        for step in stage.steps:
            if step.name == "COPY" and "from" not in step.flags:
                for name in step.words[:-1]:
                    assert (ROOT / name).exists(), name
                    assert any(name == each or name.startswith(f"{each}/") for each in shown), name


@pytest.mark.parametrize(("name", "target"), OWN)
def test_an_image_is_no_root_says_how_it_is_and_installs_by_hashes_alone(
    name: str, target: str
) -> None:
    stage = stage_of(IMAGES / name, target)
    user, health, volume = (stage.last(each) for each in ("USER", "HEALTHCHECK", "VOLUME"))
    assert user is not None
    assert int(user.text.partition(":")[0]) > 0
    assert health is not None
    assert "/health" in health.text
    assert volume is not None
    for each in read_dockerfile(IMAGES / name):
        for step in each.steps:
            if step.name == "RUN" and "pip install" in step.text:
                assert "--require-hashes" in step.text or "$LOCKED" in step.text


def test_images_without_a_gpu_install_no_torch_and_the_gateways_no_engine() -> None:
    installed = {
        stage.name: re.findall(r"-r requirements/(\w+)\.txt", step.text)
        for stage in read_dockerfile(IMAGES / "gateway.Dockerfile")
        for step in stage.steps
        if step.name == "RUN" and "pip install" in step.text
    }
    assert installed == {"build": ["gateway"], "build-cpu": ["base"]}
    gateway, base = (
        {name for name, _ in pins((ROOT / f"requirements/{lock}.txt").read_text())}
        for lock in ("gateway", "base")
    )
    assert "torch" not in base
    assert gateway < base
    assert gateway & {"ctranslate2", "faster-whisper", "onnxruntime", "pocketsphinx"} == set()
