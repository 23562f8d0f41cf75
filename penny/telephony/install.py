"""Files that are replaced together or not at all, and read by another program."""

from __future__ import annotations

import grp
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


PREVIOUS = ".previous"


@dataclass(frozen=True, slots=True)
class File:
    """What a file is to hold. ``is_secret``: of its owner alone, where no group is named."""

    content: bytes
    is_secret: bool = False


def install(files: Mapping[Path, File], group: str, accept: Callable[[], None]) -> None:
    """Replace files; each one's last content stays beside it, as ``NAME.previous``.

    Args:
        group: may read them all; '' for none.
        accept: asked once all are in place; what it raises puts all back.

    Raises:
        OSError: the disk takes them not, or there is no such group. All are as they were.
    """
    group_id = _group_id(group)
    before = {path: _content(path) for path in files}
    drafts = {path: path.with_name(f".{path.name}.{os.getpid()}") for path in files}
    try:
        for path, file in files.items():
            _write(drafts[path], file, group_id)
        for path, file in files.items():
            old = before[path]
            if old is not None and old != file.content and not file.is_secret:
                _write(path.with_name(path.name + PREVIOUS), File(old), group_id)
            drafts[path].replace(path)
        accept()
    except BaseException:
        for path, old in before.items():
            if old is None:
                path.unlink(missing_ok=True)
            elif _content(path) != old:
                _write(drafts[path], File(old, files[path].is_secret), group_id)
                drafts[path].replace(path)
        raise
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


def make_folder(path: Path, group: str) -> None:
    """A folder that its owner and the group may enter. Raises OSError."""
    path.mkdir(mode=0o750 if group else 0o700, parents=True, exist_ok=True)
    group_id = _group_id(group)
    if group_id is not None:
        os.chown(path, -1, group_id)
        path.chmod(0o750)


def _write(path: Path, file: File, group_id: int | None) -> None:
    mode = 0o640 if group_id is not None or not file.is_secret else 0o600
    with suppress(FileNotFoundError):
        path.unlink()
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(file.content)
        opened.flush()
        if group_id is not None:
            os.fchown(opened.fileno(), -1, group_id)
        os.fchmod(opened.fileno(), mode)
        os.fsync(opened.fileno())


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _group_id(group: str) -> int | None:
    if not group:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise OSError(f"there is no group {group} on this machine") from None
