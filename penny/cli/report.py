"""``python -m penny report``: the dashboard's figures of some days as one HTML file."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from config.schema import Config
from penny.calls.database import Database
from penny.cli.configured import add_config_option, load_config
from penny.errors import PennyError
from penny.figures.dashboard import Dashboard
from penny.figures.days import FigureQuery
from penny.figures.report import write_report
from penny.gateway.kept_calls import zone_of


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("report", help="figures of kept calls as one HTML file")
    parser.add_argument("--from", dest="since", help="the first day (2026-11-01); else six before")
    parser.add_argument("--to", dest="until", help="the last day, included; else today")
    for name in ("tenant", "mode", "edge"):
        parser.add_argument(f"--{name}", help="of its calls alone")
    parser.add_argument("--language", choices=("es", "en"), help="else that of sessions")
    parser.add_argument("--output", type=Path, metavar="FILE", help="else it is printed")
    add_config_option(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Raises ConfigErrors, PennyError."""
    config = load_config(arguments)
    given = {name: getattr(arguments, name) for name in ("since", "until", "mode", "edge")}
    try:
        wanted = FigureQuery.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        first = error.errors()[0]
        names = {"since": "--from", "until": "--to"}
        named = names.get(str(first["loc"][0]) if first["loc"] else "since", "--from")
        raise PennyError(f"{named}: {first['msg']}") from error
    page = asyncio.run(_write(config, arguments, wanted))
    if arguments.output is None:
        sys.stdout.write(page)
        return 0
    try:
        arguments.output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise PennyError(f"{arguments.output}: {error.strerror}") from error
    return 0


async def _write(config: Config, arguments: argparse.Namespace, wanted: FigureQuery) -> str:
    database = Database(config.resolve_url(config.calls.url))
    zone = ZoneInfo(zone_of(config, arguments.tenant or "default"))
    try:
        found = await Dashboard(database, time.time).read(arguments.tenant, wanted, zone)
    finally:
        await database.aclose()
    return write_report(found, arguments.language or config.session.language)
