"""``python -m penny experiments``: what is tried, what came of it, and how it is stopped."""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from config.schema import Config
from penny.calls.database import Database
from penny.cli.configured import add_config_option, load_config
from penny.errors import PennyError
from penny.experiments.store import ExperimentStore
from penny.gateway.experiments import describe


Json = dict[str, Any]

WIDE = 160
"""Of a list that a program reads."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("experiments", help="what is tried on calls: list, show, stop")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    about = {
        "list": "each with its state",
        "show": "arms, differences and intervals of one",
        "stop": "no call takes part any more, for good",
    }
    for name, told in about.items():
        action = actions.add_parser(name, help=told)
        if name != "list":
            action.add_argument("name", help="as in penny.yaml")
        if name == "stop":
            action.add_argument("--reason", default="stopped by hand", help="kept with it")
        add_config_option(action)
        action.set_defaults(run=_run, action=name)


def _run(arguments: argparse.Namespace) -> int:
    """Raises ConfigErrors, PennyError."""
    config = load_config(arguments)
    if arguments.action != "list" and arguments.name not in config.experiments:
        known = ", ".join(config.experiments) or "none: write experiments"
        raise PennyError(f"there is no experiment {arguments.name}; there are: {known}")
    return asyncio.run(_act(arguments, config))


async def _act(arguments: argparse.Namespace, config: Config) -> int:
    database = Database(config.resolve_url(config.calls.url))
    store, console = ExperimentStore(database), Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    try:
        if arguments.action == "stop":
            phase = config.experiments[arguments.name].phase
            now_ms = round(time.time() * 1000)
            is_new = await store.stop(arguments.name, phase, arguments.reason, now_ms)
            console.print(f"{arguments.name}: {'stopped' if is_new else 'was stopped before'}")
            return 0
        chosen = config.experiments
        if arguments.action == "show":
            chosen = {arguments.name: chosen[arguments.name]}
        found = await describe(chosen, store)
    finally:
        await database.aclose()
    console.print(_list(found) if arguments.action == "list" else _show(found[0]))
    return 0


def _list(found: list[Json]) -> Table:
    table = Table(Column("name", no_wrap=True), "state", "metric", "unit", "phase", "units", "arms")
    for each in found:
        units = sum(arm["units"] for arm in each["arms"])
        arms = ", ".join(f"{arm['name']} ({arm['verdict']})" for arm in each["arms"])
        facts = (each["metric"], each["unit"], each["phase"], str(units), arms)
        table.add_row(each["name"], state_of(each), *facts)
    return table


def _show(each: Json) -> Table:
    title = f"{each['name']}: {state_of(each)}, {each['metric']}, phase {each['phase']}"
    caption = f"split p = {each['split_p']}, units in several arms {each['jumpers']:.1%}"
    if each["kept"]:
        caption += (
            f"; {each['kept']} callers kept another arm of an earlier phase and are not counted"
        )
    if each["warnings"]:
        caption += f"; warnings: {', '.join(each['warnings'])}"
    table = Table("arm", "calls", "n", "mean", "difference", "interval", "verdict", title=title)
    table.caption = caption
    for arm in each["arms"]:
        between = "-" if arm["interval"] is None else "{:+.4g} … {:+.4g}".format(*arm["interval"])
        facts = [_number(arm["mean"]), _number(arm["difference"], "+"), between, arm["verdict"]]
        table.add_row(arm["name"], str(arm["calls"]), str(arm["n"]), *facts)
    return table


def state_of(each: Json) -> str:
    """``runs``, ``disabled``, or why it was stopped."""
    if each["stopped"] is not None:
        return f"stopped ({each['stopped']['reason']})"
    return "runs" if each["enabled"] else "disabled"


def _number(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.4g}"
