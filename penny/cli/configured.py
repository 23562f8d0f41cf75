"""``--config`` and the keys that a command line may set over the file's."""

from __future__ import annotations

import argparse
import errno
import os
from pathlib import Path

from config.loader import load
from config.schema import Config
from penny.errors import ConfigError


def add_config_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration (default: $PENNY_CONFIG, else ./penny.yaml)",
    )


def add_address_options(parser: argparse.ArgumentParser, section: str) -> None:
    """``--host`` and ``--port`` over those of ``section``."""
    parser.add_argument("--host", help=f"address to listen on, over {section}.host")
    parser.add_argument("--port", type=int, help=f"port, over {section}.port; 0 takes a free one")
    parser.set_defaults(section=section)


def load_config(arguments: argparse.Namespace) -> Config:
    """Raises ConfigErrors."""
    overrides: dict[str, object] = {}
    for name in ("host", "port"):
        value = getattr(arguments, name, None)
        if value is not None:
            overrides[f"{arguments.section}.{name}"] = value
    return load(arguments.config, os.environ, overrides)


ADDRESS_ERRORS = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES)


def explain_address(config: Config, section: str, error: OSError) -> ConfigError:
    """What to tell when ``section``'s host and port cannot be listened on."""
    settings = getattr(config, section)
    return ConfigError(
        f"{config.origin.place(f'{section}.port')}: cannot listen on "
        f"{settings.host}:{settings.port}: {os.strerror(error.errno or 0)}; "
        "choose another with --port or --host",
        key=f"{section}.port",
    )
