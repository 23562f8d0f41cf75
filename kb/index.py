"""One collection's index on disk, kept by tantivy: one folder, nothing shared with another.

Every commit is atomic, and what was read from which file is kept in the same commit as its
passages, so an indexer killed half-way leaves the last commit and the next start goes on from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import tantivy

from kb.intent import held_by
from kb.normal.analysis import keys_of
from kb.normal.words import plain_words, sounds_of
from kb.passage import IndexUnavailable, Passage


# Part of the folder's name: a change of fields or of normalisation asks for a new index.
INDEX_VERSION = "12"
_BLANK = "blank"
_RAW = "raw"
_FACT_CHARS = 200


@dataclass(frozen=True, slots=True)
class FileState:
    """What the index knows of one source: its size and time to see a change, and its fate."""

    path: str
    size: int
    mtime_ns: int
    passages: int
    problem: str = ""


class StoredPassage:
    """A passage with the keys of its parts, as they were indexed; the passage itself is built
    when it is first wanted, since most candidates are not.

    ``keys``: every key. ``sequence``: those of heading and text in their order, blank before and
    after. ``heading``: its keys. ``said``: each key of the listed questions and phrases with the
    places of those that have it, ``sizes``: how many keys each of these has. ``sounds``: the same
    as heard. ``holds``: the kinds of answer in the text.
    """

    __slots__ = (
        "_passage",
        "_row",
        "heading",
        "holds",
        "id",
        "keys",
        "said",
        "sequence",
        "sizes",
        "sounds",
    )

    def __init__(self, data: bytes) -> None:
        row, every, heading, body, asked, self.sounds, self.holds = orjson.loads(data)
        self._row = row
        self._passage: Passage | None = None
        self.id: str = row[0]
        self.keys = frozenset(every.split())
        self.sequence = f" {heading} {body} "
        self.heading = frozenset(heading.split())
        self.said: dict[str, list[int]] = {}
        self.sizes: list[int] = []
        for at, each in enumerate(asked):
            keys = frozenset(each.split())
            self.sizes.append(len(keys))
            for key in keys:
                self.said.setdefault(key, []).append(at)

    @property
    def passage(self) -> Passage:
        if self._passage is None:
            row = self._row
            self._passage = Passage(
                row[0],
                row[1],
                row[2],
                tuple(row[3]),
                row[4],
                row[5],
                row[6],
                row[7],
                tuple(row[8]),
                row[9],
                row[10],
                tuple(row[11]),
            )
        return self._passage


def _build_schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    for name in ("id", "kind", "file", "language"):
        builder.add_text_field(name, tokenizer_name=_RAW, index_option="basic")
    builder.add_text_field("keys", tokenizer_name=_BLANK, index_option="freq")
    # Every key backwards: a key with a wrong beginning is found by its end.
    builder.add_text_field("ends", tokenizer_name=_BLANK, index_option="basic")
    # The plain words of each listed question and phrase: one asked word for word is found at once.
    builder.add_text_field("listed", tokenizer_name=_RAW, index_option="basic")
    builder.add_json_field("fields", tokenizer_name=_RAW, index_option="basic")
    builder.add_bytes_field("data", stored=True)
    return builder.build()


SCHEMA = _build_schema()


class CollectionIndex:
    """The index of one collection.

    Args:
        folder: made when it is missing.

    Raises:
        IndexUnavailable: the folder cannot be made, or what is in it is no index.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._index = tantivy.Index(SCHEMA, path=str(folder), reuse=True)
        except (OSError, ValueError) as error:
            raise IndexUnavailable(
                f"the index in {folder.name} cannot be opened: {error}"
            ) from error
        blank = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
        self._index.register_tokenizer(_BLANK, blank)

    def searcher(self) -> tantivy.Searcher:
        """Return a view of the last commit; it stays as it is while later commits happen."""
        self._index.reload()
        return self._index.searcher()

    def writer(self, memory_mb: int) -> IndexWriter:
        return IndexWriter(self._index.writer(heap_size=memory_mb << 20, num_threads=1))

    def stamp(self) -> tuple[int, int]:
        """Return what changes with each commit, for one ``stat``."""
        try:
            stat = (self.folder / "meta.json").stat()
        except OSError:
            return (0, 0)
        return (stat.st_mtime_ns, stat.st_ino)


class IndexWriter:
    """Writing side of a collection's index.

    Adds and removes files; nothing is seen before ``commit``.
    """

    def __init__(self, writer: tantivy.IndexWriter) -> None:
        self._writer = writer

    def remove_file(self, path: str) -> None:
        self._writer.delete_documents_by_term("file", path)

    def mark_file(self, state: FileState, *, keep_passages: bool) -> None:
        """Record the file's state; with ``keep_passages`` what it gave before stays served."""
        if keep_passages:
            self._writer.delete_documents_by_term("id", f"file:{state.path}")
        else:
            self.remove_file(state.path)
        row = [state.path, state.size, state.mtime_ns, state.passages, state.problem]
        self._add(id=f"file:{state.path}", kind="file", file=state.path, data=orjson.dumps(row))

    def add_passage(self, passage: Passage) -> None:
        body = keys_of(passage.text, passage.language)
        # A record is headed by its name; its file's title is beside it, as for prose.
        name = passage.id.partition("#")[2] if passage.fields else passage.heading[-1]
        heading = keys_of(name, passage.language)
        above = passage.heading if passage.fields else passage.heading[:-1]
        aside = " ".join((*above, passage.words))
        context = keys_of(aside, passage.language)
        said = (*passage.questions, *passage.phrases)
        asked = [keys_of(each, passage.language) for each in said]
        # However often callers' words repeat one another, they count once.
        weighted = body + 2 * heading + context + list(dict.fromkeys(chain(*asked)))
        distinct = dict.fromkeys(weighted)
        self._add(
            id=passage.id,
            kind=("passage", "asked") if passage.questions else "passage",
            file=passage.source,
            language=passage.language,
            keys=" ".join(weighted),
            listed=tuple(dict.fromkeys(map(plain_words, said))),
            ends=" ".join(key[::-1] for key in distinct if key.isalpha()),
            fields=dict(_facts(passage)) or None,
            data=orjson.dumps(
                [
                    [
                        passage.id,
                        passage.ref,
                        passage.source,
                        passage.heading,
                        passage.position,
                        passage.text,
                        passage.language,
                        passage.fields,
                        passage.questions,
                        passage.speakable,
                        passage.words,
                        passage.phrases,
                    ],
                    " ".join(distinct),
                    " ".join(heading),
                    " ".join(body),
                    [" ".join(each) for each in asked],
                    [sounds_of(each) for each in said],
                    sorted(held_by(passage.text)),
                ]
            ),
        )

    def _add(self, **values: Any) -> None:
        document = tantivy.Document()
        for name, value in values.items():
            if value is None:
                continue
            if isinstance(value, tuple):
                for each in value:
                    document.add_text(name, each)
            elif name == "data":
                document.add_bytes(name, value)
            elif name == "fields":
                document.add_json(name, value)
            else:
                document.add_text(name, value)
        self._writer.add_document(document)

    def commit(self) -> None:
        self._writer.commit()

    def close(self) -> None:
        """Wait for the engine's own merging; without ``commit`` nothing is written."""
        self._writer.wait_merging_threads()


def _facts(passage: Passage) -> Iterator[tuple[str, object]]:
    for name, value in passage.fields.items():
        yield name, value.lower()[:_FACT_CHARS] if isinstance(value, str) else value


def _read_data(searcher: tantivy.Searcher, address: tantivy.DocAddress) -> bytes:
    return bytes(searcher.doc(address).get_first("data") or b"null")


def read_passage(searcher: tantivy.Searcher, address: tantivy.DocAddress) -> StoredPassage:
    return StoredPassage(_read_data(searcher, address))


def read_all(searcher: tantivy.Searcher, kind: str) -> Iterable[bytes]:
    """Yield the stored data of every document of a kind (``file`` or ``passage``)."""
    query = tantivy.Query.term_query(SCHEMA, "kind", kind, "basic")
    count = max(1, searcher.num_docs)
    for _, address in searcher.search(query, limit=count, count=False).hits:
        yield _read_data(searcher, address)


def read_files(searcher: tantivy.Searcher) -> dict[str, FileState]:
    states = (FileState(*orjson.loads(data)) for data in read_all(searcher, "file"))
    return {state.path: state for state in states}
