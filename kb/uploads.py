"""Documents put into a collection's folder and taken out again, as the operator's page does."""

from __future__ import annotations

import os
import shutil
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from kb.sources.loader import ASIDE, SUFFIXES, is_hidden, sidecar_of
from penny.errors import PennyError
from penny.ids import new_id


_MOST_NAME_BYTES = 200


class RefusedDocument(PennyError):
    """A document that cannot be put there, or is not there; the message says what to change."""

    code = "kb_document_refused"


def write_document(folder: Path, name: str, data: BinaryIO) -> None:
    """Put a document there, whole or not at all; one of that name is replaced.

    Args:
        name: its path below ``folder``, with ``/``.
        data: read from its beginning.

    Raises:
        RefusedDocument: not a name, or not a kind, that is read; or the folder cannot be written.
    """
    path = _place(folder, name)
    if path.suffix.lower() not in SUFFIXES:
        kinds = ", ".join(sorted(SUFFIXES))
        reason = f"files {path.suffix or 'without a suffix'} are not read: {kinds}"
        raise RefusedDocument(reason, field="kind")
    if not data.seek(0, os.SEEK_END):
        raise RefusedDocument("the file is empty", field="file")
    data.seek(0)
    partial = path.with_name(f".{path.name}.{new_id('part')}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            shutil.copyfileobj(data, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise RefusedDocument(f"it cannot be written: {error.strerror}", field="folder") from error


def remove_document(folder: Path, name: str) -> None:
    """Take a document out, with what is said of it beside it.

    Raises:
        RefusedDocument: there is none, or it cannot be removed.
    """
    path = _place(folder, name)
    if not path.is_file() and not path.is_symlink():
        raise RefusedDocument(f"there is no document {name!r}", field="document")
    try:
        path.unlink()
        sidecar_of(path).unlink(missing_ok=True)
    except OSError as error:
        raise RefusedDocument(f"it cannot be removed: {error.strerror}", field="folder") from error


def _place(folder: Path, name: str) -> Path:
    """Where it lies; never above or beside the folder, nor where links lead."""
    parts = PurePosixPath(name).parts
    bad = not parts or name.startswith("/") or "\\" in name or any(ord(each) < 32 for each in name)
    if bad or any(part == ".." or is_hidden(Path(part)) for part in parts):
        reason = "the name is a path below the collection, such as precios/2026.pdf"
        raise RefusedDocument(reason, field="name")
    if any(len(part.encode()) > _MOST_NAME_BYTES for part in parts):
        reason = f"a name has at most {_MOST_NAME_BYTES} bytes; shorten it"
        raise RefusedDocument(reason, field="name")
    if parts[-1] in ASIDE:
        reason = "the thesaurus and the phrases are edited in the folder"
        raise RefusedDocument(reason, field="kept")
    path = folder.joinpath(*parts)
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise RefusedDocument("a linked folder leads out of the collection", field="folder")
    return path
