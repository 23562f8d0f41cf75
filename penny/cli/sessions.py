"""``python -m penny sessions``: the live sessions of every gateway, as they are now."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from typing import Any

import aiohttp
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from config.schema import Config
from penny.cli.configured import add_config_option, load_config
from penny.errors import PennyError
from penny.trust.house_key import VARIABLE, house_key_path, read_house_key


Json = dict[str, Any]

REFRESH_S = 1.0
TIMEOUT_S = 5.0


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("sessions", help="live table of the sessions of every gateway")
    add_config_option(parser)
    parser.add_argument("--url", help="the gateway's address (default: that of penny.yaml)")
    parser.add_argument("--once", action="store_true", help="print the table once")
    parser.add_argument("--json", action="store_true", help="print one JSON array, once")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises ConfigErrors, PennyError when the gateway does not answer."""
    config = load_config(arguments)
    url = gateway_url(config, arguments.url)
    key = read_house_key(house_key_path(config.resolve(config.keys.file)), os.environ)
    if arguments.json:
        print(json.dumps(asyncio.run(_read_once(url, key))))
    elif arguments.once:
        Console(highlight=False).print(make_table(asyncio.run(_read_once(url, key))))
    else:
        asyncio.run(_follow(url, key))
    return 0


def gateway_url(config: Config, given: str | None) -> str:
    """The gateway's address: the one that was given, else that of ``penny.yaml``."""
    gateway = config.gateway
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(gateway.host, gateway.host)
    scheme = "http" if gateway.tls is None else "https"
    return (given or f"{scheme}://{host}:{gateway.port}").rstrip("/")


async def fetch_sessions(http: aiohttp.ClientSession, url: str, key: str) -> list[Json]:
    """The records of ``GET /admin/v1/sessions``. Raises PennyError with the remedy."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with http.get(f"{url}/admin/v1/sessions", headers=headers) as answer:
            body = await answer.json()
            if answer.status != 200:
                raise PennyError(
                    f"{url}: {body['error']['message']}; set {VARIABLE} to a key made "
                    "with `python -m penny keys create --role operator NAME`"
                )
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise PennyError(
            f"no gateway answers at {url} ({type(error).__name__}); start one with "
            "`python -m penny serve`, or name it with --url"
        ) from error
    sessions: list[Json] = body["sessions"]
    return sessions


def make_table(sessions: list[Json]) -> Table:
    table = Table("session", "tenant", "mode", "edge", "gateway", "age", "turns", "USD")
    for session in sorted(sessions, key=lambda one: -float(one.get("duration_s") or 0)):
        usd = session.get("usd")
        table.add_row(
            *(escape(str(session[name])) for name in ("session_id", "tenant", "mode", "edge")),
            escape(str(session["node"])),
            _age(session.get("duration_s")),
            str(session.get("turns", "")),
            "" if usd is None else f"{usd:.4f}",
        )
    table.caption = f"{len(sessions)} live"
    return table


async def _read_once(url: str, key: str) -> list[Json]:
    async with _http() as http:
        return await fetch_sessions(http, url, key)


async def _follow(url: str, key: str) -> None:
    async with _http() as http:
        with Live(make_table(await fetch_sessions(http, url, key)), screen=False) as live:
            while True:
                await asyncio.sleep(REFRESH_S)
                live.update(make_table(await fetch_sessions(http, url, key)))


def _http() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))


def _age(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
