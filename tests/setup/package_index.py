"""A package index in a folder that offers every locked package, and a newer release of each.

Its wheels are empty and each asks for an extra of itself without an upper bound: whoever resolves
anything finds the newer release, as a month after the lock was written. silero-vad asks for torch,
as the real one does.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from pathlib import Path


NEWER = "9999.0"
HASH = re.compile(r" +--hash=sha256:[0-9a-f]{64}( \\)?\n")
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)", re.MULTILINE)


def pins(lock: str) -> list[tuple[str, str]]:
    """Name and version of every package in a lock, whatever its markers say."""
    return [(match["name"], match["version"]) for match in PIN.finditer(lock)]


def lay_out(locks: Path, index: Path) -> None:
    """Fill ``index``, and write its wheels' hashes into the ``*.txt`` of ``locks``."""
    for lock in locks.glob("*.txt"):
        text = HASH.sub("", lock.read_text())
        for name, version in pins(text):
            digest = _build(index, name, version)
            _build(index, name, NEWER)
            pinned = rf"^({re.escape(name)}=={re.escape(version)}(?: ;[^\\\n]*)?) ?\\\n"
            text = re.sub(pinned, rf"\1 --hash=sha256:{digest}\n", text, flags=re.MULTILINE)
        lock.write_text(text)
    for folder in index.iterdir():
        links = "".join(
            f'<a href="{wheel.name}">{wheel.name}</a>' for wheel in folder.glob("*.whl")
        )
        (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")


def _build(index: Path, name: str, version: str) -> str:
    """Write a wheel once; its SHA-256 as hexadecimal digits."""
    folder = index / name
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_').replace('.', '_')}-{version}"
    wheel = folder / f"{stem}-py3-none-any.whl"
    if not wheel.exists():
        files = {
            f"{stem}.dist-info/METADATA": (
                f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
                f"Provides-Extra: every\nRequires-Dist: {name}[every]\n"
                + ("Requires-Dist: torch\n" if name == "silero-vad" else "")
            ),
            f"{stem}.dist-info/WHEEL": (
                "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            ),
            f"{stem}.dist-info/entry_points.txt": (
                f"[console_scripts]\nrun-{name} = platform:python_version\n"
            ),
        }
        record = "".join(f"{path},{_hash(text)},{len(text)}\n" for path, text in files.items())
        files[f"{stem}.dist-info/RECORD"] = f"{record}{stem}.dist-info/RECORD,,\n"
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, text in files.items():
                archive.writestr(zipfile.ZipInfo(path), text)
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
