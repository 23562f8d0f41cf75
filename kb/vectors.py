"""The vectors of one collection: a file beside its index, and exact search over them.

A passage has a vector for each window of some 400 characters, under its headings: one of a whole
passage is near to everything that it speaks of, and to nothing. Rows are known by the text they
were made of, so an edit makes only its own passages anew, and a file written half-way is never
seen: it is renamed into place when it is whole.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import numpy as np
import structlog
import tantivy

from kb.embedder import Embedder, Vectors
from kb.index import SCHEMA, read_passage
from kb.passage import Passage


log = structlog.get_logger()

_BATCH = 64
_WINDOW_CHARS = 400
_MOST_WINDOWS = 4
"""Of one passage among the nearest, more or less: so many more rows are looked at."""
_HEADINGS = 2
_LEAST_SPREAD = 0.01
_SAVED_EVERY_S = 60.0
"""What an end of the process costs of the making, which takes minutes for many passages."""


@dataclass(frozen=True, slots=True)
class Near:
    """A passage near to a question. ``standing``: its cosine, counted in standard deviations over
    the mean of the whole collection; unlike a cosine, it means the same for every model."""

    address: tantivy.DocAddress
    cosine: float
    standing: float


class VectorIndex:
    """Vectors with the addresses of their passages in one commit; unchanging.

    A passage may have several rows: its nearest one counts.
    """

    def __init__(self, addresses: list[tantivy.DocAddress], rows: Vectors) -> None:
        self._addresses = addresses
        self._rows = rows

    def nearest(self, query: Vectors, limit: int) -> list[Near]:
        """Return the nearest passages, the nearest first."""
        if not self._addresses:
            return []
        # Not by BLAS: its threads wait for each other 40 ms where other work runs.
        cosines = np.einsum("rd,d->r", self._rows, query)
        mean, spread = float(cosines.mean()), max(_LEAST_SPREAD, float(cosines.std()))
        count = min(limit * _MOST_WINDOWS, len(cosines))
        top = np.argpartition(-cosines, count - 1)[:count]
        found: dict[tuple[int, int], Near] = {}
        for at in top[np.argsort(-cosines[top])]:
            address, cosine = self._addresses[at], float(cosines[at])
            place = (address.segment_ord, address.doc)
            found.setdefault(place, Near(address, cosine, (cosine - mean) / spread))
        return list(found.values())[:limit]

    def __len__(self) -> int:
        return len(self._addresses)


def make_vectors(
    searcher: tantivy.Searcher,
    folder: Path,
    embedder: Embedder,
    progress: Callable[[int, int], None] | None = None,
) -> bool:
    """Embed every passage whose text has no vector yet; return whether the file was written.

    Args:
        progress: told (passages done, passages in all) after each batch.

    Raises:
        EmbeddingFailed: the engine failed, and has told of it; what was made before stays.
        ValueError: the vectors do not go together.
        OSError: they cannot be written.
    """
    held = _load(_path(folder, embedder))
    wanted = {_key(text): text for _, text in _texts(searcher)}
    missing = [key for key in wanted if key not in held]
    if not missing and len(held) == len(wanted):
        return False
    rows = {key: row for key, row in held.items() if key in wanted}
    saved = time.monotonic()
    try:
        for first in range(0, len(missing), _BATCH):
            keys = missing[first : first + _BATCH]
            made = embedder.embed_passages([wanted[key] for key in keys])
            rows |= dict(zip(keys, made, strict=True))
            if progress:
                progress(min(first + _BATCH, len(missing)), len(missing))
            if time.monotonic() - saved > _SAVED_EVERY_S:
                _save(rows, _path(folder, embedder))
                saved = time.monotonic()
    finally:
        _save(rows, _path(folder, embedder))
    log.info("kb_vectors_made", made=len(missing), kept=len(rows) - len(missing))
    return True


def _save(rows: dict[str, Vectors], path: Path) -> None:
    """Raises ValueError: the vectors do not go together."""
    if len({len(row) for row in rows.values()}) > 1:
        raise ValueError("the model changed its vectors' length; give it another name")
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, keys=np.array(list(rows), dtype="U32"), rows=np.array(list(rows.values())))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def stamp_of(folder: Path, embedder: Embedder) -> tuple[int, int]:
    """Return what changes whenever vectors are made, for one ``stat``."""
    return stamp_of_file(_path(folder, embedder))


def stamp_of_file(path: Path) -> tuple[int, int]:
    """Return the time and the place on disk of a file that is replaced whole; zeros without one."""
    try:
        stat = path.stat()
    except OSError:
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_ino)


def read_vectors(searcher: tantivy.Searcher, folder: Path, embedder: Embedder) -> VectorIndex:
    """Return the vectors of a commit's passages; those without one are found by words alone."""
    held = _load(_path(folder, embedder))
    addresses: list[tantivy.DocAddress] = []
    rows: list[Vectors] = []
    for address, text in _texts(searcher) if held else ():
        row = held.get(_key(text))
        if row is not None:
            addresses.append(address)
            rows.append(row)
    return VectorIndex(addresses, np.array(rows, dtype=np.float32))


def _texts(searcher: tantivy.Searcher) -> list[tuple[tantivy.DocAddress, str]]:
    query = tantivy.Query.term_query(SCHEMA, "kind", "passage", "basic")
    hits = searcher.search(query, limit=max(1, searcher.num_docs), count=False).hits
    passages = [(address, read_passage(searcher, address).passage) for _, address in hits]
    return [(address, text) for address, passage in passages for text in windows_of(passage)]


def windows_of(passage: Passage) -> list[str]:
    """What is embedded of a passage: its listed questions, and its text in windows of lines, each
    under the headings."""
    above = " > ".join(passage.heading[-_HEADINGS:])
    windows = [" ".join(passage.questions)] if passage.questions else []
    held = ""
    for line in passage.text.split("\n"):
        for piece in wrap(line, _WINDOW_CHARS, break_long_words=False):
            if held and len(held) + len(piece) > _WINDOW_CHARS:
                windows.append(held)
                held = ""
            held = f"{held}\n{piece}" if held else piece
    return [f"{above}\n{each}" for each in (*windows, *([held] if held else []))]


def _key(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _path(folder: Path, embedder: Embedder) -> Path:
    name = hashlib.blake2b(embedder.name.encode(), digest_size=8).hexdigest()
    return folder / f"vectors-{name}.npz"


def _load(path: Path) -> dict[str, Vectors]:
    try:
        with np.load(path, allow_pickle=False) as data:
            return dict(zip(data["keys"].tolist(), data["rows"], strict=True))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError) as error:
        log.warning("kb_vectors_unreadable", file=path.name, error=type(error).__name__)
        return {}
