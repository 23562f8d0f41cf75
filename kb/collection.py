"""One collection as it is served: its index, and the view of the last commit."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path

import structlog
import tantivy

from kb.embedder import EmbeddingFailed
from kb.index import SCHEMA, CollectionIndex, FileState, StoredPassage, read_files, read_passage
from kb.indexer import Changes, Progress, sync_collection
from kb.passage import Language, Passage, Question
from kb.query import Vocabulary
from kb.settings import KbSettings
from kb.sources.loader import SYNONYMS
from kb.vectors import VectorIndex, make_vectors, read_vectors, stamp_of, stamp_of_file


log = structlog.get_logger()

# Of the commit, of its vectors, and of the synonyms: the time of each and its place on disk.
Stamp = tuple[tuple[int, int], ...]

_READY_PASSAGES = 4096
# A phrase that more passages list tells nothing.
_MOST_LISTED = 8
# In a file with more passages than this what stands beside one is not looked for.
_MOST_BESIDE = 200


class View:
    """Searchable snapshot of a collection.

    One commit, unchanging: searches that began on it end on it. Safe for many threads.

    The passages read last (at most 4096) are kept ready.
    """

    def __init__(
        self, searcher: tantivy.Searcher, stamp: Stamp, vectors: VectorIndex | None, folder: Path
    ) -> None:
        self.searcher = searcher
        self.stamp = stamp
        self.vectors = vectors
        self.files: dict[str, FileState] = read_files(searcher)
        self.passages = sum(state.passages for state in self.files.values())
        self.vocabulary = Vocabulary(searcher, self.passages, folder)
        self.questions = [
            Question(text, passage.id, passage.language)
            for passage in _read_asked(searcher)
            for text in passage.questions
        ]
        self._read = lru_cache(maxsize=_READY_PASSAGES)(self._read_place)
        self.holds = lru_cache(maxsize=_READY_PASSAGES)(self._holds_now)
        """Whether the documents have a passage, by its id, as it is quoted (its text, or with that
        of its neighbours, cut at the end perhaps)."""

    def passage(self, address: tantivy.DocAddress) -> StoredPassage:
        return self._read(address.segment_ord, address.doc)

    def listed(self, words: str) -> dict[str, tantivy.DocAddress]:
        """Return the passages, by id, that list a question or phrase of just these plain words."""
        query = tantivy.Query.term_query(SCHEMA, "listed", words, "basic")
        hits = self.searcher.search(query, limit=_MOST_LISTED, count=False).hits if words else []
        return {self.passage(address).id: address for _, address in hits}

    def read_all(self, source: str = "", most: int | None = None) -> list[Passage]:
        """Return every passage, or those of one file, in the order of the documents."""
        query = tantivy.Query.term_query(SCHEMA, "kind", "passage", "basic")
        if source:
            of_file = tantivy.Query.term_query(SCHEMA, "file", source, "basic")
            query = tantivy.Query.boolean_query(
                [(tantivy.Occur.Must, query), (tantivy.Occur.Must, of_file)]
            )
        limit = most or max(1, self.searcher.num_docs)
        hits = self.searcher.search(query, limit=limit, count=False).hits
        found = [read_passage(self.searcher, address).passage for _, address in hits]
        return sorted(found, key=lambda each: (each.source, _line(each.position)))

    def _holds_now(self, passage_id: str, quoted: str) -> bool:
        query = tantivy.Query.term_query(SCHEMA, "id", passage_id, "basic")
        hits = self.searcher.search(query, limit=1, count=False).hits
        if not hits:
            return False
        passage, quoted = self.passage(hits[0][1]).passage, quoted.removesuffix("…")
        text = passage.text or passage.speakable
        if len(quoted) <= len(text):
            return text.startswith(quoted)
        near = [each.text for each in self.beside(passage) if not each.fields]
        return quoted.startswith(text) and all(each in quoted for each in near)

    def beside(self, passage: Passage) -> list[Passage]:
        """Return the passages before and after it in its file, under the same headings above."""
        file = self.read_all(passage.source, _MOST_BESIDE)
        ids = [each.id for each in file]
        at = ids.index(passage.id) if passage.id in ids else len(ids)
        near = file[max(0, at - 1) : at] + file[at + 1 : at + 2]
        return [each for each in near if each.heading[:-1] == passage.heading[:-1]]

    def _read_place(self, segment: int, document: int) -> StoredPassage:
        return read_passage(self.searcher, tantivy.DocAddress(segment, document))


class Collection:
    """One folder of documents and its index.

    Safe for any number of searching threads beside one that syncs.
    """

    def __init__(self, ref: str, folder: Path, index_folder: Path, settings: KbSettings) -> None:
        self.ref = ref
        self.folder = folder
        self._settings = settings
        self._index = CollectionIndex(index_folder)
        self._lock = threading.Lock()
        self._embedding = threading.Lock()
        self._embedded: tuple[int, int] | None = None
        self.fault = ""
        """Why passages have no vectors; '' while they have, or need none."""
        self.view = self._read_view()

    def sync(self, progress: Progress | None = None) -> Changes:
        """Bring the index up to the folder. Only the process with the writer's lock may."""
        with self._lock:
            changes = sync_collection(self._index, self.folder, self.ref, self._settings, progress)
            self._swap()
        return changes

    def embed(self, progress: Progress | None = None) -> None:
        """Make the vectors that the last commit lacks; until then words alone find its passages.

        It may take minutes, and holds up neither searches nor ``sync``. Only the process with the
        writer's lock may.
        """
        embedder = self._settings.embedder
        if embedder is None or embedder.resting:
            return
        with self._embedding:
            view = self.view
            if self._embedded == view.stamp[0]:
                return
            try:
                make_vectors(view.searcher, self._index.folder, embedder, progress)
            except EmbeddingFailed as error:  # logged by the embedder
                self.fault = error.message
                return
            except (OSError, ValueError) as error:
                if not self.fault:
                    log.warning("kb_vectors_missing", ref=self.ref, reason=str(error))
                self.fault = str(error)
                return
            self._embedded, self.fault = view.stamp[0], ""
        with self._lock:
            self._swap()

    def follow(self) -> bool:
        """Show what another process committed or embedded; return whether there was anything."""
        if self._stamp() == self.view.stamp:
            return False
        with self._lock:
            return self._swap()

    def questions(self, language: Language) -> list[Question]:
        """Return the listed questions of one language, in the order of the documents."""
        return [each for each in self.view.questions if each.language == language]

    def _swap(self) -> bool:
        if self._stamp() == self.view.stamp:
            return False
        self.view = self._read_view()
        return True

    def _stamp(self) -> Stamp:
        embedder = self._settings.embedder
        return (
            self._index.stamp(),
            stamp_of(self._index.folder, embedder) if embedder is not None else (0, 0),
            *(stamp_of_file(self.folder / name) for name in SYNONYMS.values()),
        )

    def _read_view(self) -> View:
        stamp = self._stamp()  # before the reading: a commit in between is seen again
        searcher = self._index.searcher()
        embedder = self._settings.embedder
        vectors = read_vectors(searcher, self._index.folder, embedder) if embedder else None
        return View(searcher, stamp, vectors, self.folder)


def _read_asked(searcher: tantivy.Searcher) -> list[Passage]:
    """Every passage that lists questions, in the order of the documents."""
    query = tantivy.Query.term_query(SCHEMA, "kind", "asked", "basic")
    hits = searcher.search(query, limit=max(1, searcher.num_docs), count=False).hits
    passages = [read_passage(searcher, address).passage for _, address in hits]
    passages.sort(key=lambda each: (each.source, _line(each.position)))
    return passages


def _line(position: str) -> int:
    digits = position.rpartition(" ")[2]
    return int(digits) if digits.isdecimal() else 0
