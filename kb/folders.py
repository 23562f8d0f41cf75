"""Which folders below the documents are collections, and how they are called."""

from __future__ import annotations

import re
from pathlib import Path

from kb.passage import Problem
from kb.sections import slug_of
from kb.sources.loader import is_hidden


_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
REF = re.compile(rf"kb://({_NAME.pattern})/({_NAME.pattern})/?")
"""A reference to a collection: company, collection."""


def find_collections(documents: Path) -> tuple[dict[str, Path], list[Problem]]:
    """Every ``<company>/<collection>`` folder by its reference, and the files that lie in none.

    A reference has the folder's name in small letters, without accents, ``-`` for all else: the
    files of ``Acme/Atención al cliente`` are ``kb://acme/atencion-al-cliente``.
    """
    folders: dict[str, Path] = {}
    misplaced: list[Problem] = []
    for company in _visible(documents):
        if not company.is_dir():
            misplaced.append(_misplaced(company, documents))
            continue
        for collection in _visible(company):
            ref = f"kb://{_name_of(company)}/{_name_of(collection)}"
            if not collection.is_dir():
                misplaced.append(_misplaced(collection, documents))
            elif not REF.fullmatch(ref):
                reason = "its name holds no letter or digit, or over 64; rename the folder"
                misplaced.append(Problem(collection.relative_to(documents).as_posix(), reason))
            elif ref in folders:
                reason = f"its name reads {ref}, as {folders[ref].name} does; rename one"
                misplaced.append(Problem(collection.relative_to(documents).as_posix(), reason))
            else:
                folders[ref] = collection
    return folders, misplaced


def _name_of(folder: Path) -> str:
    return folder.name if _NAME.fullmatch(folder.name) else slug_of(folder.name)


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not is_hidden(path))


def _misplaced(path: Path, documents: Path) -> Problem:
    reason = "it lies in no collection; move it into a folder <company>/<collection>/"
    return Problem(path.relative_to(documents).as_posix(), reason)
