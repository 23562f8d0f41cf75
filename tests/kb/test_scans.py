"""Pages that are pictures are read by tesseract where it is installed, and named elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb.sources.front_matter import FrontMatter, UnreadableFile
from kb.sources.pdf import read_pdf
from tests.kb.test_sources import build_pdf


pytestmark = pytest.mark.process

RECOGNISER = """#!/bin/sh
[ "$1" = --list-langs ] && { echo eng; echo spa; exit; }
[ "$(head -c 2)" = P5 ] && [ "$OMP_THREAD_LIMIT" = 1 ] && echo "Leído con $*"
"""


def test_a_page_without_text_is_read_by_tesseract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "tesseract"
    program.write_text(RECOGNISER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    content = read_pdf(build_pdf([]), FrontMatter())

    assert [(b.text, b.position) for b in content.blocks] == [
        ("Leído con stdin stdout -l spa+eng", "page 1")
    ]
    assert content.lacking == ""


def test_without_tesseract_the_file_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(UnreadableFile, match="install tesseract"):
        read_pdf(build_pdf([]), FrontMatter())
