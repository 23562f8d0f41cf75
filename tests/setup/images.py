"""Builds images by their steps in bare roots and asks them a spoken question: ``make test-images``.

    sudo python -m tests.setup.images [penny-cpu] [penny-worker]    needs root, debootstrap, 4 GB

The Dockerfile is the source: its RUN, COPY, ENV and USER are carried out as they stand, in a root
that debootstrap makes in a folder, so that a system package which the image lacks is lacking here
too. Then their entry points run as their users over read-only roots, in a network of loopback
alone, and a question that is spoken to the gateway is answered. No engine of containers is needed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.doubles.caller import calling
from tests.doubles.speech import silence, speak
from tests.setup.dockerfile import IMAGES, ROOT, Stage, Step, pairs, read_dockerfile, stage_of


SUITES = {"python:3.11-slim-bookworm": "bookworm"}
"""What stands in for a base: a Debian of the same release with the same Python."""
LEFT_OUT = ("doc", "man", "info", "locale")
"""Of /usr/share, as in the `slim` variants of Debian's images."""
PACKAGES = "python3,python3-venv,ca-certificates"
QUESTION = "¿Cuál es el horario de atención?"
START_S = 300.0
ENTER = """
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount --bind /dev dev
mount -t proc proc proc
mount -t tmpfs tmpfs tmp
%s
exec chroot --userspec="$2" . /usr/bin/env -i %s sh -c "cd '$3'; $4"
"""


class Root:
    """A folder that is a root's file system, and what its Dockerfile said of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
        }
        self.workdir = "/"
        self.user = "0:0"

    def command(self, line: str, *, writable: Sequence[str] = ("/",)) -> list[str]:
        """The command that runs ``line`` in it, in its own processes' and mounts' space.

        Args:
            writable: folders that can be written, besides /tmp.
        """
        mounts = ""
        if "/" not in writable:
            mounts = "".join(f'mount --bind ".{each}" ".{each}"\n' for each in writable)
            mounts += "mount -o remount,bind,ro .\n"
        told = {**self.environment, **_way_to_packages()}
        given = " ".join(f"{name}={_quoted(value)}" for name, value in told.items())
        script = ENTER % (mounts, given)
        user = self.user if ":" in self.user else f"{self.user}:{self.user}"
        own = [str(self.folder), user, self.workdir, line]
        return [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "bash",
            "-euc",
            script,
            "-",
            *own,
        ]

    def run(self, line: str) -> None:
        """Raises CalledProcessError."""
        subprocess.run(self.command(line), check=True)

    def inner(self, path: str) -> Path:
        """A path of it, seen from here."""
        return self.folder / os.path.join(self.workdir, path).lstrip("/")


def _way_to_packages() -> dict[str, str]:
    """This machine's own way to the index, if it has one."""
    return {name: os.environ[name] for name in ("PIP_CERT", "PIP_INDEX_URL") if name in os.environ}


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def make_base(work: Path, base: str) -> Path:
    """The root that stands in for a base image, made once."""
    folder = work / SUITES[base]
    if not (folder / "usr/bin/python3").exists():
        make = [
            "debootstrap",
            "--variant=minbase",
            f"--include={PACKAGES}",
            SUITES[base],
            str(folder),
        ]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", folder / "etc/ssl/certs/")
        for name in ("/etc/resolv.conf", "/etc/pip.conf"):
            with suppress(OSError):
                shutil.copy(name, folder / name.lstrip("/"))
        (folder / "etc/hosts").write_text("127.0.0.1 localhost\n")
        for name in LEFT_OUT:
            shutil.rmtree(folder / "usr/share" / name, ignore_errors=True)
        shutil.rmtree(folder / "var/cache/apt", ignore_errors=True)
        shutil.rmtree(folder / "var/lib/apt/lists", ignore_errors=True)
    return folder


def build(path: Path, target: str, work: Path, arguments: Mapping[str, str]) -> Root:
    """Carry out a Dockerfile as far as ``target`` needs it; the root of that stage."""
    stages = {stage.name: stage for stage in read_dockerfile(path)}
    roots: dict[str, Root] = {}

    def need(name: str) -> None:
        stage = stages[name]
        origins = [step.flags["from"] for step in stage.steps if "from" in step.flags]
        for below in (stage.base, *origins):
            if below in stages and below not in roots:
                need(below)
        roots[name] = _build_stage(stage, work, roots, arguments)

    need(target)
    return roots[target]


def _build_stage(
    stage: Stage, work: Path, roots: Mapping[str, Root], arguments: Mapping[str, str]
) -> Root:
    below = roots.get(stage.base)
    root = Root(work / f"stage-{stage.name}")
    shutil.rmtree(root.folder, ignore_errors=True)
    source = below.folder if below is not None else make_base(work, stage.base)
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(root.folder)], check=True)
    if below is not None:
        root.environment, root.workdir = dict(below.environment), below.workdir
        root.user = below.user
    for step in stage.steps:
        _carry_out(step, root, roots, arguments)
    return root


def _carry_out(step: Step, root: Root, roots: Mapping[str, Root], given: Mapping[str, str]) -> None:
    match step.name:
        case "ARG":
            known = pairs(step)
            root.environment |= {name: given.get(name, value) for name, value in known.items()}
        case "ENV":
            root.environment |= pairs(step)
        case "WORKDIR":
            root.workdir = step.text
            root.inner("").mkdir(parents=True, exist_ok=True)
        case "USER":
            root.user = step.text
        case "RUN":
            print(f"   RUN {step.text[:90]}", flush=True)
            root.run(step.text)
        case "COPY":
            _copy(step, root, roots)


def _copy(step: Step, root: Root, roots: Mapping[str, Root]) -> None:
    *names, target = step.words
    origin = roots[step.flags["from"]].folder if "from" in step.flags else ROOT
    for name in names:
        source, to = origin / name.lstrip("/"), root.inner(target)
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, to, dirs_exist_ok=True, symlinks=True, ignore=ignored)
        else:
            to = to / source.name if len(names) > 1 or target.endswith("/") else to
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, to)


def count_bytes(folder: Path) -> int:
    """What its files take, each once."""
    told = subprocess.run(["du", "-sxb", str(folder)], check=True, capture_output=True, text=True)
    return int(told.stdout.split()[0])


@contextmanager
def started(image: Image, work: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """The entry point as its user over a read-only root; the port it listens on."""
    folder, known, workdir, user = json.loads((work / f"{image.name}.json").read_text())
    root = Root(Path(folder))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    root.environment = known | {"PENNY_PORT": str(port), "PENNY_WORKER_PORT": str(port)}
    root.environment |= environment
    root.workdir, root.user = workdir, user
    stage = stage_of(IMAGES / image.file, image.target)
    volume, entry, command = (stage.last(name) for name in ("VOLUME", "ENTRYPOINT", "CMD"))
    assert volume is not None
    assert entry is not None
    assert command is not None
    line = " ".join(_quoted(word) for word in (*entry.words, *command.words))
    log = work / f"{image.name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            root.command(f"exec {line}", writable=[volume.text]),
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield port
    except BaseException:
        print(log.read_text("utf-8", "replace"), file=sys.stderr)
        raise
    finally:
        # The whole group: what unshare would kill with itself forgets that as it changes its user.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def ask(worker: int, gateway: int) -> str:
    """Speak the question to the gateway at its port; the words heard and said."""
    url = f"http://127.0.0.1:{gateway}"
    async with asyncio.timeout(START_S), aiohttp.ClientSession() as http:
        for ready in (f"http://127.0.0.1:{worker}/health", f"{url}/readyz"):
            while True:
                with suppress(aiohttp.ClientError):
                    async with http.get(ready) as answer:
                        if answer.status == 200:
                            break
                await asyncio.sleep(0.5)
        async with http.get(f"{url}/health") as answer:
            assert (await answer.json())["status"] == "healthy"
    async with calling(url) as caller:
        await caller.send("session_start")
        await caller.until("session_started")
        await caller.speak(speak(QUESTION) + silence(1500))
        heard = await caller.until("transcript_final", role="user")
        said = await caller.until("transcript_final", role="penny")
        await caller.until("response_done")
        assert len(caller.audio) > 0
        return f"heard '{heard['text']}', said '{said['text']}' ({len(caller.audio)} bytes)"


@dataclass(frozen=True, slots=True)
class Image:
    """One to build: its Dockerfile's target, arguments, and the bytes it may take."""

    name: str
    file: str
    target: str
    most_bytes: int | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)


IMAGES_TRIED = {
    image.name: image
    for image in (
        Image("penny-gateway", "gateway.Dockerfile", "gateway", most_bytes=600_000_000),
        Image("penny-cpu", "gateway.Dockerfile", "cpu"),
        # Its CUDA libraries are 1.4 GB; here it runs without a GPU, on the embedded engines.
        Image("penny-worker", "worker.Dockerfile", "worker", arguments={"VLLM": "0", "XTTS": "0"}),
    )
}


def build_all(work: Path, images: Sequence[Image]) -> None:
    """Raises CalledProcessError for a step that fails, AssertionError for an image too large."""
    for image in images:
        root = build(IMAGES / image.file, image.target, work, image.arguments)
        size = count_bytes(root.folder)
        print(f"== {image.name}: {size / 1e6:.0f} MB", flush=True)
        assert image.most_bytes is None or size < image.most_bytes, f"{image.name} is too large"
        assert not list(root.folder.rglob("torch/__init__.py"))
        (work / f"{image.name}.json").write_text(
            json.dumps([str(root.folder), root.environment, root.workdir, root.user])
        )


def try_all(work: Path, images: Sequence[Image]) -> None:
    """Each worker's image behind the gateway's, asked a question."""
    for image in images:
        if image.target == "gateway":
            continue
        # On loopback alone it asks for no key; in a container the compose file makes one.
        given = {"PENNY_HOST": "127.0.0.1", "PENNY_PROFILE": "embedded"}
        with started(IMAGES_TRIED[image.name], work, given) as worker:
            given |= {"PENNY_WORKER_URL": f"ws://127.0.0.1:{worker}/v1/realtime"}
            with started(IMAGES_TRIED["penny-gateway"], work, given) as gateway:
                print(f"== {image.name}: {asyncio.run(ask(worker, gateway))}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", nargs="*", help=", ".join(IMAGES_TRIED))
    parser.add_argument("--ask-in", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = given.image or ["penny-gateway", "penny-cpu"]
    images = [IMAGES_TRIED[name] for name in dict.fromkeys(["penny-gateway", *names])]
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        print("debootstrap and chroot need root: sudo make test-images", file=sys.stderr)
        return 1
    if given.ask_in is not None:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        try_all(given.ask_in, images)
        return 0
    with tempfile.TemporaryDirectory(prefix="penny-images-") as made:
        work = Path(os.environ.get("ROOTS") or made)
        build_all(work, images)
        again = [sys.executable, "-m", "tests.setup.images", *names, "--ask-in", str(work)]
        return subprocess.run(["unshare", "--net", *again], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
