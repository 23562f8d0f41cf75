"""``python -m penny calls``: kept calls, beside a running gateway or without one."""

from __future__ import annotations

import argparse
import asyncio
import io
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from config.schema import Config
from penny.calls.export import FORMATS, export
from penny.calls.journals import import_journals
from penny.calls.keeper import CallKeeper
from penny.calls.people import EXPORTS, Person, copy_calls, erase_person
from penny.calls.query import CallQuery
from penny.calls.record import Call
from penny.calls.transcript import as_text
from penny.cli.configured import add_config_option, load_config
from penny.errors import PennyError
from penny.gateway.kept_calls import open_keeper


FILTERS = ("caller", "user_id", "since", "until", "mode", "edge", "status", "text")
TOLD_EVERY_S = 1.0
WIDE = 160
"""Of the list that a program reads."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("calls", help="kept calls: list, show, play, export, erase, hold")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    made = {
        name: actions.add_parser(name, help=about)
        for name, (about, _) in _ACTIONS.items()
    }  # fmt: skip
    for name in ("show", "play", "hold"):
        made[name].add_argument("id", help="the call, as in the list")
    for name in ("list", "export"):
        for each in FILTERS:
            made[name].add_argument(f"--{each.replace('_id', '')}", dest=each, help=_HELP[each])
    made["list"].add_argument("--limit", type=int, default=50, help="so many calls")
    made["export"].add_argument("--format", choices=FORMATS, default="csv", help="of the file")
    made["export"].add_argument("--to", type=Path, metavar="FILE", help="where it is written")
    for each in ("caller", "user_id"):
        name = f"--{each.replace('_id', '')}"
        made["erase"].add_argument(name, dest=each, default="", help=_HELP[each])
    made["erase"].add_argument("--yes", action="store_true", help="do it; without, only tell what")
    made["hold"].add_argument("--release", action="store_true", help="let go of it again")
    made["import-journals"].add_argument(
        "folder", type=Path, nargs="?", default=Path("var/journal"), help="of an earlier version"
    )
    for name, action in made.items():
        action.add_argument("--tenant", help="of this tenant alone")
        add_config_option(action)
        action.set_defaults(run=_run, act=_ACTIONS[name][1])


def _run(arguments: argparse.Namespace) -> int:
    """Raises ConfigErrors, PennyError."""
    config = load_config(arguments)
    act: Callable[[argparse.Namespace, Config, CallKeeper], Awaitable[int]] = arguments.act

    async def work() -> int:
        async with _kept(config) as keeper:
            return await act(arguments, config, keeper)

    try:
        return asyncio.run(work())
    except OSError as error:
        raise PennyError(f"{error.filename or 'calls'}: {error.strerror}") from error


@asynccontextmanager
async def _kept(config: Config) -> AsyncIterator[CallKeeper]:
    """What is kept, of a keeper that keeps nothing itself: a gateway may run beside it."""
    keeper = open_keeper(config, time.time)
    try:
        yield keeper
    finally:
        await keeper.store.aclose()


async def _list(arguments: argparse.Namespace, config: Config, keeper: CallKeeper) -> int:
    zone = _zone(config, arguments.tenant)
    query = _query(arguments, zone, limit=arguments.limit)
    rows, _ = await keeper.store.find(arguments.tenant, query)
    table = Table(
        Column("id", no_wrap=True),
        "began",
        "s",
        "mode",
        "edge",
        "caller",
        "turns",
        "USD",
        "sound",
        "state",
    )
    for row in rows:
        began = datetime.fromtimestamp(row["started_ms"] / 1000, UTC).astimezone(zone)
        usd = "-" if row["cost_usd"] is None else f"{row['cost_usd']:.4f}"
        state = "held" if row["held"] else row["status"]
        facts = (row["duration_ms"] // 1000, row["mode"], row["edge"], escape(row["caller"]))
        table.add_row(
            row["id"], f"{began:%Y-%m-%d %H:%M}", *map(str, facts), str(row["turns"]), usd,
            row["sound_state"], state,
        )  # fmt: skip
    width = None if sys.stdout.isatty() else WIDE
    Console(highlight=False, width=width).print(table)
    return 0


async def _show(arguments: argparse.Namespace, config: Config, keeper: CallKeeper) -> int:
    call = await _get(arguments, keeper)
    await _note(keeper, "read", call)
    print(f"{call.id}  {call.started_at.astimezone(_zone(config, call.tenant)):%Y-%m-%d %H:%M:%S}")
    for name, value in call.metrics.items():
        print(f"{name}: {'-' if value is None else value}")
    print(as_text(call), end="")
    return 0


async def _play(arguments: argparse.Namespace, _config: Config, keeper: CallKeeper) -> int:
    # Here, not above: a machine without a sound device lists and exports all the same.
    try:
        import sounddevice
        import soundfile
    except (ImportError, OSError) as error:
        raise PennyError(
            "playing needs PortAudio; on Debian or Ubuntu: sudo apt-get install libportaudio2. "
            "The page /calls plays without, and `calls export --caller` writes the file"
        ) from error

    call = await _get(arguments, keeper)
    size = await keeper.shelf.size(call.sound["path"]) if "path" in call.sound else None
    if size is None:
        raise PennyError(f"the sound of this call is {call.sound['state']}")
    await _note(keeper, "heard", call)
    pieces = [piece async for piece in keeper.shelf.read(call.sound["path"], 0, size)]
    samples, rate_hz = soundfile.read(io.BytesIO(b"".join(pieces)), dtype="int16")
    try:
        await asyncio.to_thread(sounddevice.play, samples, rate_hz, blocking=True)
    except sounddevice.PortAudioError as error:
        raise PennyError(f"no loudspeaker: {error.args[0]}") from error
    return 0


async def _export(arguments: argparse.Namespace, config: Config, keeper: CallKeeper) -> int:
    if arguments.caller or arguments.user_id:
        return await _export_person(arguments, config, keeper)
    zone = _zone(config, arguments.tenant)
    query = _query(arguments, zone)
    total = await keeper.store.count_found(arguments.tenant, query)
    pieces = export(keeper.store, arguments.tenant, query, arguments.format, zone)
    written, told_s = 0, time.monotonic()
    with arguments.to.open("wb") if arguments.to else sys.stdout.buffer as file:
        async for piece in pieces:
            written += file.write(piece)
            if time.monotonic() - told_s >= TOLD_EVERY_S:
                told_s = time.monotonic()
                print(f"{written:,} bytes …", file=sys.stderr)
        file.flush()
    await keeper.store.note(
        arguments.tenant or "", "command line", "exported", "", round(time.time() * 1000)
    )
    print(f"{total} calls, {written:,} bytes", file=sys.stderr)
    return 0


async def _export_person(arguments: argparse.Namespace, config: Config, keeper: CallKeeper) -> int:
    """Everything that is kept of a person, sound included, as a ZIP."""
    person = Person(arguments.caller or "", arguments.user_id or "")
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}.zip"
    target = arguments.to or config.resolve(config.calls.folder) / EXPORTS / name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    copied: list[str] = []

    async def note(call: Call) -> None:
        copied.append(call.id)
        await _note(keeper, "exported", call)
        print(call.id, file=sys.stderr)

    with target.open("wb") as file:
        target.chmod(0o600)
        async for piece in copy_calls(keeper, arguments.tenant, person.query, note):
            file.write(piece)
    print(f"{len(copied)} calls in {target}", file=sys.stderr)
    return 0


async def _erase(arguments: argparse.Namespace, config: Config, keeper: CallKeeper) -> int:
    person = Person(arguments.caller, arguments.user_id)
    if person == Person():
        raise PennyError("name the person: --caller NUMBER or --user NAME")
    if not arguments.yes:
        found = await keeper.store.count_found(arguments.tenant, person.query)
        print(f"{found} calls would be erased; add --yes")
        return 0
    root = config.resolve(config.calls.folder)
    done = await erase_person(keeper, root, arguments.tenant, person)
    for call_id in done.calls:
        now_ms = round(time.time() * 1000)
        await keeper.store.note(
            arguments.tenant or "", "command line", "erased", call_id, now_ms
        )  # fmt: skip
    print(f"calls erased: {len(done.calls)}")
    for call_id in done.calls:
        print(f"  {call_id}")
    print(f"sounds: {done.sounds} ({done.sound_bytes:,} bytes)")
    for name, ids in (
        ("waiting in the spool, erased", done.waiting),
        ("copies erased", done.exports),
        ("under legal hold, kept", done.held),
        ("live now, erase again when over", done.live),
    ):
        print(f"{name}: {len(ids)}")
        for each in ids:
            print(f"  {each}")
    return 1 if done.held or done.live else 0


async def _hold(arguments: argparse.Namespace, _config: Config, keeper: CallKeeper) -> int:
    call = await _get(arguments, keeper)
    held = not arguments.release
    await keeper.store.set_held(call.tenant, call.id, held=held)
    await _note(keeper, "held" if held else "released", call)
    print(f"{call.id} is {'held: nothing deletes it' if held else 'released'}")
    return 0


async def _import(arguments: argparse.Namespace, config: Config, keeper: CallKeeper) -> int:
    folder = config.resolve(arguments.folder)
    done = await import_journals(keeper.store, folder, arguments.tenant or "default")
    print(f"{done.added} calls added; {done.known} were kept already")
    for path, reason in done.unreadable:
        print(f"{path}: {reason}", file=sys.stderr)
    return 1 if done.unreadable else 0


_ACTIONS = {
    "list": ("calls, newest first", _list),
    "show": ("a call's metrics and words", _show),
    "play": ("hear a call", _play),
    "export": ("a file of calls; with --caller or --user all that is kept of a person", _export),
    "erase": ("remove a person from everything that is kept", _erase),
    "hold": ("let nothing delete a call", _hold),
    "import-journals": ("bring in the journals of an earlier version", _import),
}
_HELP = {
    "caller": "calls of this number",
    "user_id": "calls of this user, by the application's own name",
    "since": "from this day or moment on",
    "until": "up to the end of this day, or before this moment",
    "mode": "calls that ended in this mode",
    "edge": "socket, realtime or webrtc",
    "status": "completed or interrupted",
    "text": "calls in which all these words were said",
}


def _zone(config: Config, tenant: str | None) -> ZoneInfo:
    return ZoneInfo(config.calls.timezone_of(config.tenant_calls(tenant or "")))


def _query(arguments: argparse.Namespace, zone: ZoneInfo, **more: object) -> CallQuery:
    """Raises PennyError, naming the filter that is wrong."""
    given = {name: getattr(arguments, name) for name in FILTERS if getattr(arguments, name)}
    try:
        return CallQuery.model_validate({**given, **more}).in_zone(zone)
    except ValidationError as error:
        first = error.errors()[0]
        raise PennyError(f"--{first['loc'][0]}: {first['msg']}") from error


async def _get(arguments: argparse.Namespace, keeper: CallKeeper) -> Call:
    """Raises PennyError where there is none."""
    call = await keeper.store.get(arguments.tenant, arguments.id)
    if call is None:
        raise PennyError(f"there is no call {arguments.id}; `python -m penny calls list` shows all")
    return call


async def _note(keeper: CallKeeper, action: str, call: Call) -> None:
    now_ms = round(time.time() * 1000)
    await keeper.store.note(call.tenant, "command line", action, call.id, now_ms)
