"""``python -m penny backup FILE``: all that is kept, in one file, beside a running gateway."""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from config.schema import Config
from penny import __version__
from penny.calls.keeper import CallKeeper
from penny.calls.shelf import Shelf
from penny.calls.spool import is_whole
from penny.calls.store_copy import copy_store
from penny.cli.archive import ArchiveWriter, writing
from penny.cli.configured import add_config_option, load_config
from penny.errors import PennyError
from penny.gateway.kept_calls import open_keeper
from penny.trust.house_key import house_key_path


Json = dict[str, Any]

STORE, KEYS, SOUND, SPOOL, TELEPHONY = "store", "keys", "sound", "spool", "telephony"
"""Folders of an archive."""
HOUSE_KEY = "house.key"
KEYS_FILE = "keys.sqlite"


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "backup", help="calls, their sound, keys and telephone lines in one file"
    )
    parser.add_argument("file", type=Path, help="the archive to write; it holds secrets")
    add_config_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises ConfigErrors, PennyError."""
    config = load_config(arguments)
    try:
        facts = asyncio.run(back_up(config, arguments.file))
    except OSError as error:
        raise PennyError(f"{error.filename or arguments.file}: {error.strerror}") from error
    print(f"{arguments.file}: {describe(facts)}")
    for call_id in facts["without_sound"]:
        print(f"the sound of {call_id} is not where it was put")
    return 1 if facts["without_sound"] else 0


def describe(facts: Json) -> str:
    """What an archive holds, in a line."""
    counts = (f"{facts[name]} {name}" for name in ("calls", "sounds", "waiting", "lines"))
    return f"{', '.join(counts)}, keys: {'yes' if facts['keys'] else 'none'}"


async def back_up(config: Config, path: Path) -> Json:
    """Write the archive; what it holds. Raises OSError, PennyError."""
    keeper = open_keeper(config, time.time)
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as archive, TemporaryDirectory(dir=path.parent, prefix=".penny-") as made:
        folder = Path(made)
        # In this order nothing falls between: a call leaves the spool after it is in the store.
        waiting = await asyncio.to_thread(_add_waiting, archive, keeper)
        (folder / STORE).mkdir()
        copy, sounds = await copy_store(config.resolve_url(config.calls.url), folder / STORE)
        for each in sorted((folder / STORE).iterdir()):
            archive.add(f"{STORE}/{each.name}", each)
        keys = await asyncio.to_thread(_add_keys, archive, config, folder)
        lines = await asyncio.to_thread(_add_telephony, archive, config)
        lost = [
            call_id
            for call_id, name in sounds.items()
            if not await _add_sound(archive, keeper.shelf, name, folder)
        ]
        facts: Json = {
            "penny": __version__,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "store": copy.model_dump(),
            "calls": copy.calls,
            "sounds": len(sounds) - len(lost),
            "waiting": waiting,
            "lines": lines,
            "keys": keys,
            "without_sound": lost,
        }
        archive.finish(facts)
    await keeper.store.aclose()
    return facts


def _add_waiting(archive: ArchiveWriter, keeper: CallKeeper) -> int:
    """Ended calls that are not in the store yet. Live ones are of the gateway that has them."""
    count = 0
    for folder, _ in keeper.spool.folders():
        try:
            if is_whole(folder):
                files = sorted(each for each in folder.iterdir() if each.is_file())
                for each in files:
                    archive.add(f"{SPOOL}/{folder.name}/{each.name}", each)
                count += 1
        except FileNotFoundError:
            continue  # it went into the store meanwhile
    return count


def _add_keys(archive: ArchiveWriter, config: Config, folder: Path) -> bool:
    path = config.resolve(config.keys.file)
    house = house_key_path(path)
    if house.is_file():
        archive.add(f"{KEYS}/{HOUSE_KEY}", house)
    if not path.is_file():
        return False
    copy = folder / KEYS_FILE
    address = f"{path.as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as source, closing(
            sqlite3.connect(copy)
        ) as target:  # fmt: skip
            source.backup(target)
    except sqlite3.Error as error:
        raise PennyError(f"{path} cannot be copied: {error}") from error
    copy.chmod(0o600)
    archive.add(f"{KEYS}/{KEYS_FILE}", copy)
    return True


def _add_telephony(archive: ArchiveWriter, config: Config) -> int:
    root = config.resolve(config.telephony.folder)
    files = [each for each in sorted(root.rglob("*")) if each.is_file() and each.name[0] != "."]
    for each in files:
        archive.add(f"{TELEPHONY}/{each.relative_to(root).as_posix()}", each)
    return len(files)


async def _add_sound(archive: ArchiveWriter, shelf: Shelf, name: str, folder: Path) -> bool:
    """Whether it was where it should be: retention may have taken it meanwhile."""
    path = await asyncio.to_thread(shelf.local, name)
    if path is not None:
        await asyncio.to_thread(archive.add, f"{SOUND}/{name}", path)
        return True
    size = await shelf.size(name)
    if size is None:
        return False
    fetched = folder / "fetched"
    with fetched.open("wb") as file:
        async for piece in shelf.read(name, 0, size):
            file.write(piece)
    await asyncio.to_thread(archive.add, f"{SOUND}/{name}", fetched)
    return True
