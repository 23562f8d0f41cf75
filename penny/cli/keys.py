"""``python -m penny keys create|list|revoke``: API keys, hashed at rest."""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from penny.cli.configured import add_config_option, load_config
from penny.errors import ConfigError
from penny.trust.identity import DEFAULT_TENANT
from penny.trust.keys import ApiKey, KeyFile
from penny.trust.rights import RIGHTS, ROLES


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("keys", help="create, list and revoke API keys")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a key and show it this once")
    create.add_argument("name", help="what the key is for, as you will see it in the list")
    create.add_argument("--tenant", default=DEFAULT_TENANT, help="whose key it is")
    create.add_argument("--role", choices=sorted(ROLES), help="what it may do (default: caller)")
    create.add_argument(
        "--right", action="append", default=[], choices=list(RIGHTS), help="one right more"
    )
    create.add_argument(
        "--admin", action="store_true", help="every right: of its tenant, or of the house's all"
    )
    create.set_defaults(run=run_create)
    listing = actions.add_parser("list", help="every key ever created; never its value")
    listing.add_argument("--json", action="store_true", help="print one JSON array")
    listing.set_defaults(run=run_list)
    revoke = actions.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("id", help="the key's id, as in the list")
    revoke.set_defaults(run=run_revoke)
    for action in (create, listing, revoke):
        add_config_option(action)


def run_create(arguments: argparse.Namespace) -> int:
    """Raises ConfigErrors, and ConfigError when the tenant is not in the file."""
    config = load_config(arguments)
    if arguments.tenant != DEFAULT_TENANT and arguments.tenant not in config.tenants:
        known = ", ".join([*config.tenants, DEFAULT_TENANT])
        raise ConfigError(
            f"{config.origin.place('tenants')}: there is no tenant '{arguments.tenant}'; "
            f"known: {known}",
            key="tenants",
        )
    every = "house" if arguments.tenant == DEFAULT_TENANT else "admin"
    role = arguments.role or (every if arguments.admin else "caller")
    value, key = _open(arguments).create(
        arguments.tenant, arguments.name, role=role, more=tuple(arguments.right)
    )
    # The key alone on stdout, so that a script can take it; what it is goes beside it.
    Console(stderr=True, highlight=False).print(
        f"{key.id} for tenant {escape(key.tenant)}, {key.role}; it is shown this once:",
        soft_wrap=True,
    )
    print(value)
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    keys = _open(arguments).list_keys()
    if arguments.json:
        print(json.dumps([_as_json(key) for key in keys]))
        return 0
    table = Table("id", "name", "tenant", "role", "created", "state")
    for key in keys:
        state = "alive" if key.revoked_at is None else f"revoked {_date(key.revoked_at)}"
        role = " ".join((key.role, *key.more))
        table.add_row(
            key.id, escape(key.name), escape(key.tenant), role, _date(key.created_at), state
        )
    Console(highlight=False).print(table)
    return 0


def run_revoke(arguments: argparse.Namespace) -> int:
    """Raises ConfigError when there is no such key."""
    key = _open(arguments).revoke(arguments.id)
    if key is None:
        raise ConfigError(f"there is no key {arguments.id}; `python -m penny keys list` shows all")
    print(f"{key.id} is revoked; its live sessions end within seconds")
    return 0


def _open(arguments: argparse.Namespace) -> KeyFile:
    config = load_config(arguments)
    return KeyFile(config.resolve(config.keys.file), time.time)


def _as_json(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "tenant": key.tenant,
        "role": key.role,
        "rights": sorted(key.rights),
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }


def _date(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M")
