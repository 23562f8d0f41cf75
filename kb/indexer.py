"""Bringing one collection's index up to its folder: only what changed is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from kb.enrich import ACCEPTED, accepted_phrases
from kb.furniture import BlockCensus, without
from kb.index import CollectionIndex, FileState, read_files
from kb.sections import cut_passages
from kb.settings import KbSettings
from kb.sources.front_matter import UnreadableFile
from kb.sources.loader import is_hidden, is_sidecar, sidecar_of, why_not_read
from kb.sources.reader import read_apart


log = structlog.get_logger()

Progress = Callable[[int, int], None]
"""Told (files done, files in all) after each file."""
# Passages between commits of one long pass: what a crash may cost to read again.
_COMMIT_EVERY = 50_000


@dataclass(frozen=True, slots=True)
class Changes:
    """What one pass did."""

    read: int = 0
    removed: int = 0
    broken: int = 0


@dataclass(frozen=True, slots=True)
class _Source:
    """A file of the documents as it is found on disk."""

    path: str
    size: int
    mtime_ns: int
    refused: str = ""
    """Why it is not read, whatever it holds; "" for what is."""


def sync_collection(
    index: CollectionIndex,
    folder: Path,
    ref: str,
    settings: KbSettings,
    progress: Progress | None = None,
) -> Changes:
    """Read what is new or changed, drop what is gone, commit.

    A file that became unreadable keeps serving what it gave before; its problem is recorded.
    """
    known = read_files(index.searcher())
    present = {source.path: source for source in _walk(folder)}
    changed = [source for source in present.values() if _differs(source, known.get(source.path))]
    gone = [path for path in known if path not in present]
    if not changed and not gone:
        return Changes()
    job = _Pass(index, folder, ref, settings, known)
    try:
        broken = job.remove_and_read(gone, changed, progress)
        job.follow_furniture(present)
        job.commit()
    finally:
        job.writer.close()
    log.info("kb_indexed", ref=ref, files=len(changed), removed=len(gone), broken=broken)
    return Changes(len(changed), len(gone), broken)


class _Pass:
    """One pass over a collection: the writer, and the furniture before and after."""

    def __init__(
        self,
        index: CollectionIndex,
        folder: Path,
        ref: str,
        settings: KbSettings,
        known: Mapping[str, FileState],
    ) -> None:
        self.writer = index.writer(settings.writer_memory_mb)
        self._folder = folder
        self._ref = ref
        self._settings = settings
        self._known = known
        self._census = BlockCensus(index.folder)
        self._furniture = self._census.furniture()
        self._pending = 0
        self._phrases = accepted_phrases(folder)

    def remove_and_read(
        self, gone: Sequence[str], changed: Sequence[_Source], progress: Progress | None
    ) -> int:
        """Returns how many of ``changed`` are not served whole."""
        for path in gone:
            self.writer.remove_file(path)
            self._census.forget(path)
        broken = 0
        for done, source in enumerate(changed, 1):
            broken += bool(self._index_file(source).problem)
            if progress:
                progress(done, len(changed))
        return broken

    def follow_furniture(self, present: Mapping[str, _Source]) -> None:
        """Read again the files of which other blocks are furniture now than before this pass."""
        before, self._furniture = self._furniture, self._census.furniture()
        for path in self._census.files_with(before ^ self._furniture):
            if path in present:
                self._index_file(present[path])

    def commit(self) -> None:
        """Make what was read the index's state; the census follows it."""
        self.writer.commit()
        self._census.save()

    def _index_file(self, source: _Source) -> FileState:
        try:
            if source.refused:
                raise UnreadableFile(source.refused)
            if source.size > self._settings.max_file_mb << 20:
                raise UnreadableFile(f"bigger than {self._settings.max_file_mb} MB; split it")
            content = read_apart(self._folder / source.path)
        except (UnreadableFile, OSError) as error:
            return self._skip(source, str(error))
        self._census.note(source.path, content)
        passages, missing = cut_passages(
            without(content, self._furniture),
            ref=self._ref,
            source=source.path,
            max_chars=self._settings.max_passage_chars,
        )
        problem = content.lacking
        if missing:
            names = ", ".join(missing)
            problem = f"preguntas, frases or palabras name no heading of the file: {names}"
        if problem:
            log.warning("kb_file_in_part", ref=self._ref, file=source.path, reason=problem)
        state = FileState(source.path, source.size, source.mtime_ns, len(passages), problem)
        self.writer.mark_file(state, keep_passages=False)
        for passage in passages:
            more = self._phrases.get(passage.id, ())
            said = replace(passage, phrases=passage.phrases + more) if more else passage
            self.writer.add_passage(said)
        self._pending += len(passages)
        if self._pending >= _COMMIT_EVERY:
            self.writer.commit()
            self._pending = 0
        return state

    def _skip(self, source: _Source, problem: str) -> FileState:
        before = self._known.get(source.path)
        kept = before.passages if before else 0
        log.warning("kb_file_skipped", ref=self._ref, file=source.path, reason=problem)
        state = FileState(source.path, source.size, source.mtime_ns, kept, problem)
        self.writer.mark_file(state, keep_passages=True)
        return state


def _differs(source: _Source, known: FileState | None) -> bool:
    return known is None or (source.size, source.mtime_ns) != (known.size, known.mtime_ns)


def _walk(folder: Path) -> Iterator[_Source]:
    """Every file below the folder; its ``.yaml`` beside it counts as part of it.

    What cannot be read is among them, with the reason: nothing vanishes without a word.
    """
    root = folder.resolve()
    phrases = folder / ACCEPTED
    phrases_ns = phrases.stat().st_mtime_ns if phrases.is_file() else 0
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        linked = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in sorted([*files, *linked]):
            path = Path(parent) / name
            if is_hidden(path) or is_sidecar(path):
                continue
            try:
                stat = path.stat()
                refused = why_not_read(path, stat.st_mode, root)
            except OSError as error:
                if not path.is_symlink():
                    continue  # deleted while the folder was walked: gone at the next pass as well
                stat, refused = path.lstat(), f"a link to nothing ({error.strerror}); remove it"
            size, mtime_ns = stat.st_size, stat.st_mtime_ns
            sidecar = sidecar_of(path)
            if not refused and sidecar.is_file():
                beside = sidecar.stat()
                size, mtime_ns = size + beside.st_size, max(mtime_ns, beside.st_mtime_ns)
            mtime_ns = max(mtime_ns, phrases_ns)
            yield _Source(path.relative_to(folder).as_posix(), size, mtime_ns, refused)
