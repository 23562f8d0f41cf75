"""Sound in S3: a real server process (moto's), away and back, wrong and gone."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
from obstore.store import S3Store

from config.calls import S3Section
from penny.calls import keeper as keeping
from penny.calls.keeper import CallKeeper, Retention
from penny.calls.query import CallQuery
from penny.calls.shelf import LINK_S, Shelf, ShelfUnavailable
from penny.calls.store import CallStore
from tests.doubles.s3_server import S3Server
from tests.faults.test_kept_calls import Talk
from tests.penny.calls.calls import a_call


pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "penny")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    with S3Server() as server:
        yield server


def section(server: S3Server, **fields: object) -> S3Section:
    return S3Section.model_validate({"bucket": "calls", "endpoint": server.url, **fields})


def bucket(server: S3Server) -> S3Store:
    return S3Store(
        "calls",
        config={"endpoint": server.url, "region": "us-east-1"},
        client_options={"allow_http": True},
    )


def names_in(server: S3Server) -> list[str]:
    return sorted(each["path"] for page in bucket(server).list() for each in page)


def a_file(folder: Path, content: bytes = b"fLaC and more") -> Path:
    path = folder / "unfinished.part"
    path.write_bytes(content)
    return path


async def read(shelf: Shelf, name: str, start: int, end: int) -> bytes:
    return b"".join([piece async for piece in shelf.read(name, start, end)])


@pytest.mark.parametrize("keeps_local", [True, False])
@pytest.mark.parametrize("checksums", [True, False])
async def test_a_file_goes_up_once_and_is_read_in_parts(
    server: S3Server, tmp_path: Path, *, keeps_local: bool, checksums: bool
) -> None:
    told = section(server, checksums=checksums, encryption="AES256")
    shelf = Shelf(tmp_path / "sound", told, keeps_local=keeps_local)
    (tmp_path / "sound" / "t").mkdir(parents=True)
    for _ in range(2):  # the process died before the database knew
        await shelf.keep(a_file(tmp_path), "t/one.flac")
    assert names_in(server) == ["t/one.flac"]
    assert (shelf.local("t/one.flac") is not None) == keeps_local
    assert not (tmp_path / "unfinished.part").exists()
    assert await shelf.size("t/one.flac") == 13
    assert await read(shelf, "t/one.flac", 5, 8) == b"and"
    link = await shelf.link("t/one.flac")
    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == [str(LINK_S)]
    assert await asyncio.to_thread(lambda: urlopen(link).read()) == b"fLaC and more"
    await shelf.remove("t/one.flac")
    assert names_in(server) == []
    assert await shelf.size("t/one.flac") is None


async def test_what_lies_there_is_never_overwritten(server: S3Server, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "sound", section(server), keeps_local=False)
    await shelf.keep(a_file(tmp_path), "t/one.flac")
    other = a_file(tmp_path, b"something else")
    with pytest.raises(ShelfUnavailable, match="something else by the name"):
        await shelf.keep(other, "t/one.flac")
    assert other.exists()
    assert await read(shelf, "t/one.flac", 0, 4) == b"fLaC"


async def test_calls_follow_when_the_bucket_is_back(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "RETRY_S", (0.05,))
    monkeypatch.setattr("penny.calls.shelf.RETRIES", 0)
    store = CallStore(f"sqlite:///{tmp_path / 'calls.sqlite'}")
    shelf = Shelf(tmp_path / "sound", section(server), keeps_local=False)
    never = Retention(None, None)
    keeper = CallKeeper(store, shelf, tmp_path, lambda _: never, lambda: 1.8e9)
    server.stop()
    await keeper.start()
    for number in range(CALLS):
        talk = Talk(keeper, f"sess_{number:03}")
        talk.say(1)
        talk.end()
    async with asyncio.timeout(120):
        while keeper.waiting < CALLS or not keeper.fault:
            await asyncio.sleep(0.05)
    assert keeper.fault.startswith("S3 does not take it")
    server.start()
    async with asyncio.timeout(200):
        while keeper.kept < CALLS:
            await asyncio.sleep(0.05)
    await keeper.aclose()
    assert not list((tmp_path / "spool").glob("*/sess_*"))
    assert not list((tmp_path / "sound").rglob("*.*"))
    there = bucket(server)
    sums = {name: hashlib.sha256(there.get(name).bytes()).hexdigest() for name in names_in(server)}
    again = CallStore(f"sqlite:///{tmp_path / 'calls.sqlite'}")
    kept = [call async for call in again.stream(None, CallQuery())]
    await again.aclose()
    assert {call.sound["path"]: call.sound["sha256"] for call in kept} == sums
    assert len(sums) == CALLS


async def test_files_without_a_call_go_and_calls_without_a_file_say_so(
    server: S3Server, tmp_path: Path
) -> None:
    store = CallStore(f"sqlite:///{tmp_path / 'calls.sqlite'}")
    shelf = Shelf(tmp_path / "sound", section(server), keeps_local=False)
    never = Retention(None, None)
    keeper = CallKeeper(store, shelf, tmp_path, lambda _: never, lambda: 4e9)
    for name in ("t/sess_default_1.flac", "t/orphan.flac"):
        await shelf.keep(a_file(tmp_path), name)
    for number in (1, 2):
        sound = {"state": "stored", "path": f"t/sess_default_{number}.flac"}
        await store.put(a_call(number, sound=sound))
    young = CallKeeper(store, shelf, tmp_path, lambda _: never, lambda: 1.7e9)
    assert await young.sweep() == {"orphans": 0, "lost": 0}
    assert await keeper.sweep() == {"orphans": 1, "lost": 1}
    assert names_in(server) == ["t/sess_default_1.flac"]
    lost = await store.get(None, "sess_default_2")
    assert lost is not None
    assert lost.sound["state"] == "lost"
    assert await keeper.erase(None, ["sess_default_1"]) == ["sess_default_1"]
    assert names_in(server) == []
    await store.aclose()


CALLS = 200
