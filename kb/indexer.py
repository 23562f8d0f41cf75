"""Bringing one collection's index up to its folder: only what changed is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from kb.index import CollectionIndex, FileState, IndexWriter, read_files
from kb.sections import cut_passages
from kb.settings import KbSettings
from kb.sources.blocks import UnreadableFile
from kb.sources.loader import is_source, read_file, sidecar_of


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
    path: str
    size: int
    mtime_ns: int


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
    writer = index.writer(settings.writer_memory_mb)
    try:
        for path in gone:
            writer.remove_file(path)
        broken = pending = 0
        for done, source in enumerate(changed, 1):
            state = _index_file(writer, folder, source, ref, settings, known.get(source.path))
            broken += bool(state.problem)
            pending += state.passages
            if pending >= _COMMIT_EVERY:
                writer.commit()
                pending = 0
            if progress:
                progress(done, len(changed))
        writer.commit()
    finally:
        writer.close()
    log.info("kb_indexed", ref=ref, files=len(changed), removed=len(gone), broken=broken)
    return Changes(len(changed), len(gone), broken)


def _index_file(
    writer: IndexWriter,
    folder: Path,
    source: _Source,
    ref: str,
    settings: KbSettings,
    before: FileState | None,
) -> FileState:
    problem = ""
    try:
        if source.size > settings.max_file_mb << 20:
            raise UnreadableFile(f"bigger than {settings.max_file_mb} MB; split it")
        content = read_file(folder / source.path)
        passages, missing = cut_passages(
            content, ref=ref, source=source.path, max_chars=settings.max_passage_chars
        )
    except (UnreadableFile, OSError) as error:
        problem = str(error)
        kept = before.passages if before else 0
        state = FileState(source.path, source.size, source.mtime_ns, kept, problem)
        log.warning("kb_file_skipped", ref=ref, file=source.path, reason=problem)
        writer.mark_file(state, keep_passages=True)
        return state
    if missing:
        problem = f"preguntas, frases or palabras name no heading of the file: {', '.join(missing)}"
        log.warning("kb_question_unbound", ref=ref, file=source.path, headings=missing)
    state = FileState(source.path, source.size, source.mtime_ns, len(passages), problem)
    writer.mark_file(state, keep_passages=False)
    for passage in passages:
        writer.add_passage(passage)
    return state


def _differs(source: _Source, known: FileState | None) -> bool:
    return known is None or (source.size, source.mtime_ns) != (known.size, known.mtime_ns)


def _walk(folder: Path) -> Iterator[_Source]:
    """Every readable source below the folder; its ``.yaml`` beside it counts as part of it."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(parent) / name
            if not is_source(path):
                continue
            try:
                stat = path.stat()
            except OSError:
                continue  # deleted while the folder was walked: gone at the next pass as well
            size, mtime_ns = stat.st_size, stat.st_mtime_ns
            sidecar = sidecar_of(path)
            if sidecar.is_file():
                beside = sidecar.stat()
                size, mtime_ns = size + beside.st_size, max(mtime_ns, beside.st_mtime_ns)
            yield _Source(path.relative_to(folder).as_posix(), size, mtime_ns)
