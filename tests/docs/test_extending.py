"""The examples of docs/extending.md are code that runs."""

from __future__ import annotations

import asyncio
import re
import shutil
from array import array
from pathlib import Path
from typing import Any

import pytest

from penny.session.broker import Broker, BrokerSettings
from penny.session.mode import SessionSpec
from penny.session.session import SessionLimits


pytestmark = pytest.mark.socket

GUIDE = Path(__file__).parent.parent.parent / "docs" / "extending.md"
TONE = array("h", [8000, -8000] * 12_000).tobytes()
"""A second at 24 kHz; of a tone that no 8 kHz line carries, so only its length counts."""


def examples() -> dict[str, Any]:
    """Every name that the guide's Python blocks define."""
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, str(GUIDE), "exec"), names)
    return names


def lines_of(block: str) -> int:
    return len([line for line in block.splitlines() if line.strip()])


def test_each_example_is_short() -> None:
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)

    assert [lines_of(block) <= 45 for block in blocks] == [True] * 4


async def test_a_caller_on_the_line_hears_the_announcement() -> None:
    guide = examples()
    mode = guide["AnnouncementMode"]("Hoy cerramos.", TONE)
    settings = BrokerSettings("ANNOUNCEMENT", True, 10, SessionLimits(60.0, 60.0))
    loop = asyncio.get_running_loop()
    broker = Broker({mode.name: mode}, settings, (), loop.time)
    edges: list[Any] = []

    def accept() -> Any:
        edges.append(guide["LineEdge"]())
        return edges[-1]

    server = await loop.create_server(accept, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(bytes(320))
    while not edges:
        await asyncio.sleep(0)
    edge = await edges[0].connected
    call = asyncio.create_task(guide["answer"](broker, edge, mode, SessionSpec("sess_1", "es")))

    heard = await reader.readexactly(16_000)
    writer.close()
    reason = await call
    server.close()

    assert len(heard) == 16_000
    assert reason == "client_gone"
    assert broker.sessions == {}


class Brief:
    """An edge that hangs up as soon as it is answered."""

    name = "brief"
    end_reason = "client_ended"

    def start(self, sink: Any) -> None:
        asyncio.get_running_loop().call_soon(sink.on_closed)

    def deliver(self, event: Any) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    async def aclose(self, reason: str, totals: Any) -> None: ...


async def test_a_whole_call_with_the_file_as_it_is_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(GUIDE.parents[1] / "penny.yaml", tmp_path)
    file = tmp_path / "penny.yaml"
    file.write_text(re.sub(r"(?m)^  port: 8080", "  port: 0", file.read_text("utf-8"), count=1))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENNY_LIGHT", "1")
    monkeypatch.setenv("PYTHONPATH", str(GUIDE.parents[1]))

    assert await examples()["call"](Brief()) == "client_ended"
