"""The knowledge base: every collection of every company below one folder."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from filelock import FileLock, Timeout

from kb.collection import Collection, View
from kb.folders import REF, find_collections
from kb.index import INDEX_VERSION
from kb.indexer import Progress
from kb.passage import (
    CollectionInfo,
    IndexUnavailable,
    Language,
    Passage,
    Problem,
    Question,
    SearchResult,
    UnknownCollection,
)
from kb.search import Filter, search_view
from kb.settings import KbSettings
from kb.unanswered import UnansweredQuestions
from kb.watch import Repeater, Watcher
from penny.errors import PennyError


log = structlog.get_logger()

WARM_UP = "¿Cuándo vence la factura F-2024-1234 y qué importe de mil quinientos euros tiene?"


class KnowledgeBase:
    """Search over the collections of one documents folder, kept up with its files.

    Thread-safe; searches never wait for indexing.

    Of the processes that open one index folder, the first writes it; the others read, follow its
    commits, and one of them takes over when it ends.
    """

    def __init__(self, settings: KbSettings) -> None:
        self.settings = settings
        self._root = settings.index / f"v{INDEX_VERSION}"
        # The kernel frees a dead process's locks.
        self._writer = FileLock(self._root / ".writer", thread_local=False)
        self._first_pass = FileLock(self._root / ".first-pass", thread_local=False)
        self._collections: dict[str, Collection] = {}
        self._refreshing = threading.Lock()
        self._watcher: Watcher | None = None
        self._embedding: Repeater | None = None
        self._missing = False
        self._misplaced: list[Problem] = []
        self._aside: TemporaryDirectory[str] | None = None
        self._why_aside = ""
        self.unanswered = UnansweredQuestions(
            settings.index / "unanswered.json", settings.keep_unanswered
        )

    @classmethod
    def open(cls, settings: KbSettings, progress: Progress | None = None) -> KnowledgeBase:
        """Open the index and bring it up to the documents.

        Raises:
            IndexUnavailable: the index folder cannot be made, read or written.
        """
        base = cls(settings)
        _acquire(base._first_pass, settings.open_wait_s)
        try:
            base.refresh(progress)
        except BaseException:
            base._writer.release()
            raise
        finally:
            base._first_pass.release()
        return base

    def built_aside(self, folder: TemporaryDirectory[str], reason: str) -> None:
        """Say by ``fault`` that the index is in a temporary ``folder``, which goes with this."""
        self._aside = folder
        self._why_aside = (
            f"the index cannot be used ({reason}) and was built again in a temporary folder; "
            "remove it, or give Penny a folder of its own in kb.index"
        )

    @property
    def is_writer(self) -> bool:
        return self._writer.is_locked

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
        keep: bool = False,
    ) -> SearchResult:
        """Return the passages of one collection that answer.

        Args:
            text: a question as spoken or typed; what is over 1000 characters is not read.
            filters: a record's field to its value, or to ``(lowest, highest)`` with None open.
            min_score: for a reader that judges for itself: what the best hit needs, 0..1, for
                the hits to be told though ``relevant`` may be False. None: what
                ``KbSettings.relevance`` asks of an answer.
            vectors: False asks the words alone, where nothing may wait for ``KbSettings.embedder``.
            keep: a caller asks: one that is not answered is kept in ``unanswered``.

        Raises:
            UnknownCollection: there is no such collection.
        """
        result = search_view(
            self.view(ref),
            text,
            self.settings,
            limit=limit,
            language=language,
            filters=filters,
            min_score=min_score,
            vectors=vectors,
        )
        if keep and result.query_normalized and not result.relevant:
            self.unanswered.note(ref, text)
        return result

    def beside(self, passage: Passage) -> list[Passage]:
        """Return what stands just before and after a passage, under the same headings above."""
        return self.view(passage.ref).beside(passage)

    def holds(self, ref: str, passage_id: str, quoted: str) -> bool:
        """Whether the documents still have a passage as it was quoted."""
        return ref in self._collections and self.view(ref).holds(passage_id, quoted)

    @property
    def waits(self) -> bool:
        """Whether a search waits for an embedder: one to be made in a thread."""
        return self.settings.embedder is not None

    def folder(self, ref: str) -> Path:
        """Return where the documents of a collection lie. Raises UnknownCollection."""
        return self._collection(ref).folder

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
        return self._misplaced + [
            Problem(f"{ref.removeprefix('kb://')}/{state.path}", state.problem)
            for ref, collection in sorted(self._collections.items())
            for state in collection.view.files.values()
            if state.problem
        ]

    def refresh(self, progress: Progress | None = None) -> None:
        """Read what changed in the documents (writer), or show the last commit (reader)."""
        with self._refreshing:
            _acquire(self._writer)
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
            collection = Collection(ref, folder, self._root / company / name, self.settings)
        if self._writer.is_locked:
            collection.sync(progress)
        else:
            collection.follow()
        if ref not in self._collections:
            self._collections = {**self._collections, ref: collection}

    def embed(self, progress: Progress | None = None) -> None:
        """Make the vectors that passages lack (writer): with a server, minutes for many.

        Until then words alone find them. Without ``KbSettings.embedder`` nothing happens.
        """
        if self._writer.is_locked:
            for collection in self._collections.values():
                collection.embed(progress)

    def keep_up(self, *, watch: bool) -> None:
        """Follow the documents, where ``watch`` says so, and make the vectors that are missing.

        Each in a thread of its own, ``kb-watch`` and ``kb-embed``, until ``close``: neither a
        start nor a changed file waits for vectors.
        """
        if watch and self._watcher is None:
            self._watcher = Watcher(
                self.settings.documents, lambda: self._writer.is_locked, self.refresh
            )
            self._watcher.start()
        if self.settings.embedder is not None and self._embedding is None:
            settle_s = self.settings.embedder.settle_s
            self._embedding = Repeater("kb-embed", self.embed, settle_s)
            self._embedding.start()

    def watch(self) -> None:
        """As ``keep_up`` of documents that change."""
        self.keep_up(watch=True)

    def fault(self) -> str:
        """Return why what is served may be older or poorer than meant, or ''."""
        if self._why_aside:
            return self._why_aside
        if self._missing:
            return "the documents' folder is missing; what was read of it is served"
        reason = self._watcher.fault if self._watcher is not None else ""
        if reason:
            return f"the index does not keep up with the documents: {reason}"
        lacking = next((each.fault for each in self._collections.values() if each.fault), "")
        embedder = self.settings.embedder
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
        if self._aside is not None:
            self._aside.cleanup()

    def _collection(self, ref: str) -> Collection:
        matched = REF.fullmatch(ref)
        found = self._collections.get(f"kb://{matched[1]}/{matched[2]}") if matched else None
        if found is None:
            raise UnknownCollection(ref)
        return found

    def _folders(self) -> dict[str, Path]:
        """Every ``<company>/<collection>`` folder with a usable name.

        While the documents' folder itself is away, what was served stays served.
        """
        documents = self.settings.documents
        if not documents.is_dir():
            if not self._missing:
                log.warning("kb_documents_missing", folder=str(documents))
            self._missing = True
            return {}
        if self._missing:
            log.info("kb_documents_back", folder=str(documents))
        self._missing = False
        folders, self._misplaced = find_collections(documents)
        return folders


def _acquire(lock: FileLock, wait_s: float = 0.0) -> None:
    """Take a lock of the index folder for this process, if it comes free within ``wait_s``.

    Raises:
        IndexUnavailable: the folder cannot be written.
    """
    if lock.is_locked:
        return
    try:
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=wait_s, poll_interval=0.01)
    except Timeout:
        return
    except OSError as error:
        raise IndexUnavailable(
            f"the index folder cannot be written ({error.strerror}); "
            "give Penny a folder of its own in kb.index"
        ) from error


def open_warm(settings: KbSettings, *, watch: bool, ref: str) -> KnowledgeBase:
    """Open a knowledge base, keep it up with its documents, and search once.

    Blocks for as long as the first pass takes. The search reads dictionaries and tables: 40 ms
    that no caller shall wait for. A missing ``ref`` is logged: others may be there.

    The index is derived from the documents: one that is spoilt or cannot be written is logged,
    told by ``fault``, and built again in a temporary folder until the next start.

    Raises:
        IndexUnavailable: no temporary folder can be written either.
    """
    try:
        base = _open_warm(settings, ref)
    except Exception as error:
        reason = error.message if isinstance(error, PennyError) else type(error).__name__
        log.error("kb_index_built_aside", reason=reason)  # noqa: TRY400
        try:
            aside = TemporaryDirectory(prefix="penny-kb-")
        except OSError as refused:
            raise IndexUnavailable(f"{reason}; nor can a temporary folder be made") from refused
        base = _open_warm(replace(settings, index=Path(aside.name)), ref)
        base.built_aside(aside, reason)
    base.keep_up(watch=watch)
    return base


def _open_warm(settings: KbSettings, ref: str) -> KnowledgeBase:
    base = KnowledgeBase.open(settings)
    try:
        base.search(ref, WARM_UP)
    except UnknownCollection as error:
        log.warning("kb_collection_missing", ref=ref, reason=error.message)
    except BaseException:
        base.close()
        raise
    return base
