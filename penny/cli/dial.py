"""``python -m penny dial``: place a call, or those of a list, through a running gateway."""

from __future__ import annotations

import argparse
import asyncio
import csv
import hashlib
import json
import os
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import aiohttp

from penny.cli.configured import add_config_option, load_config
from penny.cli.sessions import gateway_url
from penny.errors import PennyError
from penny.telephony.dialing import read_list
from penny.telephony.exclusions import EXCLUSIONS, ExclusionLists
from penny.trust.house_key import VARIABLE, house_key_path, read_house_key


Json = dict[str, Any]

LOOK_EVERY_S = 0.5
TIMEOUT_S = 20.0
LATER = "dialing_limit"
"""A cap that is reached: the next of a list is asked for again after ``RETRY_S``."""
RETRY_S = 5.0
COLUMNS = (
    "not_before",
    "attempts",
    "from",
    "mode",
    "language",
    "greeting",
    "instructions",
    "purpose",
)
"""Of a list, beside ``to``; every other column is context."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("dial", help="place a telephone call, or those of a list")
    add_config_option(parser)
    parser.add_argument("to", nargs="?", help="the number, with its country code: +34911111111")
    parser.add_argument("--list", type=Path, help="CSV with a column `to`, and others")
    parser.add_argument("--url", help="the gateway's address (default: that of penny.yaml)")
    parser.add_argument("--from", dest="from_", help="caller id (default: the tenant's first)")
    parser.add_argument("--not-before", help="place it then or later: 2026-12-01T10:00+01:00")
    parser.add_argument("--attempts", type=int, help="calls at most, while busy or not answered")
    for name in ("mode", "language", "greeting", "instructions", "purpose"):
        parser.add_argument(f"--{name}", help=f"{name} of the call")
    parser.add_argument(
        "--exclusions", metavar="NAME", help="import the list as this exclusion list"
    )
    parser.add_argument("--dated", type=date.fromisoformat, help="of which day it is: 2026-11-30")
    parser.add_argument("--context", help="JSON object that what answers is told")
    parser.add_argument("--wait", action="store_true", help="until the call is over")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises ConfigErrors; PennyError where a call may not be placed."""
    if (arguments.to is None) == (arguments.list is None):
        raise PennyError("name a number, or --list FILE.csv")
    config = load_config(arguments)
    if arguments.exclusions is not None:
        return _import_exclusions(arguments, config.resolve(config.telephony.folder))
    url = gateway_url(config, arguments.url)
    key = read_house_key(house_key_path(config.resolve(config.keys.file)), os.environ)
    return asyncio.run(_dial(arguments, url, key))


def _import_exclusions(arguments: argparse.Namespace, folder: Path) -> int:
    """Keep a list of numbers, one a line, hashed. Raises PennyError."""
    if arguments.list is None or arguments.dated is None:
        raise PennyError("--exclusions NAME: name its file with --list and its day with --dated")
    try:
        numbers = read_list(arguments.list.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise PennyError(f"{arguments.list}: cannot be read: {error}") from error
    lists = ExclusionLists(folder / EXCLUSIONS)
    count = lists.replace(arguments.exclusions, numbers, arguments.dated)
    print(json.dumps({"list": arguments.exclusions, "numbers": count}))
    return 0


async def _dial(arguments: argparse.Namespace, url: str, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as http:
        if arguments.list is not None:
            return await _dial_list(http, url, arguments)
        told = await _ask(http, "POST", f"{url}/v1/calls", _wish(arguments))
        if arguments.wait:
            told = await _until_over(http, url, told)
        print(json.dumps(told))
    return 0


async def _dial_list(http: aiohttp.ClientSession, url: str, arguments: argparse.Namespace) -> int:
    """One call after the other, each once a day: dialled again, it goes on where it was. Those with
    a ``not_before`` are all written down at once."""
    with arguments.list.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not rows[0].get("to"):
        raise PennyError(f"{arguments.list}: has no rows with a column `to`")
    refused, today = 0, datetime.now(UTC).date()
    for number, row in enumerate(rows, 2):
        wish = {**_wish(arguments), **_of_row(row)}
        name = f"{today} {arguments.list.name} {number} {json.dumps(wish)}"
        named = {"Idempotency-Key": hashlib.sha256(name.encode()).hexdigest()}
        try:
            told = await _ask_in_turn(http, f"{url}/v1/calls", wish, named)
            if "not_before" not in wish:
                told = await _until_over(http, url, told)
            print(json.dumps(told), flush=True)
        except PennyError as error:
            refused += 1
            print(f"{arguments.list}:{number}: {error.message}", file=sys.stderr)
            if error.code == "dialing_hours":
                break
    return int(refused > 0)


def _wish(arguments: argparse.Namespace) -> Json:
    given = {name: getattr(arguments, name) for name in COLUMNS if name != "from"}
    wish = {"to": arguments.to, "from": arguments.from_, **given}
    if arguments.context:
        try:
            wish["context"] = json.loads(arguments.context)
        except ValueError as error:
            raise PennyError(f"--context: is not JSON: {error}") from error
    return {name: value for name, value in wish.items() if value is not None}


def _of_row(row: dict[str, str]) -> Json:
    known = ("to", *COLUMNS)
    wish: Json = {name: row[name] for name in known if row.get(name)}
    wish["context"] = {name: value for name, value in row.items() if name not in known and value}
    if at := wish["context"].pop("consent_at", None):
        consent = {"source": wish["context"].pop("consent_source", "")}
        wording = wish["context"].pop("consent_wording", "")
        wish["consent"] = {"at": at, **consent, "wording": wording}
    if at := wish["context"].pop("request_at", None):
        wish["request"] = {"at": at, "source": wish["context"].pop("request_source", "")}
    return wish


async def _ask_in_turn(http: aiohttp.ClientSession, url: str, wish: Json, named: Json) -> Json:
    while True:
        try:
            return await _ask(http, "POST", url, wish, named)
        except PennyError as error:
            if error.code != LATER or error.field not in ("at_once", "per_minute"):
                raise
        await asyncio.sleep(RETRY_S)


async def _until_over(http: aiohttp.ClientSession, url: str, told: Json) -> Json:
    while told["outcome"] is None:
        await asyncio.sleep(LOOK_EVERY_S)
        told = await _ask(http, "GET", f"{url}/v1/dials/{told['id']}")
    return told


async def _ask(
    http: aiohttp.ClientSession,
    method: str,
    url: str,
    body: Json | None = None,
    headers: Json | None = None,
) -> Json:
    try:
        async with http.request(method, url, json=body, headers=headers) as answer:
            told: Json = await answer.json()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise PennyError(
            f"no gateway answers at {url} ({type(error).__name__}); start one with "
            "`python -m penny serve`, or name it with --url"
        ) from error
    if answer.status >= 300:
        fault = told["error"]
        remedy = f"; set {VARIABLE} to a key that has calls:place" if answer.status == 401 else ""
        raise PennyError(
            f"{fault['message']}{remedy}",
            code=fault["code"],
            field=fault.get("param"),
            retryable=bool(fault.get("retryable")),
        )
    return told
