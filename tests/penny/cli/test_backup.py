"""``penny backup`` and ``restore``: a gateway that keeps calls, its archive, a fresh folder."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import soundfile
import yaml

from config.loader import load
from penny.calls.query import CallQuery
from penny.calls.shelf import Shelf
from penny.calls.store import CallStore
from penny.cli.archive import MANIFEST
from penny.cli.main import main
from tests.doubles.caller import calling
from tests.doubles.processes import gateway_process, worker_process
from tests.doubles.s3_server import S3Server
from tests.penny.calls.calls import a_call


pytestmark = pytest.mark.process

Json = dict[str, Any]

WAIT_S = 120.0


def sections(folder: Path, **calls: Any) -> dict[str, Json]:
    """A gateway's sections whose every file lies in ``folder``."""
    return {
        "keys": {"file": str(folder / "keys.sqlite"), "required": "always"},
        "telephony": {"folder": str(folder / "telephony")},
        "calls": {
            "recording": "on",
            "folder": str(folder / "calls"),
            "url": f"sqlite:///{folder / 'calls/calls.sqlite'}",
            **calls,
        },
    }


def written(folder: Path, **calls: Any) -> str:
    """The configuration's file, as ``gateway_process`` writes it too."""
    folder.mkdir(exist_ok=True)
    path = folder / "gateway.yaml"
    path.write_text(yaml.safe_dump(sections(folder, **calls)), encoding="utf-8")
    return str(path)


async def run(*arguments: str) -> int:
    return await asyncio.to_thread(main, arguments)


async def talk(url: str, key: str) -> None:
    async with calling(url, key=key) as caller:
        await caller.send("session_start")
        await caller.until("session_started")
        await caller.send("text_input", text="hola")
        assert (await caller.until("response_done"))["status"] == "completed"
        await caller.send("session_end")
        await caller.until("session_ended")


async def kept(http: aiohttp.ClientSession, url: str, count: int) -> list[Json]:
    """The gateway's list of calls, once it has so many."""
    async with asyncio.timeout(WAIT_S):
        while True:
            async with http.get(f"{url}/v1/calls") as answer:
                assert answer.status == 200, await answer.text()
                found: list[Json] = (await answer.json())["calls"]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.1)


@pytest.mark.timeout(600)
async def test_a_fresh_machine_has_the_calls_the_keys_and_the_sound_of_a_gateway_that_was_in_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after, archive = tmp_path / "before", tmp_path / "after", str(tmp_path / "penny.tar")
    config = written(before)
    assert await run("keys", "create", "ops", "--admin", "--config", config) == 0
    key = capsys.readouterr().out.strip()
    secret = before / "telephony/secrets/fxo.conf"
    secret.parent.mkdir(parents=True)
    secret.write_text("password", encoding="utf-8")
    secret.chmod(0o600)
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        worker_process(tmp_path) as worker,
        aiohttp.ClientSession(headers=headers) as http,
    ):
        async with (
            gateway_process(before, worker.port, **sections(before)) as gateway,
            calling(gateway.url, key=key) as live,
        ):
            await live.send("session_start")
            await live.until("session_started")
            await asyncio.gather(talk(gateway.url, key), talk(gateway.url, key))
            told = await kept(http, gateway.url, 2)
            assert await run("backup", archive, "--config", config) == 0
            assert "2 calls, 2 sounds" in capsys.readouterr().out
            # It goes on beside the backup, and a copy is not put over what is in use.
            await live.send("text_input", text="hola")
            assert (await live.until("response_done"))["status"] == "completed"
            assert await run("restore", archive, "--config", config) == 1
            assert "a gateway keeps calls in this folder now" in capsys.readouterr().err
        assert await run("restore", archive, "--config", written(after)) == 0
        capsys.readouterr()
        async with gateway_process(after, worker.port, **sections(after)) as gateway:
            found = await kept(http, gateway.url, 2)
            assert found == told
            for call in found:
                address = f"{gateway.url}/v1/calls/{call['id']}/audio"
                async with http.get(address) as answer:
                    samples, _ = soundfile.read(io.BytesIO(await answer.read()))
                assert abs(samples[:, 1]).max() > 0.01  # Penny's side
    restored = after / "telephony/secrets/fxo.conf"
    assert (restored.read_text("utf-8"), restored.stat().st_mode & 0o777) == ("password", 0o600)
    # Once more over it: what is there stays.
    assert await run("restore", archive, "--config", str(after / "gateway.yaml")) == 1
    assert "is there already (keys.file)" in capsys.readouterr().err


async def keep_one(config_path: str, sound: bytes) -> None:
    """A call with sound, kept as a gateway keeps it."""
    config = load(Path(config_path), {})
    store = CallStore(config.resolve_url(config.calls.url))
    shelf = Shelf(config.calls.folder / "sound", config.calls.s3, keeps_local=False)
    name = "default/2026-11-30/sess_default_0.flac"
    unfinished = shelf.folder / f"{name}.part"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(sound)
    await shelf.keep(unfinished, name)
    await store.put(a_call(sound={"state": "stored", "path": name}))
    await store.aclose()


async def test_sound_in_a_bucket_is_in_the_archive_and_goes_into_the_new_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    archive = str(tmp_path / "penny.tar")
    with S3Server() as server:

        def bucket(prefix: str) -> Json:
            s3 = {"bucket": "calls", "endpoint": server.url, "prefix": prefix}
            return {"storage": "s3", "s3": s3}

        before = written(tmp_path / "before", **bucket("before"))
        after = written(tmp_path / "after", **bucket("after"))
        for path in (before, after):  # on loopback, which the privacy of calls allows
            assert load(Path(path), {}).calls.bucket is not None
        await keep_one(before, b"fLaC of a call")
        assert await run("backup", archive, "--config", before) == 0
        assert await run("restore", archive, "--config", after) == 0
        config = load(Path(after), {})
        shelf = Shelf(tmp_path / "nothing", config.calls.s3)
        name = "default/2026-11-30/sess_default_0.flac"
        pieces = [piece async for piece in shelf.read(name, 0, 14)]
    assert b"".join(pieces) == b"fLaC of a call"
    store = CallStore(config.calls.url)
    rows, _ = await store.find(None, CallQuery(text="factura"))
    await store.aclose()
    assert [row["id"] for row in rows] == ["sess_default_0"]


async def an_archive(tmp_path: Path) -> Path:
    before = written(tmp_path / "before")
    store = CallStore(f"sqlite:///{tmp_path / 'before/calls/calls.sqlite'}")
    await store.put(a_call())
    await store.aclose()
    archive = tmp_path / "penny.tar"
    assert await run("backup", str(archive), "--config", before) == 0
    return archive


async def test_an_archive_that_was_changed_or_cut_off_restores_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (await an_archive(tmp_path)).read_bytes()
    at = whole.index(b"SQLite format 3")
    damages = {
        "files of the archive are damaged, first store/calls.sqlite": (
            whole[: at + 200] + b"\xff" + whole[at + 201 :]
        ),
        "ends before its manifest": whole[: whole.index(MANIFEST.encode())],
        "is no archive that can be read": b"not at all",
    }
    after = written(tmp_path / "after")
    for reason, content in damages.items():
        (tmp_path / "damaged.tar").write_bytes(content)
        assert await run("restore", str(tmp_path / "damaged.tar"), "--config", after) == 1
        assert reason in capsys.readouterr().err
        assert sorted(path.name for path in (tmp_path / "after").iterdir()) == ["gateway.yaml"]


async def test_a_store_of_a_newer_penny_is_refused_and_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, newer = await an_archive(tmp_path), tmp_path / "newer.tar"
    with tarfile.open(archive) as source, tarfile.open(newer, "w") as target:
        for member in source:
            stream = source.extractfile(member)
            assert stream is not None
            content = stream.read()
            if member.name == MANIFEST:
                facts = json.loads(content)
                facts["store"]["revision"] = "9999"
                content = json.dumps(facts).encode()
                member.size = len(content)
            target.addfile(member, io.BytesIO(content))
    after = written(tmp_path / "after")
    assert await run("restore", str(newer), "--config", after) == 1
    assert "revision 9999, which this Penny does not know" in capsys.readouterr().err
    left = [path.name for path in (tmp_path / "after").rglob("*") if path.is_file()]
    assert left == ["gateway.yaml"]
