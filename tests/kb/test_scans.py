"""Pages that are pictures are read by tesseract where it is installed, and named elsewhere."""

from __future__ import annotations

import io
from pathlib import Path

import pypdfium2
import pytest

from kb.sources.front_matter import FrontMatter, UnreadableFile
from kb.sources.pdf import read_pdf
from tests.kb.test_sources import build_pdf


pytestmark = pytest.mark.process

RECOGNISER = """#!/bin/sh
[ "$1" = --list-langs ] && { echo eng; echo spa; exit; }
[ "$(head -c 2)" = P5 ] && [ "$OMP_THREAD_LIMIT" = 1 ] && echo "Leído con $*"
"""


def scanned_pdf() -> bytes:
    """A page that is one picture."""
    document = pypdfium2.PdfDocument.new()
    image = pypdfium2.PdfImage.new(document)
    image.set_bitmap(pypdfium2.PdfBitmap.new_native(40, 40, pypdfium2.raw.FPDFBitmap_BGR))
    image.set_matrix(pypdfium2.PdfMatrix().scale(400, 400))
    page = document.new_page(400, 400)
    page.insert_obj(image)
    page.gen_content()
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def test_a_page_without_text_is_read_by_tesseract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "tesseract"
    program.write_text(RECOGNISER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    content = read_pdf(scanned_pdf(), FrontMatter())

    assert [(b.text, b.position) for b in content.blocks] == [
        ("Leído con stdin stdout -l spa+eng", "page 1")
    ]
    assert content.lacking == ""
    with pytest.raises(UnreadableFile):
        read_pdf(build_pdf([]), FrontMatter())  # nothing is drawn on it


def test_without_tesseract_the_file_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(UnreadableFile, match="install tesseract"):
        read_pdf(scanned_pdf(), FrontMatter())
