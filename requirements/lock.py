"""Compiles every requirements/NAME.in to a lock and reports what that changed: `make lock`.

    python requirements/lock.py [--upgrade]

Runs in the environment of lock.txt. Without ``--upgrade`` what is locked stays; with it everything
moves to its newest release. The report goes to the terminal: what changed, the licences of the
packages for this machine, known advisories, and what could not be asked.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

from packaging.markers import Marker, default_environment
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename


FOLDER = Path(__file__).resolve().parent
UV = Path(sys.executable).with_name("uv")
ORDER = (
    *("gateway", "base", "dev", "runpod", "worker", "torch", "triton", "peers", "lock", "image"),
    "vllm",
)
"""As compiled: one that is constrained by another's lock (`-c`) stands after it."""
KEEPS_TORCH = {"torch", "vllm"}
LINUX_ONLY = ("--no-universal", "--python-platform", "x86_64-manylinux_2_35")
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)(?: ; ([^\\\n]+))?", re.MULTILINE)
REPORTED_PLATFORM = {
    "sys_platform": "linux",
    "platform_machine": "x86_64",
    "python_version": "3.11",
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--upgrade", action="store_true", help="every package to its newest release"
    )
    upgrade = parser.parse_args().upgrade
    before = {name: _pins(name) for name in ORDER}
    for name in ORDER:
        print(f"Compiling {name}.in ...", flush=True)
        _compile(name, upgrade=upgrade)
    changed = _changes(before, {name: _pins(name) for name in ORDER})
    print("\n# What changed\n" + ("\n".join(changed) or "nothing"))
    print("\n# Licences of the packages for this machine\n" + "\n".join(_licences()))
    print("\n# Known advisories\n" + "\n".join(_advisories()))
    return 0


def _compile(name: str, *, upgrade: bool) -> None:
    lock = FOLDER / f"{name}.txt"
    command = [str(UV), "pip", "compile", "--quiet", f"{name}.in", "--output-file", lock.name]
    command += [] if name in KEEPS_TORCH else ["--override", "overrides.in"]
    command += LINUX_ONLY if name in ("image", "vllm") else ()
    subprocess.run([*command, *(["--upgrade"] if upgrade else [])], cwd=FOLDER, check=True)
    with tempfile.TemporaryDirectory() as folder:
        sized = Path(folder, "pylock.toml")
        command[command.index(lock.name)] = str(sized)
        plain = [*command, "--format", "pylock.toml", "--constraint", lock.name]
        subprocess.run(plain, cwd=FOLDER, check=True)
        packages = tomllib.loads(sized.read_text())["packages"]
    lock.write_text(f"# {_measure(packages)}\n{lock.read_text()}")


def _measure(packages: list[dict[str, Any]]) -> str:
    """How many packages Linux on x86-64 with Python 3.11 gets, and the size of their wheels."""
    tags = _tags()
    environment = {**default_environment(), **REPORTED_PLATFORM, "python_full_version": "3.11.9"}
    sizes = []
    for package in packages:
        if "marker" in package and not Marker(package["marker"]).evaluate(environment):
            continue
        fitting = [
            wheel["size"]
            for wheel in package.get("wheels", [])
            if tags & parse_wheel_filename(wheel["url"].rpartition("/")[2].replace("%2B", "+"))[3]
        ]
        sizes.append(max(fitting, default=0))
    total_mb = max(1, round(sum(sizes) / 1e6))
    return (
        f"{len(sizes)} packages, about {total_mb:,} MB to download (Linux on x86-64, Python 3.11)"
    )


def _tags() -> set[Tag]:
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(35, 4, -1)]
    platforms += [
        "manylinux2014_x86_64",
        "manylinux2010_x86_64",
        "manylinux1_x86_64",
        "linux_x86_64",
    ]
    return {
        *cpython_tags((3, 11), platforms=platforms),
        *compatible_tags((3, 11), interpreter="cp311", platforms=platforms),
    }


def _pins(name: str) -> set[tuple[str, str]]:
    lock = FOLDER / f"{name}.txt"
    return (
        {(match[1], match[2]) for match in PIN.finditer(lock.read_text())}
        if lock.exists()
        else set()
    )


def _changes(
    before: dict[str, set[tuple[str, str]]], after: dict[str, set[tuple[str, str]]]
) -> list[str]:
    """One line a package: what it was, what it is, and in which locks."""
    locks: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for lock in ORDER:
        for package in sorted({name for name, _ in before[lock] ^ after[lock]}):
            was, now = (
                ", ".join(sorted(version for name, version in pins if name == package)) or "-"
                for pins in (before[lock], after[lock])
            )
            locks[package, was, now].append(lock)
    return [
        f"{name}: {was} -> {now} ({', '.join(where)})" for (name, was, now), where in locks.items()
    ]


def _licences() -> list[str]:
    """Packages by licence, from the metadata that the index has of each."""
    found: dict[str, set[str]] = defaultdict(set)
    asked: set[str] = set()
    for name in ORDER:
        with tempfile.TemporaryDirectory() as folder:
            plain, report = Path(folder, "plain.txt"), Path(folder, "report.json")
            pins = PIN.finditer((FOLDER / f"{name}.txt").read_text())
            lines = {f"{pin[1]}=={pin[2]}" + (f" ; {pin[3]}" if pin[3] else "") for pin in pins}
            plain.write_text("\n".join(sorted(lines - asked)))
            asked |= lines
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps"]
            command += ["--ignore-installed", "--only-binary", ":all:", "--report", str(report)]
            done = subprocess.run(
                [*command, "-r", str(plain)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                found[f"could not be asked ({done.stderr.strip().splitlines()[-1]})"].add(name)
                continue
            for package in json.loads(report.read_text())["install"]:
                found[_licence(package["metadata"])].add(package["metadata"]["name"])
    lines = [f"{licence}: {', '.join(sorted(names))}" for licence, names in sorted(found.items())]
    return [*lines, "Packages that only other platforms or Pythons install were not asked for."]


def _licence(metadata: dict[str, Any]) -> str:
    classified = [
        line.rpartition(" :: ")[2]
        for line in metadata.get("classifier", [])
        if "License ::" in line
    ]
    named = (
        metadata.get("license_expression")
        or " / ".join(classified)
        or metadata.get("license")
        or ""
    )
    return str(named).strip().splitlines()[0][:80] if named.strip() else "not told in its metadata"


def _advisories() -> list[str]:
    """What pip-audit knows; a package that it could not ask about is counted, never passed over."""
    lines, unasked, asked = set(), set(), set()
    for name in ORDER:
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(FOLDER / f"{name}.txt")]
        command += ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            packages = json.loads(done.stdout)["dependencies"]
        except ValueError:
            said = done.stderr.strip().splitlines() or ["no answer"]
            lines.add(f"{name}.txt could not be asked: {said[-1]}")
            continue
        for package in packages:
            (unasked if "skip_reason" in package else asked).add(package["name"])
            for one in package.get("vulns", []):
                fixed = ", ".join(one["fix_versions"]) or "not fixed"
                lines.add(f"{package['name']} {package['version']}: {one['id']} (fixed in {fixed})")
    told = f"asked about {len(asked)} packages; {len(unasked)} could not be asked"
    return [*sorted(lines), told + (": the index has no list of advisories" if unasked else "")]


if __name__ == "__main__":
    raise SystemExit(main())
