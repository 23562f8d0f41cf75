"""``python -m penny webhooks``: receivers of events, beside a running gateway or without one."""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from config.schema import Config
from penny.calls.store import CallStore
from penny.cli.configured import add_config_option, load_config
from penny.errors import PennyError
from penny.webhooks.again import send_again
from penny.webhooks.endpoints import Endpoint, inward_urls, read_endpoints
from penny.webhooks.events import MODELS
from penny.webhooks.outbox import Outbox
from penny.webhooks.query import DeliveryQuery, Replay
from penny.webhooks.sample import send_test
from penny.webhooks.secrets import make_secret
from penny.webhooks.sender import Sender


ACTOR = "command line"
WIDE = 160
"""Of a list that a program reads."""
_FILTERS = ("endpoint", "type", "state", "call_id", "number")


@dataclass(frozen=True, slots=True)
class _Kept:
    """The outbox and the endpoints of a configuration."""

    config: Config
    outbox: Outbox
    receivers: dict[str, Endpoint]
    store: CallStore

    async def note(self, action: str) -> None:
        """Write into the audit log that it was done here."""
        await self.store.note("", ACTOR, action, "", _now_ms())

    def get(self, name: str) -> Endpoint:
        """Raises PennyError where there is none."""
        if name not in self.receivers:
            known = ", ".join(self.receivers) or "none: write webhooks.url"
            raise PennyError(f"there is no endpoint {name}; there are: {known}")
        return self.receivers[name]


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "webhooks", help="who is told of calls: list, test, replay, enable, rotate"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    made = {
        name: actions.add_parser(name, help=about)
        for name, (about, _) in _ACTIONS.items()
    }  # fmt: skip
    made["list"].add_argument("--deliveries", action="store_true", help="the log, newest first")
    for name in _FILTERS:
        option = f"--{name.replace('_id', '')}"
        made["list"].add_argument(option, dest=name, help="of the log: these alone")
    made["list"].add_argument("--limit", type=int, default=50, help="so many deliveries")
    made["test"].add_argument("endpoint", nargs="?", help="its name; without, every one")
    made["test"].add_argument("--type", choices=list(MODELS), default="call.ended", help="of event")
    made["replay"].add_argument("event", nargs="?", help="the id of one event")
    made["replay"].add_argument("--since", help="events from this moment on (ISO 8601)")
    made["replay"].add_argument("--until", help="events before this moment")
    made["replay"].add_argument("--endpoint", help="to this one alone")
    made["replay"].add_argument(
        "--delivered", action="store_true", help="also what was delivered, not only what is dead"
    )
    made["enable"].add_argument("endpoint", help="its name")
    made["enable"].add_argument(
        "--drop", action="store_true", help="give up what it missed instead of sending it"
    )
    made["rotate"].add_argument("endpoint", nargs="?", default="default", help="its name")
    for name, action in made.items():
        add_config_option(action)
        action.set_defaults(run=_run, act=_ACTIONS[name][1])


def _run(arguments: argparse.Namespace) -> int:
    """Raises ConfigErrors, PennyError."""
    config = load_config(arguments)
    act: Callable[[argparse.Namespace, Config], Awaitable[int]] = arguments.act
    return asyncio.run(act(arguments, config))  # type: ignore[arg-type]  # they are coroutines


@asynccontextmanager
async def _kept(config: Config) -> AsyncIterator[_Kept]:
    receivers = read_endpoints(config, os.environ)
    store = CallStore(config.resolve_url(config.calls.url))
    try:
        yield _Kept(config, Outbox(store.database, receivers), receivers, store)
    finally:
        await store.aclose()


async def _list(arguments: argparse.Namespace, config: Config) -> int:
    async with _kept(config) as kept:
        table = await (_log(arguments, kept) if arguments.deliveries else _endpoints(kept))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    console.print(table)
    return 0


async def _endpoints(kept: _Kept) -> Table:
    table = Table(Column("name", no_wrap=True), "address", "types", "state", "waiting", "oldest")
    for name, backlog in (await kept.outbox.backlog()).items():
        endpoint = kept.receivers[name]
        state = "told"
        if backlog.disabled_ms is not None:
            state = f"disabled ({backlog.reason}) {_moment(backlog.disabled_ms)}"
        elif backlog.failing_since_ms is not None:
            state = f"failing since {_moment(backlog.failing_since_ms)}"
        table.add_row(
            name,
            escape(endpoint.url.partition("?")[0]),
            ", ".join(sorted(endpoint.types)) or "all",
            state,
            str(backlog.waiting),
            _moment(backlog.oldest_ms),
        )
    return table


async def _log(arguments: argparse.Namespace, kept: _Kept) -> Table:
    given = {name: getattr(arguments, name) for name in _FILTERS if getattr(arguments, name)}
    try:
        query = DeliveryQuery.model_validate({**given, "limit": arguments.limit})
    except ValidationError as error:
        first = error.errors()[0]
        raise PennyError(f"--{first['loc'][0]}: {first['msg']}") from error
    table = Table(
        Column("event", no_wrap=True),
        "type",
        "endpoint",
        "call",
        "state",
        "tries",
        "last",
        "answer",
    )
    for row in await kept.outbox.find(None, query):
        last = row["log"][-1] if row["log"] else {}
        answered = last.get("error") or str(last.get("status") or "")
        table.add_row(
            row["event_id"],
            row["type"],
            row["endpoint"],
            row["call_id"],
            row["state"],
            str(row["attempts"]),
            _moment(row["tried_ms"]),
            escape(f"{answered} {last.get('answer', '')}".strip()[:60]),
        )
    return table


async def _test(arguments: argparse.Namespace, config: Config) -> int:
    async with _kept(config) as kept:
        named = arguments.endpoint
        chosen = [kept.get(named)] if named else list(kept.receivers.values())
        if not chosen:
            raise PennyError("there is no endpoint: write webhooks.url")
        sender = Sender(inward_urls(chosen), time.time)
        failed = 0
        for endpoint in chosen:
            answer = await send_test(sender, endpoint, arguments.type, time.time())
            said = answer.error or str(answer.status)
            print(f"{endpoint.name}: {said} in {answer.took_ms} ms {answer.body}".rstrip())
            failed += not answer.is_success
        await sender.aclose()
    return 1 if failed else 0


async def _replay(arguments: argparse.Namespace, config: Config) -> int:
    given = {"event_id": arguments.event, "since": arguments.since, "until": arguments.until}
    try:
        wanted = Replay.model_validate(
            {**given, "endpoint": arguments.endpoint, "delivered": arguments.delivered}
        )
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise PennyError(f"replay: {reason} (an event's id, or --since)") from error
    async with _kept(config) as kept:
        if wanted.endpoint is not None:
            kept.get(wanted.endpoint)
        await kept.note("webhooks replayed")
        count = await send_again(kept.outbox, wanted, None, _now_ms())
    print(f"{count} deliveries are sent again by the gateway")
    return 0


async def _enable(arguments: argparse.Namespace, config: Config) -> int:
    async with _kept(config) as kept:
        name = kept.get(arguments.endpoint).name
        await kept.note("webhooks enabled")
        count = await kept.outbox.enable(name, _now_ms(), send_missed=not arguments.drop)
    print(f"{name} is told again; {count} missed: {'given up' if arguments.drop else 'sent'}")
    return 0


async def _rotate(arguments: argparse.Namespace, config: Config) -> int:
    """A new secret, and how it takes the old one's place without a lost delivery."""
    sections = dict(config.webhooks.all())
    section = sections.get(arguments.endpoint)
    if section is None and arguments.endpoint != "default":
        known = ", ".join(sections) or "none"
        raise PennyError(f"there is no endpoint {arguments.endpoint}; there are: {known}")
    variable = section.secret if section is not None else config.webhooks.secret
    secret = make_secret()
    old = os.environ.get(variable, "").split()
    print(f"The new secret: {secret}")
    if not old:
        print(f"Set {variable}={secret} for the gateway, and give it to the receiver.")
        return 0
    print(
        f"1. Set {variable}='{secret} <the one of now>' and restart the gateways one by one:\n"
        "   every delivery bears both signatures (X-Webhook-Signature that of the old one).\n"
        "2. Give the new one to the receiver.\n"
        f"3. Set {variable}='{secret}' alone and restart again."
    )
    return 0


_ACTIONS = {
    "list": ("endpoints and how they fare; with --deliveries the log", _list),
    "test": ("send a made-up event now, and show what is answered", _test),
    "replay": ("send an event, or those of a time, again", _replay),
    "enable": ("tell an endpoint again that was disabled", _enable),
    "rotate": ("make a secret, and say how it takes the place of the old one", _rotate),
}


def _moment(at_ms: int | None) -> str:
    if at_ms is None:
        return "-"
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}Z"


def _now_ms() -> int:
    return round(time.time() * 1000)
