"""One person over everything that is kept, and the command line that does it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sqlite3
import sys
import zipfile
from collections.abc import Iterator
from contextlib import aclosing, closing
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

from penny.calls.keeper import CallKeeper, Retention
from penny.calls.people import EXPORTS, MANIFEST
from penny.calls.query import CallQuery
from penny.calls.record import Call
from penny.calls.shelf import Shelf
from penny.calls.spool import Spool
from penny.calls.store import CallStore
from penny.cli.main import main
from tests.penny.calls.calls import a_call, a_turn


pytestmark = pytest.mark.process

SECRETS = ("zanahoria", "berenjena", "remolacha")
ANA, LUIS = "+34600000001", "+34600000002"


def with_sound(folder: Path, call: Call) -> Call:
    path = folder / "sound" / call.tenant / f"{call.id}.flac"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros((800, 2), np.int16), 8000, format="FLAC")
    size = path.stat().st_size
    call.sound = {"state": "stored", "path": f"{call.tenant}/{path.name}", "bytes": size}
    return call


@pytest.fixture
async def house(tmp_path: Path) -> Path:
    """Ana's three calls (one held) and one of Luis, in a house of their own."""
    (tmp_path / "penny.yaml").write_text(
        f"calls: {{folder: {tmp_path / 'calls'}, url: 'sqlite:///{tmp_path / 'calls.sqlite'}'}}\n"
    )
    store = store_of(tmp_path)
    for number in range(3):
        said = [a_turn(f"secreto {SECRETS[number]}")]
        call = a_call(number, caller=ANA, user_id="ana", held=number == 2, turns=said)
        await store.put(with_sound(tmp_path / "calls", call))
    await store.put(with_sound(tmp_path / "calls", a_call(3, caller=LUIS)))
    await store.aclose()
    return tmp_path


def store_of(house: Path) -> CallStore:
    return CallStore(f"sqlite:///{house / 'calls.sqlite'}")


async def penny(house: Path, *words: str) -> int:
    return await asyncio.to_thread(main, ["calls", *words, "--config", str(house / "penny.yaml")])


def sounds(house: Path) -> list[str]:
    return sorted(path.stem for path in (house / "calls" / "sound").rglob("*.flac"))


async def spool_one(house: Path, caller: str) -> None:
    """An ended call whose process is gone and that no database knows."""
    store = store_of(house)
    keeper = CallKeeper(
        store, Shelf(house / "calls" / "sound"), house / "calls",
        lambda _: Retention(None, None), lambda: 1.8e9,
    )  # fmt: skip
    await keeper.spool.start()
    spooled = keeper.spool.begin(f"sess_waiting_{caller[-1]}")
    spooled.note("call", call={"id": "w", "tenant": "default", "caller": caller})
    await keeper.spool.aclose()
    await store.aclose()


async def test_a_person_is_erased_from_all_but_a_hold(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await spool_one(house, ANA)
    await spool_one(house, LUIS)
    assert await penny(house, "export", "--caller", ANA) == 0
    (copy,) = (house / "calls" / EXPORTS).glob("*.zip")
    capsys.readouterr()
    assert await penny(house, "erase", "--caller", ANA) == 0
    assert capsys.readouterr().out == "3 calls would be erased; add --yes\n"
    assert await penny(house, "erase", "--caller", ANA, "--yes") == 1
    told = capsys.readouterr().out
    for line in (
        "calls erased: 2", "sess_default_0", "sounds: 2 (", "waiting in the spool, erased: 1",
        "copies erased: 1", str(copy), "under legal hold, kept: 1",
    ):  # fmt: skip
        assert line in told, line
    assert sounds(house) == ["sess_default_2", "sess_default_3"]
    assert not copy.exists()
    assert [p.name for p in (house / "calls" / "spool").glob("*/sess_*")] == ["sess_waiting_2"]
    data = b"".join(p.read_bytes() for p in house.glob("calls.sqlite*"))
    assert [each.encode() in data for each in SECRETS] == [False, False, True]
    store = store_of(house)
    left, _ = await store.find(None, CallQuery())
    assert [row["id"] for row in left] == ["sess_default_3", "sess_default_2"]
    assert await store.find(None, CallQuery(text="secreto")) == ([left[1]], None)
    assert [entry["action"] for entry in await store.audit_of("sess_default_0")] == [
        "exported",
        "erased",
    ]
    await store.aclose()
    assert await penny(house, "hold", "sess_default_2", "--release") == 0
    assert await penny(house, "erase", "--user", "ana", "--yes") == 0
    assert sounds(house) == ["sess_default_3"]


async def test_a_copy_has_all_that_is_kept_of_a_person_and_its_sums(house: Path) -> None:
    target = house / "ana.zip"
    assert await penny(house, "export", "--caller", ANA, "--to", str(target)) == 0
    with zipfile.ZipFile(target) as archive:
        manifest = json.loads(archive.read(MANIFEST))["calls"]
        assert len(manifest) == 3
        for each in manifest:
            assert set(each["sha256"]) == {
                f"{each['id']}/{name}" for name in ("record.json", "transcript.txt", "audio.flac")
            }
            for name, digest in each["sha256"].items():
                assert hashlib.sha256(archive.read(name)).hexdigest() == digest
        assert len(archive.namelist()) == 10
        assert "secreto" in archive.read("sess_default_0/transcript.txt").decode()


async def test_calls_are_listed_shown_and_exported(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await penny(house, "list", "--caller", LUIS) == 0
    listed = capsys.readouterr().out
    assert "sess_default_3" in listed
    assert "completed" in listed
    assert await penny(house, "show", "sess_default_0") == 0
    assert "Caller: secreto zanahoria" in capsys.readouterr().out
    target = house / "calls.csv"
    assert await penny(house, "export", "--text", "SECRETO", "--to", str(target)) == 0
    assert target.read_text().count("sess_default_") == 3
    assert await penny(house, "show", "nobody") == 1
    assert "there is no call nobody" in capsys.readouterr().err
    assert await penny(house, "list", "--since", "ayer") == 1
    assert "--since" in capsys.readouterr().err
    assert await penny(house, "erase", "--yes") == 1


class Loudspeaker(ModuleType):
    """The part of ``sounddevice`` that plays."""

    class PortAudioError(Exception):
        pass

    def __init__(self) -> None:
        super().__init__("sounddevice")
        self.played: list[tuple[tuple[int, ...], int]] = []

    def play(self, samples: np.ndarray[Any, Any], rate_hz: int, *, blocking: bool) -> None:
        assert blocking
        self.played.append((samples.shape, rate_hz))


async def test_a_call_is_played_and_says_what_is_missing_where_it_cannot_be(
    house: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loudspeaker = Loudspeaker()
    monkeypatch.setitem(sys.modules, "sounddevice", loudspeaker)
    assert await penny(house, "play", "sess_default_0") == 0
    assert loudspeaker.played == [((800, 2), 8000)]
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert await penny(house, "play", "sess_default_0") == 1
    assert "sudo apt-get install libportaudio2" in capsys.readouterr().err


async def test_journals_of_an_earlier_version_become_calls_once(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = house / "journal" / "2026-11-01"
    folder.mkdir(parents=True)
    entries = [
        {"kind": "session", "at_s": 0.0, "session_id": "sess_old", "language": "es", "model": "m"},
        {"kind": "turn", "at_s": 2.0, "turn": 1, "item_id": "i", "caller": "¿Cuánto debo?"},
        {"kind": "search", "at_s": 2.1, "query": "debo", "found": ["a"]},
        {"kind": "reply", "at_s": 3.0, "turn": 1, "response_id": "r", "penny": "Doce euros."},
    ]
    lines = "".join(json.dumps(entry) + "\n" for entry in entries)
    (folder / "sess_old.jsonl").write_text(lines + '{"kind": "tur')
    (folder / "bad.jsonl").write_text('nothing\n{"kind": "turn", "at_s": 0}\n')
    for outcome in ("1 calls added; 0 were kept already", "0 calls added; 1 were kept already"):
        assert await penny(house, "import-journals", str(house / "journal")) == 1
        told = capsys.readouterr()
        assert told.out.strip() == outcome
        assert "line 1 is not JSON" in told.err
    store = store_of(house)
    call = await store.get(None, "sess_old")
    await store.aclose()
    assert call is not None
    (turn,) = [turn for turn in call.turns if turn.number]
    assert (turn.words, turn.heard_text) == ("¿Cuánto debo?", "Doce euros.")
    assert turn.marks == [
        {
            "kind": "note",
            "at_ms": 2100.0,
            "fields": {"note": "search", "query": "debo", "found": ["a"]},
        }
    ]


async def test_a_copy_that_was_cut_off_may_be_of_anybody_and_goes(house: Path) -> None:
    copies = house / "calls" / EXPORTS
    copies.mkdir(parents=True, exist_ok=True)
    (copies / "cut.zip").write_bytes(b"PK\x03\x04 and no end")
    assert await penny(house, "erase", "--caller", LUIS, "--yes") in (0, 1)
    assert list(copies.iterdir()) == []


async def test_a_call_that_goes_into_the_store_meanwhile_is_erased(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spool_one(house, ANA)
    folders = Spool.folders

    def keep_it_first(spool: Spool) -> Iterator[tuple[Path, bool]]:
        """As a gateway beside does."""
        for folder, _ in list(folders(spool)):
            with closing(sqlite3.connect(house / "calls.sqlite")) as store, store:
                store.execute("UPDATE calls SET caller = ? WHERE id = 'sess_default_3'", (ANA,))
            shutil.rmtree(folder)
        yield from folders(spool)

    monkeypatch.setattr(Spool, "folders", keep_it_first)
    await penny(house, "erase", "--caller", ANA, "--yes")
    async with aclosing(store_of(house)) as store:
        left, _ = await store.find(None, CallQuery(id="sess_default_3"))
    assert left == []
