"""``--config`` and the keys that a command line may set over the file's."""

from __future__ import annotations

import argparse
import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.gateway import GatewaySection
from config.loader import load
from config.schema import Config
from config.worker import AUTO, EMBEDDED, NATURAL, WorkerSection
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
    if getattr(arguments, "sample", False):
        overrides["actions.sample"] = True
    for name in ("host", "port", "processes", "reuse_port"):
        value = getattr(arguments, name, None)
        if value is not None:
            overrides[f"{arguments.section}.{name}"] = value
    if getattr(arguments, "profile", None) is not None:
        overrides["penny.profile"] = arguments.profile
    return load(arguments.config, os.environ, overrides)


def settle_profile(config: Config) -> Config:
    """With ``penny.profile: auto``, what it means here and now: nothing is downloaded for it."""
    if config.penny.profile != AUTO:
        return config
    # Here, not above: the commands that load no engine need none of this.
    from modes.self_hosted.natural import choose_refusal, find_damaged_natural
    from runpod_worker.machine import measure_machine

    refused = choose_refusal(config, os.environ, measure_machine())
    whole = not refused and not find_damaged_natural(config)
    return config.with_profile(NATURAL if whole else EMBEDDED)


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
