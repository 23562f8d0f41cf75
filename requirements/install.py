"""Builds an environment from complete locks, aside, and moves it into place when it is whole.

    python3 requirements/install.py .venv dev
    python3 requirements/install.py .venv-worker worker --torch "torch==2.13.0 --index-url …"

Standard library alone, as it runs before anything is installed. Nothing is resolved: every wheel
and its hash is in the lock, and ``pip check`` may only name what ``overrides.in`` leaves out. An
interrupted run leaves the environment that was there as it was; the next run starts from nothing.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


FOLDER = Path(__file__).resolve().parent
LOCKED = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile")
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
RECORD = ".installed"
"""In an environment: the digest of what it was built from; written last."""


class Failed(Exception):
    """The environment cannot be built; the text is for the person at the terminal."""


def main() -> int:
    options = _parse()
    target = Path(options.target).absolute()
    try:
        with _alone(target):
            install(target, options.locks, options.torch)
    except Failed as error:
        print(f"\n{error}\n{target.name} is as it was before.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nInterrupted; {target.name} is as it was before.", file=sys.stderr)
        return 130
    return 0


def install(target: Path, locks: list[str], torch: str) -> None:
    """Make ``target`` an environment with the packages of ``locks``. Raises Failed."""
    _check_python()
    files = [FOLDER / f"{name}.txt" for name in locks]
    digest = _digest(files, torch)
    record = target / RECORD
    if record.is_file() and record.read_text() == digest:
        return
    _tell(target, files, torch)
    for left in target.parent.glob(f"{target.name}.new-*"):
        shutil.rmtree(left, ignore_errors=True)
    aside = target.with_name(f"{target.name}.new-{os.getpid()}")
    try:
        _run([sys.executable, "-m", "venv", str(aside)])
        python = str(aside / "bin" / "python")
        if torch:
            _pip_install(python, shlex.split(torch), 0)
        for file in files:
            _pip_install(python, [*LOCKED, "-r", str(file)], _count(file))
        check(python)
        _move_paths(aside, target)
        (aside / RECORD).write_text(digest)
        _swap(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def check(python: str) -> None:
    """``pip check``, less what ``overrides.in`` leaves out. Raises Failed."""
    left_out = {_name(line) for line in _lines(FOLDER / "overrides.in")}
    done = subprocess.run([python, *PIP, "check"], stdout=subprocess.PIPE, text=True, check=False)
    missing = re.compile(r"\S+ \S+ requires (\S+), which is not installed\.")
    wrong = [
        line
        for line in done.stdout.splitlines()
        if line and line != "No broken requirements found."
        if not ((found := missing.fullmatch(line)) and _name(found[1]) in left_out)
    ]
    if wrong:
        raise Failed("The packages do not fit together:\n" + "\n".join(wrong))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Build an environment from locks.")
    parser.add_argument("target", help="the environment's folder")
    parser.add_argument("locks", nargs="+", help="names of requirements/NAME.txt")
    parser.add_argument("--torch", default="", help="pip's arguments for another torch, put first")
    return parser.parse_args()


def _check_python() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  # this file runs before anything was checked
        raise Failed(
            f"Penny needs Python 3.11 or newer; this is {sys.version.split()[0]}. "
            "Try: make PYTHON=python3.11 …"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise Failed(
            "Python's venv module is missing. On Debian, Ubuntu: sudo apt-get install python3-venv"
        ) from None


def _digest(files: list[Path], torch: str) -> str:
    parts = [sys.version.encode(), torch.encode(), *(file.read_bytes() for file in files)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _tell(target: Path, files: list[Path], torch: str) -> None:
    print(f"Setting up {target.name} (once, and again when a lock changes):")
    for file in files:
        first = file.read_text().splitlines()[0]
        print(f"  {file.name}: {first.removeprefix('# ') if first[0] == '#' else ''}")
    if torch:
        print(f"  first, as you say: {torch}")


def _pip_install(python: str, arguments: list[str], count: int) -> None:
    """One ``pip install``; a package's name is shown as it comes."""
    command = [python, *PIP, "install", "--progress-bar", "off", *arguments]
    said: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if line.startswith("Collecting "):
                number = sum(each.startswith("Collecting ") for each in said)
                _show(f"{number} of {count or '?'}: {line.split()[1]}", often=number % 20 == 0)
            elif line.startswith("Installing collected"):
                _show("unpacking …", often=True)
    if process.returncode:
        raise Failed(f"{' '.join(command[1:])}\n{''.join(said[-15:])}")
    if sys.stdout.isatty():
        print()


def _show(text: str, *, often: bool) -> None:
    """Over the same line at a terminal; in a log, ``often`` says which are worth a line."""
    if sys.stdout.isatty():
        print(f"\r\033[K  {text}", end="", flush=True)
    elif often:
        print(f"  {text}", flush=True)


def _move_paths(aside: Path, target: Path) -> None:
    """What an environment has written down of its own place is only in its scripts."""
    for file in (*(aside / "bin").iterdir(), aside / "pyvenv.cfg"):
        if file.is_file() and not file.is_symlink():
            text = file.read_bytes()
            moved = text.replace(os.fsencode(aside), os.fsencode(target))
            moved = moved.replace(os.fsencode(f"({aside.name})"), os.fsencode(f"({target.name})"))
            if moved != text:
                file.write_bytes(moved)


def _swap(aside: Path, target: Path) -> None:
    old = aside.with_name(f"{aside.name}-old")
    if target.exists():
        target.rename(old)
    aside.rename(target)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Two runs for one environment wait for each other."""
    with target.with_name(f"{target.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def _count(lock: Path) -> int:
    """Packages, as the lock's first line tells; 0 when it does not."""
    found = re.match(r"# (\d+) packages", lock.read_text())
    return int(found[1]) if found else 0


def _lines(file: Path) -> list[str]:
    """The requirements of a file, without comments, options and hashes."""
    lines = (line.strip() for line in file.read_text().splitlines())
    return [line for line in lines if line and line[0] not in "#-"]


def _name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement)[0]).lower()


if __name__ == "__main__":
    raise SystemExit(main())
