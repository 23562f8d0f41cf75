"""``python -m penny replay JOURNAL``: the brain once more, with another model or prompt."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from brain.replay import Replayed, replay_journal
from config.credentials import missing_brain_key
from config.schema import Config
from penny.cli.configured import add_config_option, load_config
from penny.errors import PennyError


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "replay", help="run a journal's analyses again and show what differs"
    )
    add_config_option(parser)
    parser.add_argument("journal", type=Path, help="a file of brain.journal.folder")
    parser.add_argument("--model", help="ask this model instead of the one of then")
    parser.add_argument(
        "--prompt", type=Path, metavar="FILE", help="system prompt to ask with instead"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    config = load_config(arguments)
    external = config.penny.modes.EXTERNAL
    base_url = external.cerebro_base_url
    lacking = missing_brain_key(external, os.environ)
    if lacking is not None:
        raise PennyError(
            f"{lacking} is not set; export it, or set "
            "penny.modes.EXTERNAL.cerebro_base_url to another Messages server"
        )
    try:
        prompt = arguments.prompt.read_text(encoding="utf-8") if arguments.prompt else None
    except OSError as error:
        raise PennyError(f"{arguments.prompt}: {error.strerror}") from error
    asyncio.run(_replay(arguments, config, base_url, prompt))
    return 0


async def _replay(
    arguments: argparse.Namespace, config: Config, base_url: str | None, prompt: str | None
) -> None:
    total = same = failed = 0
    usd = usd_then = 0.0
    async for each in replay_journal(
        arguments.journal,
        base_url,
        model=config.models.current(arguments.model) if arguments.model else None,
        prompt=prompt,
        models=config.models,
    ):
        total, usd, usd_then = total + 1, usd + each.usd, usd_then + each.usd_then
        failed += bool(each.failure)
        same += not each.differences and not each.failure
        _show(each)
    print(
        f"{total} analyses: {same} the same, {total - same - failed} different, {failed} failed; "
        f"{usd:.6f} USD now, {usd_then:.6f} USD then"
    )


def _show(each: Replayed) -> None:
    outcome = each.failure or ("different" if each.differences else "same")
    print(
        f"turn {each.turn} {each.purpose}: {outcome}; "
        f"{each.took_ms} ms now, {each.took_ms_then} ms then ({each.model})"
    )
    for field, (then, now) in each.differences.items():
        print(f"  {field}\n    - {then}\n    + {now}")
