"""The spool's own turns: what is written when."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from penny.calls import spool as module
from penny.calls.spool import CALLER, Spool, SpooledCall, is_whole, read_log
from penny.writable import dump_json


pytestmark = pytest.mark.process


async def test_a_call_that_ends_while_it_is_written_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished: list[Path] = []
    spool = Spool(tmp_path, finished.append)
    write_all = module._write_all
    call = spool.begin("call_1")

    def end_and_write(calls: list[SpooledCall]) -> list[str]:
        if not call.is_ended:
            call.end(reason="client_ended")
        return write_all(calls)

    monkeypatch.setattr(module, "_write_all", end_and_write)
    call.note("call", call={})
    await spool._write()
    assert is_whole(call.folder)
    await spool._write()
    assert finished == [call.folder]
    await spool._write()
    assert finished == [call.folder]


def test_a_line_that_is_made_while_a_thread_writes_waits_for_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = SpooledCall(tmp_path / "call_1")
    call.note("call")

    def make_meanwhile(value: object) -> bytes:
        call.write()
        return dump_json(value)

    monkeypatch.setattr(module, "dump_json", make_meanwhile)
    call.note("turn")
    call.write()
    assert [line["kind"] for line in read_log(call.folder)] == ["call", "turn"]


def test_sound_that_waits_while_the_disk_refuses_has_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = SpooledCall(tmp_path / "call_1")
    call.add("caller", "AAAA")

    def refuse(_file: int, _data: bytes) -> int:
        call.add("caller", "AAAAAAAA")
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", refuse)
        with pytest.raises(OSError, match="full"):
            call.write()
    call.write()
    assert call.add("caller", "AAAA") == 6
    assert (call.folder / CALLER).stat().st_size == 6


def test_a_nul_in_what_a_client_says_keeps_no_database_from_taking_the_call(
    tmp_path: Path,
) -> None:
    call = SpooledCall(tmp_path / "call_1")
    call.note("call", call={"caller": "a\0b", "user_id": "C:\\\\u0000"})
    call.write()
    told = read_log(call.folder)[0]["call"]
    assert told == {"caller": "a\ufffdb", "user_id": "C:\\\\u0000"}
