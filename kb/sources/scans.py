"""Text of scanned pages, by tesseract where the machine has it; nothing is fetched."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator

import numpy as np
import pypdfium2
from numpy.typing import NDArray
from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE


PROGRAM = "tesseract"
DPI = 200
"""Enough for 10 point type; 300 takes twice the time."""
_MOST_PIXELS = 4000
"""Of a page's longer side: an A3 page whole."""
_FILE_S = 60.0
"""Of one file, within the reader's own limit: some twenty pages; the rest is named."""
_LANGUAGES = ("spa", "eng")


def recognise(data: bytes, pages: list[int]) -> Iterator[tuple[int, str]]:
    """Yield (number, text) of pages of a PDF, counted from 1, while there is time.

    Nothing where tesseract is missing; a page that it fails on is left out.
    """
    program = shutil.which(PROGRAM)
    if program is None or not pages:
        return
    ends = time.monotonic() + _FILE_S
    named = _languages(program)
    with pypdfium2.PdfDocument(data) as document:
        for number in pages:
            left = ends - time.monotonic()
            if left <= 0:
                return
            page = document[number - 1]
            if not any(page.get_objects(filter=(FPDF_PAGEOBJ_IMAGE,), max_depth=2)):
                continue  # an empty page, or a bomb, which to draw takes its minute
            scale = min(DPI / 72, _MOST_PIXELS / max(page.get_size()))
            picture = page.render(scale=scale, grayscale=True).to_numpy()
            text = _read(program, named, picture, left)
            if text.strip():
                yield number, text


def _languages(program: str) -> list[str]:
    told = subprocess.run([program, "--list-langs"], capture_output=True, text=True, check=False)
    known = [each for each in _LANGUAGES if each in told.stdout.split()]
    return ["-l", "+".join(known)] if known else []


def _read(program: str, named: list[str], picture: NDArray[np.uint8], left_s: float) -> str:
    grey = picture.reshape(picture.shape[0], -1)
    header = f"P5 {grey.shape[1]} {grey.shape[0]} 255\n".encode()
    try:
        done = subprocess.run(
            [program, "stdin", "stdout", *named],
            input=header + grey.tobytes(),
            capture_output=True,
            timeout=left_s,
            check=True,
            env=os.environ | {"OMP_THREAD_LIMIT": "1"},  # one core; more of them only wait
        )
    except (subprocess.SubprocessError, OSError):
        return ""
    return done.stdout.decode(errors="replace")
