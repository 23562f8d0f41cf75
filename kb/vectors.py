"""The vectors of one collection: a file beside its index, and exact search over them.

A passage has a vector for each window of some 400 characters, under its headings: one of a whole
passage is near to everything that it speaks of, and to nothing. Beside them lie those of some
questions about anything (``thesaurus/asked_es.txt``): what all questions have in common says
nothing of their matter, and is taken off each. And those of some passages of other trades
(``thesaurus/elsewhere.txt``): a question that is as near to them is hardly answered here.

Rows are known by the text they were made of, so an edit makes only its own passages anew, and a
file written half-way is never seen: it is renamed into place when it is whole.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import numpy as np
import structlog
import tantivy

from kb.embedder import Embedder, Vectors
from kb.index import SCHEMA, read_passage
from kb.passage import Language, Passage
from kb.rivals import LEAST_SPREAD, Rivals, cosines_of, foreign_of


log = structlog.get_logger()

# Of a passage in one commit: its segment and its document there.
Place = tuple[int, int]

_BATCH = 64
_WINDOW_CHARS = 400
_MOST_WINDOWS = 4
"""Of one passage among the nearest, more or less: so many more rows are looked at."""
_HEADINGS = 2
_LANGUAGES: tuple[Language, ...] = ("es", "en")
_THESAURUS = Path(__file__).parent / "thesaurus"
_LEAST_WINDOWS = 50
"""Among fewer there is little to be near to: there, words alone are trusted."""
_SAVED_EVERY_S = 60.0
"""What an end of the process costs of the making, which takes minutes for many passages."""


@dataclass(frozen=True, slots=True)
class Near:
    """A passage near to a question.

    ``standing``: its cosine, counted in standard deviations over the mean of the whole collection;
    unlike a cosine, it means the same for every model. ``beyond``: whether it answers at all: the
    same over the best that questions about anything find in this collection, or over what this
    question finds in passages of other trades, whichever is less.
    """

    address: tantivy.DocAddress
    cosine: float
    standing: float
    beyond: float


class VectorIndex:
    """Vectors with the addresses of their passages in one commit; unchanging.

    A passage may have several rows: its nearest one counts.

    Args:
        asked: of questions about anything. ``elsewhere``: of passages of other trades.
    """

    def __init__(
        self,
        addresses: list[tantivy.DocAddress],
        rows: Vectors,
        asked: dict[Language, Vectors],
        elsewhere: Vectors,
    ) -> None:
        self._addresses = addresses
        self._rows = rows
        self._of: dict[Place, list[int]] = {}
        for at, address in enumerate(addresses):
            self._of.setdefault((address.segment_ord, address.doc), []).append(at)
        foreign = foreign_of(elsewhere, rows, self._of.values())
        self.tells = len(rows) >= _LEAST_WINDOWS
        """Whether ``Near.beyond`` says something."""
        self._rivals = {language: Rivals(each, rows, foreign) for language, each in asked.items()}

    def nearest(
        self, query: Vectors, language: Language, limit: int, also: Iterable[Place] = ()
    ) -> list[Near]:
        """Return the nearest passages and those of ``also`` that have vectors, nearest first."""
        if not self._addresses:
            return []
        rivals = self._rivals[language]
        bare = rivals.bare(query)
        cosines, beyond = cosines_of(self._rows, bare), rivals.beyond(bare)
        mean, spread = float(cosines.mean()), max(LEAST_SPREAD, float(cosines.std()))
        count = min(limit * _MOST_WINDOWS, len(cosines))
        places: dict[Place, None] = {}
        top = np.argpartition(-cosines, count - 1)[:count]
        for at in top[np.argsort(-cosines[top])]:
            places.setdefault((self._addresses[at].segment_ord, self._addresses[at].doc))
        chosen = {*list(places)[:limit], *(each for each in also if each in self._of)}
        found: list[Near] = []
        for place in chosen:
            at = max(self._of[place], key=lambda row: float(cosines[row]))
            cosine = float(cosines[at])
            standing = (cosine - mean) / spread
            found.append(Near(self._addresses[at], cosine, standing, beyond(cosine)))
        return sorted(found, key=lambda each: -each.cosine)

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
    held, asked = _load(_path(folder, embedder))
    texts = [text for _, text in _texts(searcher)]
    if len(texts) >= _LEAST_WINDOWS:
        texts += _elsewhere()
    wanted = {_key(text): text for text in texts}
    missing = [key for key in wanted if key not in held]
    if not missing and len(held) == len(wanted):
        return False
    rows = {key: row for key, row in held.items() if key in wanted}
    if not asked:
        asked = {each: embedder.embed_queries(_about_anything(each)) for each in _LANGUAGES}
    saved = time.monotonic()
    try:
        for first in range(0, len(missing), _BATCH):
            keys = missing[first : first + _BATCH]
            made = embedder.embed_passages([wanted[key] for key in keys])
            rows |= dict(zip(keys, made, strict=True))
            if progress:
                progress(min(first + _BATCH, len(missing)), len(missing))
            if time.monotonic() - saved > _SAVED_EVERY_S:
                _save(rows, asked, _path(folder, embedder))
                saved = time.monotonic()
    finally:
        _save(rows, asked, _path(folder, embedder))
    log.info("kb_vectors_made", made=len(missing), kept=len(rows) - len(missing))
    return True


def _about_anything(language: Language) -> list[str]:
    return (_THESAURUS / f"asked_{language}.txt").read_text(encoding="utf-8").splitlines()


def _elsewhere() -> list[str]:
    return (_THESAURUS / "elsewhere.txt").read_text(encoding="utf-8").splitlines()


def _save(rows: dict[str, Vectors], asked: dict[Language, Vectors], path: Path) -> None:
    """Raises ValueError: the vectors do not go together."""
    if len({len(row) for row in (*rows.values(), *(each[0] for each in asked.values()))}) > 1:
        raise ValueError("the model changed its vectors' length; give it another name")
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        keys = np.array(list(rows), dtype="U32")
        np.savez(
            file, keys=keys, rows=np.array(list(rows.values())), es=asked["es"], en=asked["en"]
        )
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
    held, asked = _load(_path(folder, embedder))
    addresses: list[tantivy.DocAddress] = []
    rows: list[Vectors] = []
    for address, text in _texts(searcher) if held else ():
        row = held.get(_key(text))
        if row is not None:
            addresses.append(address)
            rows.append(row)
    elsewhere = [held[key] for key in map(_key, _elsewhere()) if key in held]
    return VectorIndex(
        addresses,
        np.array(rows, dtype=np.float32),
        asked,
        np.array(elsewhere, dtype=np.float32),
    )


def _texts(searcher: tantivy.Searcher) -> list[tuple[tantivy.DocAddress, str]]:
    query = tantivy.Query.term_query(SCHEMA, "kind", "passage", "basic")
    hits = searcher.search(query, limit=max(1, searcher.num_docs), count=False).hits
    passages = [(address, read_passage(searcher, address).passage) for _, address in hits]
    return [(address, text) for address, passage in passages for text in windows_of(passage)]


def windows_of(passage: Passage) -> list[str]:
    """What is embedded of a passage: its listed questions, callers' phrases, and its text, each in
    windows of lines under the headings."""
    above = " > ".join(passage.heading[-_HEADINGS:])
    said = [[f"{each}." for each in passage.phrases], passage.questions, passage.text.split("\n")]
    return [f"{above}\n{each}" for lines in said for each in _windows(lines)]


def _windows(lines: Iterable[str]) -> Iterator[str]:
    held = ""
    for line in lines:
        for piece in wrap(line, _WINDOW_CHARS, break_long_words=False):
            if held and len(held) + len(piece) > _WINDOW_CHARS:
                yield held
                held = ""
            held = f"{held}\n{piece}" if held else piece
    if held:
        yield held


def _key(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _path(folder: Path, embedder: Embedder) -> Path:
    name = hashlib.blake2b(embedder.name.encode(), digest_size=8).hexdigest()
    return folder / f"vectors2-{name}.npz"


def _load(path: Path) -> tuple[dict[str, Vectors], dict[Language, Vectors]]:
    """Return the rows by the key of their text, and those of the questions about anything."""
    try:
        with np.load(path, allow_pickle=False) as data:
            rows = dict(zip(data["keys"].tolist(), data["rows"], strict=True))
            return rows, {language: data[language] for language in _LANGUAGES}
    except FileNotFoundError:
        return {}, {}
    except (OSError, ValueError, KeyError) as error:
        log.warning("kb_vectors_unreadable", file=path.name, error=type(error).__name__)
        return {}, {}
