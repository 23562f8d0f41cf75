"""Where the sound of ended calls lies: a folder, an S3 bucket, or both.

A file goes up once, is compared with what is there, and only then is it ``stored``. Names are
``TENANT/DAY/CALL.flac``, the same in both places.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penny.errors import PennyError


if TYPE_CHECKING:
    from obstore.store import S3Config, S3Store

    from config.calls import S3Section

LINK_S = 300
"""How long a presigned link opens its file."""
TIMEOUT_S = 30
"""An S3 server that takes longer is away; the call waits in the spool."""
RETRIES = 2
"""Of one request; the call is tried again after that."""
SUFFIX = ".flac"


class ShelfUnavailable(PennyError):
    """Where sound is kept does not answer, or refuses; calls wait in the spool meanwhile."""

    code = "sound_store_unavailable"
    retryable = True


@dataclass(frozen=True, slots=True)
class Lying:
    """A file on a shelf: its name, its size, and when it was written."""

    name: str
    size_bytes: int
    written_at: datetime


class Shelf:
    """Finished sound files.

    Args:
        folder: of files on this machine, and of those that are still being written.
        s3: where the bucket is; None keeps them on this machine alone.
        keeps_local: whether the folder keeps them too where there is a bucket.
    """

    def __init__(
        self, folder: Path, s3: S3Section | None = None, *, keeps_local: bool = True
    ) -> None:
        self.folder = folder
        self._bucket = None if s3 is None else _open_bucket(s3)
        self._keeps_local = keeps_local or self._bucket is None

    async def keep(self, unfinished: Path, name: str) -> None:
        """Take a file that is whole. Repeating it is harmless.

        Raises:
            ShelfUnavailable: the bucket does not answer, or holds something else by that name.
            OSError: the folder refuses.
        """
        if self._bucket is not None:
            await self._upload(unfinished, name)
        if self._keeps_local:
            await asyncio.to_thread(unfinished.replace, self.folder / name)
        else:
            await asyncio.to_thread(unfinished.unlink)

    def local(self, name: str) -> Path | None:
        """Its path on this machine; None where it is not here."""
        path = self.folder / name
        return path if path.is_file() else None

    async def size(self, name: str) -> int | None:
        """Its size in bytes; None where it is nowhere. Raises ShelfUnavailable."""
        path = await asyncio.to_thread(self.local, name)
        if path is not None:
            return path.stat().st_size
        found: int | None = None
        if self._bucket is not None:
            with _Refusals(absent_is_fine=True):
                found = int((await self._bucket.head_async(name))["size"])
        return found

    async def read(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Its bytes from ``start`` up to ``end``. Raises ShelfUnavailable, OSError."""
        path = await asyncio.to_thread(self.local, name)
        if path is not None:
            with path.open("rb") as file:
                file.seek(start)
                while start < end and (piece := file.read(min(1 << 18, end - start))):
                    start += len(piece)
                    yield piece
            return
        if self._bucket is None:
            raise ShelfUnavailable("the sound is not on this machine")
        with _Refusals():
            answer = await self._bucket.get_async(name, options={"range": (start, end)})
            async for chunk in answer.stream():
                yield bytes(chunk)

    async def link(self, name: str) -> str:
        """An address that opens it for ``LINK_S``, to all who have it. Raises ShelfUnavailable."""
        from obstore import sign_async

        if self._bucket is None:
            raise ShelfUnavailable("links are given where sound lies in S3")
        given: list[str] = []
        with _Refusals():
            given.append(await sign_async(self._bucket, "GET", name, timedelta(seconds=LINK_S)))
        return given[0]

    async def remove(self, name: str) -> None:
        """Let go of it, wherever it lies. Raises ShelfUnavailable, OSError."""
        await asyncio.to_thread((self.folder / name).unlink, missing_ok=True)
        if self._bucket is not None:
            with _Refusals(absent_is_fine=True):
                await self._bucket.delete_async(name)

    async def lying(self) -> AsyncIterator[Lying]:
        """Every file of both places; one that lies in both comes twice. Raises ShelfUnavailable."""
        for path in await asyncio.to_thread(lambda: sorted(self.folder.rglob(f"*{SUFFIX}"))):
            told = path.stat()
            name = path.relative_to(self.folder).as_posix()
            yield Lying(name, told.st_size, datetime.fromtimestamp(told.st_mtime, UTC))
        if self._bucket is not None:
            with _Refusals():
                async for page in self._bucket.list(chunk_size=500):
                    for each in page:
                        if each["path"].endswith(SUFFIX):
                            yield Lying(each["path"], each["size"], each["last_modified"])

    async def _upload(self, source: Path, name: str) -> None:
        """Create it, never overwrite; then compare. Raises ShelfUnavailable, OSError."""
        from obstore.exceptions import AlreadyExistsError

        bucket = self._bucket
        assert bucket is not None
        attributes = {"Content-Type": "audio/flac"}
        with _Refusals():
            with suppress(AlreadyExistsError):  # by us, before a crash: compared like any other
                await bucket.put_async(name, source, mode="create", attributes=attributes)
            if not await self._is_same(source, name):
                raise ShelfUnavailable(f"S3 holds something else by the name of {name}")

    async def _is_same(self, source: Path, name: str) -> bool:
        assert self._bucket is not None
        told = await self._bucket.head_async(name)
        md5, sha256 = await asyncio.to_thread(_digests, source)
        if (told["e_tag"] or "").strip('"') == md5:  # what S3 computed of what arrived
            return True
        there = hashlib.sha256()
        async for chunk in (await self._bucket.get_async(name)).stream():
            there.update(chunk)
        return there.hexdigest() == sha256


class _Refusals:
    """Block whose faults of the bucket are ShelfUnavailable."""

    def __init__(self, *, absent_is_fine: bool = False) -> None:
        self._absent_is_fine = absent_is_fine

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: Any, error: BaseException | None, _traceback: Any) -> bool:
        if error is None:
            return False
        from obstore.exceptions import BaseError, NotFoundError

        if isinstance(error, NotFoundError | FileNotFoundError) and self._absent_is_fine:
            return True
        if isinstance(error, BaseError):
            # Its text may hold the address with its signature; its kind does not.
            raise ShelfUnavailable(f"S3 does not take it: {type(error).__name__}") from error
        return False


def _digests(path: Path) -> tuple[str, str]:
    """MD5 (what S3 tells of an object) and SHA-256, in hex."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            md5.update(piece)
            sha256.update(piece)
    return md5.hexdigest(), sha256.hexdigest()


def _open_bucket(s3: S3Section) -> S3Store:
    """Its credentials are AWS' own variables of the environment, or the machine's role."""
    # Here, not above: a gateway without a bucket loads nothing of it.
    from obstore.store import S3Store

    own: S3Config = {"region": s3.region, "checksum_algorithm": "SHA256"}
    if s3.endpoint is not None:
        own["endpoint"] = s3.endpoint
    if s3.encryption is not None:
        own["server_side_encryption"] = s3.encryption
    if s3.kms_key_id is not None:
        own["sse_kms_key_id"] = s3.kms_key_id
    if not s3.checksums:
        del own["checksum_algorithm"]
    return S3Store(
        s3.bucket,
        prefix=s3.prefix or None,
        config=own,
        client_options={
            "allow_http": (s3.endpoint or "").startswith("http://"),
            "timeout": timedelta(seconds=TIMEOUT_S),
        },
        retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=TIMEOUT_S)},
    )
