"""The vectors of one collection: a file beside its index, and exact search over them.

Rows are known by the text they were made of, so an edit makes only its own passages anew, and a
file written half-way is never seen: it is renamed into place when it is whole.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import structlog
import tantivy

from kb.embedder import Embedder, Vectors
from kb.index import SCHEMA, read_passage


log = structlog.get_logger()

_SLOPE = 20.0
_BATCH = 256


class VectorIndex:
    """Vectors with the addresses of their passages in one commit; unchanging."""

    def __init__(self, addresses: list[tantivy.DocAddress], rows: Vectors) -> None:
        self._addresses = addresses
        self._rows = rows
        self._places = {(each.segment_ord, each.doc): at for at, each in enumerate(addresses)}

    def nearest(self, query: Vectors, limit: int) -> list[tuple[float, tantivy.DocAddress]]:
        """Return (cosine, address), the nearest first."""
        if not self._addresses:
            return []
        cosines = self._rows @ query
        count = min(limit, len(cosines))
        top = np.argpartition(-cosines, count - 1)[:count]
        ordered = top[np.argsort(-cosines[top])]
        return [(float(cosines[at]), self._addresses[at]) for at in ordered]

    def cosine(self, query: Vectors, address: tantivy.DocAddress) -> float | None:
        at = self._places.get((address.segment_ord, address.doc))
        return None if at is None else float(self._rows[at] @ query)


def likelihood(cosine: float, relevance: float) -> float:
    """Return 0..1; ``relevance`` is the cosine at which right and wrong are as likely."""
    return 1.0 / (1.0 + math.exp(-_SLOPE * (cosine - relevance)))


def fuse(lexical: float, vector: float) -> float:
    """Either witness may be right on its own: 1 minus the chance that both are wrong."""
    return 1.0 - (1.0 - lexical) * (1.0 - vector)


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
    for first in range(0, len(missing), _BATCH):
        keys = missing[first : first + _BATCH]
        made = embedder.embed_passages([wanted[key] for key in keys])
        rows |= dict(zip(keys, made, strict=True))
        if progress:
            progress(min(first + _BATCH, len(missing)), len(missing))
    lengths = {len(row) for row in rows.values()}
    if len(lengths) > 1:
        raise ValueError("the model changed its vectors' length; give it another name")
    path = _path(folder, embedder)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, keys=np.array(list(rows), dtype="U32"), rows=np.array(list(rows.values())))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    log.info("kb_vectors_made", made=len(missing), kept=len(rows) - len(missing))
    return True


def stamp_of(folder: Path, embedder: Embedder) -> tuple[int, int]:
    """Return what changes whenever vectors are made, for one ``stat``."""
    try:
        stat = _path(folder, embedder).stat()
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
    return [
        (address, "\n".join((" > ".join(passage.heading), *passage.questions, passage.text)))
        for address, passage in passages
    ]


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
