"""The examples of docs/extending.md are code that runs."""

from __future__ import annotations

import asyncio
import re
import shutil
import wave
from array import array
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest

from kb import KbSettings, KnowledgeBase
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

    assert [lines_of(block) <= 50 for block in blocks] == [True] * 5


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


def write_recording(path: Path, seconds: float) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes(round(16_000 * seconds)))
    return path


class Listener:
    """A session's side of an edge: the audio that came, and how often it hung up."""

    def __init__(self) -> None:
        self.at_s: list[float] = []
        self.goodbyes = 0

    def on_event(self, event: Any) -> None:
        assert len(b64decode(event["audio"])) == 960
        self.at_s.append(round(asyncio.get_running_loop().time(), 3))

    def on_closed(self) -> None:
        self.goodbyes += 1


@pytest.mark.virtual_time
async def test_a_file_keeps_its_own_clock_over_a_pause_and_hangs_up_once_all_is_played(
    tmp_path: Path,
) -> None:
    edge, sink = examples()["FileEdge"](write_recording(tmp_path / "a.wav", 0.1)), Listener()
    begun_s = asyncio.get_running_loop().time()
    edge.start(sink)
    await asyncio.sleep(0.05)
    edge.pause()
    edge.pause()
    await asyncio.sleep(1)
    edge.resume()
    await asyncio.sleep(0.05)
    sent_at_s = [round(at_s - begun_s, 2) for at_s in sink.at_s]
    assert sent_at_s == [0.0, 0.02, 0.04, 1.05, 1.07, 1.09]

    edge.deliver({"type": "response.done"})  # of a turn that nobody understood: no sound
    edge.deliver({"type": "response.output_audio.delta", "delta": b64encode(TONE).decode()})
    edge.deliver({"type": "penny.of_a_later_version"})
    edge.deliver({"type": "response.done"})
    await asyncio.sleep(0.9)
    assert sink.goodbyes == 0
    await asyncio.sleep(0.2)
    await edge.aclose("client_ended", {"duration_ms": 2200})
    assert (sink.goodbyes, edge.audio) == (1, TONE)


async def test_the_documents_questions_are_read(tmp_path: Path) -> None:
    [document] = re.findall(r"```markdown\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    folder = tmp_path / "documents" / "empresa" / "documentos"
    folder.mkdir(parents=True)
    (folder / "horario.md").write_text(document, "utf-8")
    base = KnowledgeBase.open(KbSettings(tmp_path / "documents", tmp_path / "index"))

    asked = [question.text for question in base.questions("kb://empresa/documentos", "es")]
    base.close()

    assert base.problems() == []
    assert asked == ["a qué hora abren", "qué horario tienen"]


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
