"""The knowledge base: every collection of every company below one folder."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path

import structlog

from kb.collection import Collection, View
from kb.index import INDEX_VERSION
from kb.indexer import Progress
from kb.lock import FolderLock
from kb.passage import CollectionInfo, Language, Problem, Question, SearchResult, UnknownCollection
from kb.search import Filter, search_view
from kb.settings import KbSettings
from kb.watch import Repeater, Watcher


log = structlog.get_logger()

_REF = re.compile(r"kb://([a-z0-9][a-z0-9_-]{0,63})/([a-z0-9][a-z0-9_-]{0,63})/?")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class KnowledgeBase:
    """Thread-safe; searches never wait for indexing.

    Of the processes that open one index folder, the first writes it; the others read, follow its
    commits, and one of them takes over when it ends.
    """

    def __init__(self, settings: KbSettings) -> None:
        self._settings = settings
        self._root = settings.index / f"v{INDEX_VERSION}"
        self._writer = FolderLock(self._root / ".writer")
        self._first_pass = FolderLock(self._root / ".first-pass")
        self._collections: dict[str, Collection] = {}
        self._refreshing = threading.Lock()
        self._watcher: Watcher | None = None
        self._embedding: Repeater | None = None
        self._missing = False

    @classmethod
    def open(cls, settings: KbSettings, progress: Progress | None = None) -> KnowledgeBase:
        """Open the index and bring it up to the documents.

        Raises:
            IndexUnavailable: the index folder cannot be made, read or written.
        """
        base = cls(settings)
        base._first_pass.wait(settings.open_wait_s)
        try:
            base._writer.try_acquire()
            base.refresh(progress)
        finally:
            base._first_pass.release()
        return base

    @property
    def is_writer(self) -> bool:
        return self._writer.held

    def search(
        self,
        ref: str,
        text: str,
        *,
        limit: int = 5,
        language: Language | None = None,
        filters: Mapping[str, Filter] | None = None,
        min_score: float | None = None,
        vectors: bool = True,
    ) -> SearchResult:
        """Return the passages of one collection that answer.

        Args:
            text: a question as spoken or typed; what is over 1000 characters is not read.
            filters: a record's field to its value, or to ``(lowest, highest)`` with None open.
            min_score: for a reader that judges for itself: what the best hit needs, 0..1, for
                the hits to be told though ``relevant`` may be False. None: what
                ``KbSettings.relevance`` asks of an answer.
            vectors: False asks the words alone, where nothing may wait for ``KbSettings.embedder``.

        Raises:
            UnknownCollection: there is no such collection.
        """
        return search_view(
            self.view(ref),
            text,
            self._settings,
            limit=limit,
            language=language,
            filters=filters,
            min_score=min_score,
            vectors=vectors,
        )

    @property
    def waits(self) -> bool:
        """Whether a search waits for an embedder: one to be made in a thread."""
        return self._settings.embedder is not None

    def view(self, ref: str) -> View:
        """Return the last commit of a collection, unchanging. Raises UnknownCollection."""
        return self._collection(ref).view

    def questions(self, ref: str, language: Language) -> list[Question]:
        """Return the questions that the documents list. Raises UnknownCollection."""
        return self._collection(ref).questions(language)

    def collections(self) -> list[CollectionInfo]:
        return [
            CollectionInfo(
                ref,
                len(collection.view.files),
                collection.view.passages,
                sum(bool(state.problem) for state in collection.view.files.values()),
            )
            for ref, collection in sorted(self._collections.items())
        ]

    def problems(self) -> list[Problem]:
        """Return every file that is not served whole, with the reason."""
        return [
            Problem(f"{ref.removeprefix('kb://')}/{state.path}", state.problem)
            for ref, collection in sorted(self._collections.items())
            for state in collection.view.files.values()
            if state.problem
        ]

    def refresh(self, progress: Progress | None = None) -> None:
        """Read what changed in the documents (writer), or show the last commit (reader)."""
        with self._refreshing:
            self._writer.try_acquire()
            folders = self._folders()
            for ref, folder in folders.items():
                self._refresh_one(ref, folder, progress)
            if folders and any(ref not in folders for ref in self._collections):
                kept = {ref: c for ref, c in self._collections.items() if ref in folders}
                self._collections = kept

    def _refresh_one(self, ref: str, folder: Path, progress: Progress | None) -> None:
        collection = self._collections.get(ref)
        if collection is None:
            company, name = ref.removeprefix("kb://").split("/")
            collection = Collection(ref, folder, self._root / company / name, self._settings)
        if self._writer.held:
            collection.sync(progress)
        else:
            collection.follow()
        if ref not in self._collections:
            self._collections = {**self._collections, ref: collection}

    def embed(self, progress: Progress | None = None) -> None:
        """Make the vectors that passages lack (writer): with a server, minutes for many.

        Until then words alone find them. Without ``KbSettings.embedder`` nothing happens.
        """
        if self._writer.held:
            for collection in self._collections.values():
                collection.embed(progress)

    def keep_up(self, *, watch: bool) -> None:
        """``watch``; where that is not wanted, ``embed`` once, which may take its time."""
        if watch:
            self.watch()
        else:
            self.embed()

    def watch(self) -> None:
        """Keep up with the documents from a thread named ``kb-watch``, until ``close``.

        With an embedder another, ``kb-embed``, makes the vectors: a changed file does not wait.
        """
        if self._watcher is None:
            self._watcher = Watcher(
                self._settings.documents, lambda: self._writer.held, self.refresh
            )
            self._watcher.start()
            if self._settings.embedder is not None:
                self._embedding = Repeater("kb-embed", self.embed)
                self._embedding.start()

    def fault(self) -> str:
        """Return why what is served may be older or poorer than meant, or ''."""
        if self._missing:
            return "the documents' folder is missing; what was read of it is served"
        reason = self._watcher.fault if self._watcher is not None else ""
        if reason:
            return f"the index does not keep up with the documents: {reason}"
        lacking = next((each.fault for each in self._collections.values() if each.fault), "")
        embedder = self._settings.embedder
        reason = lacking or (embedder.fault if embedder is not None else "")
        return f"words alone are searched: {reason}" if reason else ""

    def close(self) -> None:
        """End the watching and let another process write. Searches still work afterwards."""
        if self._embedding is not None:
            self._embedding.stop()
            self._embedding = None
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher = None
        self._writer.release()

    def _collection(self, ref: str) -> Collection:
        matched = _REF.fullmatch(ref)
        found = self._collections.get(f"kb://{matched[1]}/{matched[2]}") if matched else None
        if found is None:
            raise UnknownCollection(ref)
        return found

    def _folders(self) -> dict[str, Path]:
        """Every ``<company>/<collection>`` folder with a usable name.

        While the documents' folder itself is away, what was served stays served.
        """
        documents = self._settings.documents
        if not documents.is_dir():
            if not self._missing:
                log.warning("kb_documents_missing", folder=str(documents))
            self._missing = True
            return {}
        if self._missing:
            log.info("kb_documents_back", folder=str(documents))
        self._missing = False
        return {
            f"kb://{company.name}/{collection.name}": collection
            for company in sorted(documents.iterdir())
            if company.is_dir() and _NAME.fullmatch(company.name)
            for collection in sorted(company.iterdir())
            if collection.is_dir() and _NAME.fullmatch(collection.name)
        }
