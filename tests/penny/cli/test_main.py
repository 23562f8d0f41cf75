"""Commands, exit statuses, and errors as sentences instead of traces."""

from __future__ import annotations

import errno
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from config.schema import Config
from penny import __version__
from penny.cli.main import main


pytestmark = pytest.mark.process


ROOT = Path(__file__).parents[3]


class Entry(ModuleType):
    """Stands where a server's module would be: notes what it was started with."""

    def __init__(self, name: str, failure: OSError | None = None) -> None:
        super().__init__(name)
        self.failure = failure
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def main(self, *arguments: Any, **options: Any) -> None:
        self.calls.append((arguments, options))
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "penny.yaml"
    path.write_text("gateway:\n  port: 9001\nworker:\n  port: 9002\n")
    return str(path)


def test_a_worker_without_engines_says_what_to_install(
    file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "runpod_worker.server", None)  # as an import that fails

    status = main(["worker", "--config", file])

    assert status == 1
    assert "Install requirements/base.txt" in capsys.readouterr().err


def test_serve_starts_the_gateway_with_the_command_line_over_the_file(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Entry("penny.gateway.process")
    monkeypatch.setitem(sys.modules, entry.__name__, entry)

    status = main(["serve", "--config", file, "--host", "0.0.0.0", "--port", "0"])

    config = entry.calls[0][0][0]
    assert status == 0
    assert isinstance(config, Config)
    assert (config.gateway.host, config.gateway.port) == ("0.0.0.0", 0)
    assert config.worker.port == 9002


def test_worker_gets_its_settings_address_and_whether_to_announce(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Entry("runpod_worker.server")
    monkeypatch.setitem(sys.modules, entry.__name__, entry)

    status = main(["worker", "--config", file, "--announce"])

    [((settings, host, port), options)] = entry.calls
    assert status == 0
    assert settings.choice.stt == "embedded"
    assert (host, port, options) == ("127.0.0.1", 9002, {"announce": True})


@pytest.mark.parametrize(
    ("command", "module", "place"),
    [
        ("serve", "penny.gateway.process", "penny.yaml:2: gateway.port"),
        ("worker", "runpod_worker.server", "penny.yaml:4: worker.port"),
    ],
)
def test_taken_port_is_told_with_its_key_and_line(
    command: str,
    module: str,
    place: str,
    file: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    failure = OSError(errno.EADDRINUSE, "in use")
    monkeypatch.setitem(sys.modules, module, Entry(module, failure))

    status = main([command, "--config", file])

    assert status == 1
    words = capsys.readouterr().err
    assert words.startswith(f"{place}: cannot listen on 127.0.0.1:")
    assert "Address already in use; choose another with --host or --port" in words


def test_unknown_host_is_told_in_words(
    file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    monkeypatch.setitem(
        sys.modules, "penny.gateway.process", Entry("penny.gateway.process", failure)
    )

    assert main(["serve", "--config", file]) == 1
    assert "Name or service not known" in capsys.readouterr().err


def test_fault_that_is_not_the_address_is_not_hidden(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = OSError(errno.EMFILE, "too many open files")
    monkeypatch.setitem(
        sys.modules, "penny.gateway.process", Entry("penny.gateway.process", failure)
    )

    with pytest.raises(OSError, match="too many open files"):
        main(["serve", "--config", file])


def test_wrong_file_is_told_line_by_line_without_a_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "penny.yaml"
    path.write_text("gateway:\n  port: many\n  hots: x\n")

    status = main(["serve", "--config", str(path)])

    lines = capsys.readouterr().err.splitlines()
    assert status == 1
    assert [line.split(": ")[:2] for line in lines] == [
        [f"{path}:2", "gateway.port"],
        [f"{path}:3", "gateway.hots"],
    ]


def test_command_line_starts_as_a_module() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "penny", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (0, f"penny {__version__}\n")


def test_a_command_imports_neither_the_others_nor_a_vendors_library() -> None:
    code = (
        "import sys; from penny.cli.main import build_parser; build_parser('serve'); "
        "import penny.gateway.process; print(*sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    loaded = set(ended.stdout.split())
    assert {"penny.cli.serve", "modes.external.mode"} <= loaded
    assert not {"penny.cli.check", "penny.cli.talk", "anthropic", "openai"} & loaded


def test_help_tells_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])

    told = capsys.readouterr().out
    for command in (ROOT / "penny" / "cli").glob("*.py"):
        if "def add_command(" in command.read_text():
            assert re.search(rf"^    {command.stem}\s", told, re.MULTILINE)


def test_no_command_is_bad_usage() -> None:
    with pytest.raises(SystemExit) as left:
        main([])

    assert left.value.code == 2
