"""One file that holds many, each with its SHA-256: a plain tar whose last member is a manifest.

Sound is compressed already, so the archive is not. It is written under another name and gets its
own when it is whole, readable by its owner alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from penny.errors import PennyError


Json = dict[str, Any]

MANIFEST = "manifest.json"
FORMAT = 1
_PIECE_BYTES = 1 << 20


class ArchiveDamaged(PennyError):
    """The archive is not as it was written, or none of ours; nothing was restored."""

    code = "archive_damaged"


class ArchiveWriter:
    """Adds files to an archive; made by ``writing``."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._digests: dict[str, str] = {}

    def add(self, name: str, path: Path) -> None:
        """Add a file as it is now; what is appended meanwhile is left out. Raises OSError."""
        with path.open("rb") as file:
            info = self._tar.gettarinfo(arcname=name, fileobj=file)
            info.uname = info.gname = ""
            self._add(info, file)

    def finish(self, facts: Json) -> None:
        """Add the manifest: ``facts`` and every member's digest."""
        told = json.dumps({"format": FORMAT, **facts, "files": self._digests}).encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size = len(told)
        self._tar.addfile(info, io.BytesIO(told))

    def _add(self, info: tarfile.TarInfo, file: IO[bytes]) -> None:
        reader = _Digesting(file)
        self._tar.addfile(info, reader)
        self._digests[info.name] = reader.digest.hexdigest()


class _Digesting(io.RawIOBase):
    """Reader that digests what is read through it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self.digest.update(piece)
        return piece


@contextmanager
def writing(path: Path) -> Iterator[ArchiveWriter]:
    """An archive at ``path``, there when the block ends well. Raises OSError, PennyError."""
    if path.exists():
        raise PennyError(f"{path} is there already; name another file")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as f:
            with tarfile.open(fileobj=f, mode="w", format=tarfile.PAX_FORMAT) as tar:
                yield ArchiveWriter(tar)
            f.flush()
            os.fsync(f.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


class ArchiveReader:
    """Reads an archive whose every member was compared with its digest; made by ``reading``."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.facts = self._verify()

    def under(self, folder: str) -> Iterator[str]:
        """Names of the members in ``folder``, as they are seen from there."""
        for name in self.facts["files"]:
            if name.startswith(f"{folder}/"):
                yield name.removeprefix(f"{folder}/")

    def extract(self, name: str, target: Path) -> None:
        """Write a member to ``target`` with its mode, never over a file. Raises OSError."""
        member = self._tar.getmember(name)
        source = self._tar.extractfile(member)
        assert source is not None
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        with os.fdopen(os.open(target, flags, member.mode & 0o777), "wb") as file:
            while piece := source.read(_PIECE_BYTES):
                file.write(piece)

    def _verify(self) -> Json:
        found: dict[str, str] = {}
        facts: Json = {}
        for member in self._tar:
            path = PurePosixPath(member.name)
            if not member.isreg() or path.is_absolute() or ".." in path.parts:
                raise ArchiveDamaged(f"the archive holds {member.name}, which no backup writes")
            source = self._tar.extractfile(member)
            assert source is not None
            if member.name == MANIFEST:
                facts = _read_manifest(source.read())
                continue
            digest = hashlib.sha256()
            while piece := source.read(_PIECE_BYTES):
                digest.update(piece)
            found[member.name] = digest.hexdigest()
        if not facts:
            raise ArchiveDamaged("the archive ends before its manifest: cut off, or no backup")
        wrong = sorted(
            name
            for name in found.keys() | facts["files"].keys()
            if found.get(name) != facts["files"].get(name)
        )
        if wrong:
            raise ArchiveDamaged(f"{len(wrong)} files of the archive are damaged, first {wrong[0]}")
        return facts


def _read_manifest(data: bytes) -> Json:
    try:
        facts: Json = json.loads(data)
        form, files = facts["format"], facts["files"]
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveDamaged("the archive's manifest cannot be read") from error
    if form != FORMAT or not isinstance(files, dict):
        raise ArchiveDamaged(f"the archive has format {form}; this Penny reads format {FORMAT}")
    return facts


@contextmanager
def reading(path: Path) -> Iterator[ArchiveReader]:
    """The archive at ``path``, once all of it was compared. Raises PennyError."""
    try:
        with tarfile.open(path, "r:") as tar:
            yield ArchiveReader(tar)
    except tarfile.TarError as error:
        raise ArchiveDamaged(f"{path} is no archive that can be read: {error}") from error
