"""The spool's own turns: what is written when."""

from __future__ import annotations

from pathlib import Path

import pytest

from penny.calls import spool as module
from penny.calls.spool import Spool, SpooledCall, is_whole


pytestmark = pytest.mark.process


async def test_a_call_that_ends_while_it_is_written_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished: list[Path] = []
    spool = Spool(tmp_path, lambda: 0.0, finished.append)
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
