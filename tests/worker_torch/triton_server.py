"""The real ``tritonserver`` with the project's own model repository, on loopback.

The binary and its python backend come out of the ``nvidia-pytriton`` wheel, which is a test's
means here and nothing Penny runs on.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.worker_torch import libpython


ROOT = Path(__file__).parents[2]
VENV = ROOT / ".venv-triton"
REPOSITORY = ROOT / "runpod_worker" / "triton"
READY_S = 60.0


class TritonServer:
    """A running server. ``url`` is its HTTP address."""

    def __init__(self, url: str, process: asyncio.subprocess.Process) -> None:
        self.url = url
        self._process = process

    def stub_ids(self) -> list[int]:
        """The processes that hold the model's copies."""
        children = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        found = {int(pid) for file in children for pid in file.read_text().split()}
        return sorted(pid for pid in found if b"stub" in Path(f"/proc/{pid}/cmdline").read_bytes())

    def kill_stubs(self) -> None:
        for pid in self.stub_ids():
            os.kill(pid, signal.SIGKILL)

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()


@asynccontextmanager
async def serving(
    model: Path, folder: Path, *, port: int | None = None
) -> AsyncIterator[TritonServer]:
    """Start it with the Whisper in ``model`` and wait until that is loaded."""
    if not libpython.is_here():
        raise RuntimeError(f"{libpython.PACKAGE}.so.1.0 is missing: python -m {libpython.__name__}")
    port = port or _free_port()
    backends = _lay_out_backends(folder / "backends")
    repository = folder / "repository"
    if not repository.exists():
        shutil.copytree(
            REPOSITORY, repository, ignore=shutil.ignore_patterns("*.py", "__pycache__")
        )
        shutil.copytree(
            REPOSITORY / "whisper" / "1", repository / "whisper" / "1", dirs_exist_ok=True
        )
    log = (folder / "triton.log").open("ab")
    process = await asyncio.create_subprocess_exec(
        str(_bundle() / "bin" / "tritonserver"),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        "--http-address=127.0.0.1",
        f"--http-port={port}",
        "--allow-grpc=false",
        "--allow-metrics=false",
        "--disable-auto-complete-config",
        "--exit-timeout-secs=2",
        stdout=log,
        stderr=log,
        env=os.environ
        | {
            "LD_LIBRARY_PATH": sysconfig.get_config_var("LIBDIR") or "",
            "PENNY_WHISPER_MODEL": str(model),
            "PENNY_PYTHON_PATH": str(_site_packages()),
            "OMP_NUM_THREADS": "1",
        },
    )
    server = TritonServer(f"http://127.0.0.1:{port}", process)
    try:
        await _until_ready(server.url, process, folder / "triton.log")
        yield server
    finally:
        await server.stop()
        log.close()


async def _until_ready(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(READY_S), aiohttp.ClientSession() as http:
        while process.returncode is None:
            try:
                async with http.get(f"{url}/v2/models/whisper/ready") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass  # it does not listen yet
            await asyncio.sleep(0.1)
    raise RuntimeError(f"tritonserver ended: {log.read_text(errors='replace')[-2000:]}")


def _lay_out_backends(folder: Path) -> Path:
    """The layout that Triton's own images have: backend, utilities and stub side by side."""
    python = folder / "python"
    if not python.exists():
        python.mkdir(parents=True)
        source = _bundle() / "backends" / "python"
        shutil.copyfile(
            source / "triton_python_backend_utils.py", python / "triton_python_backend_utils.py"
        )
        (python / "libtriton_python.so").symlink_to(source / "libtriton_python.so")
        version = sysconfig.get_python_version()
        stub = _bundle() / "python_backend_stubs" / version / "triton_python_backend_stub"
        (python / "triton_python_backend_stub").symlink_to(stub)
    return folder


def _site_packages() -> Path:
    return next((VENV / "lib").glob("python3.*")) / "site-packages"


def _bundle() -> Path:
    return _site_packages() / "pytriton" / "tritonserver"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
