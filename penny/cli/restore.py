"""``python -m penny restore FILE``: what ``backup`` wrote, put where this configuration says."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

from config.schema import Config
from penny.calls.keeper import CallKeeper
from penny.calls.store_copy import StoreCopy, put_back
from penny.cli.archive import ArchiveReader, reading
from penny.cli.backup import HOUSE_KEY, KEYS, KEYS_FILE, SOUND, SPOOL, STORE, TELEPHONY, describe
from penny.cli.configured import add_config_option, load_config
from penny.errors import PennyError
from penny.gateway.kept_calls import open_keeper
from penny.ids import new_id
from penny.trust.house_key import house_key_path


Json = dict[str, Any]


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("restore", help="put back what `backup` wrote, on an empty Penny")
    parser.add_argument("file", type=Path, help="the archive")
    add_config_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises ConfigErrors, PennyError."""
    config = load_config(arguments)
    try:
        with reading(arguments.file) as archive:
            asyncio.run(restore(config, archive))
            print(f"restored {describe(archive.facts)}")
    except OSError as error:
        raise PennyError(f"{error.filename or arguments.file}: {error.strerror}") from error
    print("`python -m penny serve` brings the store to this version's tables by itself")
    return 0


async def restore(config: Config, archive: ArchiveReader) -> None:
    """Put everything where ``config`` keeps it; where it fails, what was written goes again.

    Raises:
        PennyError: something is there already, a gateway runs, the archive is of a newer Penny, or
            a disk, bucket or database refuses.
    """
    keys = config.resolve(config.keys.file)
    telephony = config.resolve(config.telephony.folder)
    calls = config.resolve(config.calls.folder)
    keeper = open_keeper(config, time.time)
    _refuse_used(keys, telephony, keeper)
    targets = {KEYS_FILE: keys, HOUSE_KEY: house_key_path(keys)}
    if targets[HOUSE_KEY].exists():  # a gateway was started here once: this machine's own stays
        del targets[HOUSE_KEY]
    with _undone_on_failure(*targets.values(), telephony, calls / SOUND, calls / SPOOL):
        for name in archive.under(KEYS):
            if name in targets:
                await asyncio.to_thread(archive.extract, f"{KEYS}/{name}", targets[name])
        for name in archive.under(TELEPHONY):
            await asyncio.to_thread(archive.extract, f"{TELEPHONY}/{name}", telephony / name)
        owner = calls / SPOOL / new_id("proc")  # of no process: the next gateway takes its calls
        for name in archive.under(SPOOL):
            await asyncio.to_thread(archive.extract, f"{SPOOL}/{name}", owner / name)
        for name in archive.under(SOUND):
            unfinished = (keeper.shelf.folder / name).with_suffix(".part")
            await asyncio.to_thread(archive.extract, f"{SOUND}/{name}", unfinished)
            await keeper.shelf.keep(unfinished, name)
        with TemporaryDirectory(prefix="penny-store-") as made:
            for name in archive.under(STORE):
                await asyncio.to_thread(archive.extract, f"{STORE}/{name}", Path(made) / name)
            copy = StoreCopy.model_validate(archive.facts["store"])
            # The last of all: what fails before it leaves an empty store.
            await put_back(config.resolve_url(config.calls.url), copy, Path(made))


def _refuse_used(keys: Path, telephony: Path, keeper: CallKeeper) -> None:
    """Raises PennyError where anything would be overwritten; the store refuses by itself."""
    if keeper.spool.is_used():
        raise PennyError("a gateway keeps calls in this folder now; stop it, then restore")
    for key, path in (("keys.file", keys), ("telephony.folder", telephony)):
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise PennyError(f"{path} is there already ({key}): restore on an empty Penny")
    for path in (keeper.shelf.folder, keeper.shelf.folder.with_name(SPOOL)):
        if any(each.is_file() and each.suffix != ".lock" for each in path.rglob("*")):
            raise PennyError(f"{path} is not empty (calls.folder): restore on an empty Penny")


@contextmanager
def _undone_on_failure(*places: Path) -> Iterator[None]:
    """They were empty before, all of them."""
    try:
        yield
    except BaseException:
        for path in places:
            if path.is_dir():
                rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        raise
