"""``--config`` and the keys that a command line may set over the file's."""

from __future__ import annotations

import argparse
import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.loader import load
from config.schema import Config, GatewaySection
from config.worker import WorkerSection
from penny.errors import ConfigError


_ADDRESS_ERRORS = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES)


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
    for name in ("host", "port", "processes", "reuse_port"):
        value = getattr(arguments, name, None)
        if value is not None:
            overrides[f"{arguments.section}.{name}"] = value
    return load(arguments.config, os.environ, overrides)


@contextmanager
def address_errors(config: Config, section: str) -> Iterator[None]:
    """Say in words that ``section``'s host and port cannot be listened on. Raises ConfigError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _ADDRESS_ERRORS and not isinstance(error, socket.gaierror):
            raise
        settings: GatewaySection | WorkerSection = getattr(config, section)
        key = f"{section}.port" if error.errno == errno.EADDRINUSE else f"{section}.host"
        # asyncio puts a sentence of its own in strerror; a resolver's errno is not the system's.
        is_name = isinstance(error, socket.gaierror)
        reason = error.strerror if is_name else os.strerror(error.errno or 0)
        raise ConfigError(
            f"{config.origin.place(key)}: cannot listen on {settings.host}:{settings.port}: "
            f"{reason}; choose another with --host or --port",
            key=key,
        ) from error
