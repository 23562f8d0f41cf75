"""Small companies on disk, and the sample company's index, made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kb import KbSettings, KnowledgeBase
from tests.doubles.sample import open_sample


ROOT = Path(__file__).resolve().parents[2]
SAMPLE = "kb://empresa/documentos"

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    return folder


@pytest.fixture
def write(documents: Path) -> Write:
    """Write ``company/collection/file``, whole or not at all, as an editor does."""

    def write_file(path: str, content: str | bytes) -> Path:
        target = documents / path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.new")
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(target)
        return target

    return write_file


@pytest.fixture
def settings(documents: Path, tmp_path: Path) -> KbSettings:
    return KbSettings(documents=documents, index=tmp_path / "index", open_wait_s=0.05)


@pytest.fixture
def open_kb(settings: KbSettings) -> Iterator[Callable[[], KnowledgeBase]]:
    opened: list[KnowledgeBase] = []

    def open_now() -> KnowledgeBase:
        opened.append(KnowledgeBase.open(settings))
        return opened[-1]

    yield open_now
    for base in opened:
        base.close()


@pytest.fixture(scope="session")
def sample() -> Iterator[KnowledgeBase]:
    base = open_sample()
    yield base
    base.close()
