"""The operator's key of a Penny that asks callers for none: made at its first start.

Being on this machine proves nothing: a proxy here speaks for callers from anywhere, and looks like
one who sits here. To read the file is to operate the house.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import structlog

from penny.ids import new_id


log = structlog.get_logger()

VARIABLE = "PENNY_ADMIN_API_KEY"
"""Stands in place of the file, for the gateway as for ``python -m penny sessions``."""
MIN_CHARS = 20


def house_key_path(keys_file: Path) -> Path:
    """Beside the file of keys."""
    return keys_file.with_name("house.key")


def read_house_key(path: Path, environ: Mapping[str, str]) -> str:
    """The key, '' when there is none (who asks for it is no gateway)."""
    given = environ.get(VARIABLE, "").strip()
    if given:
        return given
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def make_house_key(path: Path, environ: Mapping[str, str]) -> str:
    """As ``read_house_key``; one that is not there or too short to keep anybody out is made.

    Where no file can be written the pages that need it stay closed.
    """
    known = read_house_key(path, environ)
    if len(known) >= MIN_CHARS:
        return known
    value = new_id("penny_house")
    written = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if known:
            path.unlink()
        with os.fdopen(os.open(written, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write(f"{value}\n")
        os.link(written, path)  # whole or not at all, and never over another's
        written.unlink()
    except FileExistsError:  # another process of this gateway was first
        written.unlink()
        return read_house_key(path, environ)
    except OSError as error:
        log.warning("no_house_key", reason=str(error), remedy=f"set {VARIABLE}")
        return ""
    return value
