"""onnxruntime tells its vendor of each start unless a variable is set before its import.

Python runs a package's ``__init__`` before any of its modules, so ORT_DISABLE_TELEMETRY is set
there, and no entry point can be forgotten.
"""

from __future__ import annotations

import dis
import json
import os
import subprocess
import sys
from pathlib import Path
from types import CodeType

import pytest

from tests.doubles.process import write_config


pytestmark = pytest.mark.process


ROOT = Path(__file__).parents[2]
CODE = ("penny", "modes", "brain", "kb", "config", "runpod_worker", "tests")
SET = 'os.environ["ORT_DISABLE_TELEMETRY"] = "1"'
STANDS_ALONE = ROOT / "runpod_worker/triton/whisper/1/model.py"
WATCHED = """
import os, sys
if os.environ.get("ORT_DISABLE_TELEMETRY") != "1":
    os.write(2, b"onnxruntime was imported without ORT_DISABLE_TELEMETRY")
    os._exit(66)
open(os.path.join(os.path.dirname(__file__), "seen"), "w").close()
sys.path.remove(os.path.dirname(__file__))
del sys.modules["onnxruntime"]
import onnxruntime
"""


def modules() -> list[Path]:
    return [path for folder in CODE for path in sorted((ROOT / folder).rglob("*.py"))]


def code_of(path: Path) -> list[CodeType]:
    """The module's code and that of all within it. Not by ``ast``: Python 3.11.2 loses count of
    its depth now and then (fixed in 3.11.5)."""
    found = [compile(path.read_text(), str(path), "exec")]
    for code in found:
        found += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    return found


def is_entry_point(path: Path) -> bool:
    """A module that is run by ``python -m``: it asks for its name, or is a ``__main__``."""
    module = code_of(path)[0]
    asks = "__name__" in module.co_names and "__main__" in module.co_consts
    return path.name == "__main__.py" or asks


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports, at its top or inside."""
    steps = (step for code in code_of(path) for step in dis.get_instructions(code))
    names = [str(step.argval) for step in steps if step.opname == "IMPORT_NAME"]
    return {name.split(".")[0] for name in names}


def bare_environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    return {**kept, **more}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=bare_environment(**environment),
        capture_output=True,
        text=True,
        timeout=250,
    )


@pytest.fixture
def watched(tmp_path: Path) -> str:
    """A folder for PYTHONPATH whose onnxruntime ends a process that has not set the variable."""
    folder = tmp_path / "watched"
    folder.mkdir()
    (folder / "onnxruntime.py").write_text(WATCHED)
    return str(folder)


def test_every_entry_point_lies_in_a_package_that_sets_it_first() -> None:
    entries = {path.relative_to(ROOT).parts[0] for path in modules() if is_entry_point(path)}

    assert {"penny", "runpod_worker", "tests"} <= entries
    for package in entries:
        said = "print(json.dumps([os.environ.get('ORT_DISABLE_TELEMETRY'), sorted(sys.modules)]))"
        value, loaded = json.loads(run("-c", f"import json, os, sys, {package}; {said}").stdout)
        assert value == "1", package
        assert not {"onnxruntime", "faster_whisper"} & set(loaded), package


def test_what_imports_onnxruntime_lies_in_a_package_that_sets_it_first() -> None:
    importing = [path for path in modules() if imported(path) & {"onnxruntime", "faster_whisper"}]

    assert importing
    for path in importing:
        if path == STANDS_ALONE:
            text = path.read_text()
            assert text.index(SET) < text.index("import WhisperModel")
        else:
            package = ROOT / path.relative_to(ROOT).parts[0] / "__init__.py"
            assert SET in package.read_text(), path


def test_a_watched_import_is_noticed(watched: str) -> None:
    assert run("-c", "import onnxruntime", PYTHONPATH=watched).returncode == 66


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c", "import runpod_worker.server, runpod_worker.engines.silero"),
        ("-c", "import runpod_worker, faster_whisper.vad as vad; vad.get_vad_model()"),
        ("-c", "import tests.doubles.worker_process, runpod_worker.engines.silero"),
        ("-m", "pytest", "--collect-only", "-q", "tests/runpod_worker/engines/test_silero.py"),
    ],
)
def test_onnxruntime_is_imported_after_it_was_set(watched: str, arguments: tuple[str, ...]) -> None:
    done = run(*arguments, PYTHONPATH=watched)

    assert done.returncode == 0, done.stderr
    assert Path(watched, "seen").exists()


def test_a_worker_leaves_no_device_id(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    config = write_config(tmp_path)
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "penny",
            "worker",
            "--announce",
            "--port",
            "0",
            "--config",
            str(config),
        ],
        cwd=ROOT,
        env=bare_environment(HOME=str(home), XDG_CACHE_HOME=str(home / ".cache")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdin is not None
        assert json.loads(worker.stdout.readline())["port"], "it has loaded its engines"
        worker.stdin.close()
        assert worker.wait() == 0

    assert not [path for path in home.rglob("*") if path.is_file()]
