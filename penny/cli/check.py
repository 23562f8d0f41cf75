"""``python -m penny check``: is the file right, what can talk, what do these ears understand.

Exit status: 0 Penny can start and its default mode can talk, 1 something is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from config.schema import Config
from modes.self_hosted.natural import describe_natural
from penny.analysis.batch.bell import find_fault
from penny.cli.configured import add_config_option, load_config, settle_profile
from penny.cli.examination import Engine, Examination, Finding, describe_engine, examine
from penny.cli.production import examine_production, public_url, read_facts
from penny.errors import ConfigErrors, EngineError
from runpod_worker.egress import probe_lock_down


FAILED = 1


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "check", help="validate penny.yaml and the environment; list modes and engines"
    )
    add_config_option(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--production",
        action="store_true",
        help="also what must hold before strangers call: keys, TLS, retention, limits, disk …",
    )
    parser.add_argument("--url", help="with --production: the https address that callers use")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    try:
        asked = load_config(arguments)
    except ConfigErrors as failure:
        _report_errors(failure, as_json=arguments.json)
        return FAILED
    config = settle_profile(asked)
    engines, failure_of_engines = asyncio.run(_load_engines(config))
    today = datetime.now(UTC).date()
    found = examine(config, os.environ, engines, failure_of_engines, today)
    if (fault := find_fault(config)) is not None:
        level, message = fault
        finding = Finding(level, config.origin.place("redis.url"), message)
        found = replace(found, findings=(*found.findings, finding))
    if arguments.production:
        facts = read_facts(config, public_url(config, arguments.url))
        more = tuple(examine_production(config, facts))
        found = replace(found, findings=(*found.findings, *more))
    natural = describe_natural(asked, os.environ)
    if arguments.json:
        told = {**found.as_json(), "profile": config.penny.profile, "natural": natural}
        told["cleaners"] = list(describe_cleaners(config))
        print(json.dumps(told, ensure_ascii=False, default=str))
    else:
        _print(found, config, natural, Console(highlight=False))
    return 0 if found.ok else FAILED


async def _load_engines(config: Config) -> tuple[list[Engine], str | None]:
    """Load the profile's engines as the worker would, since only that shows whether they work."""
    modes = config.penny.modes
    if not modes.SELF_HOSTED.enabled or modes.SELF_HOSTED.endpoint is not None:
        return [], None
    # Here, not above: nothing but this needs the engines in this process.
    from runpod_worker.engines.registry import load_engines

    try:
        engines = await load_engines(config.worker_settings())
    except EngineError as error:
        return [], f"{error.stage}: {error.message}"
    try:
        return [
            describe_engine("vad", engines.vad.info),
            describe_engine("stt", engines.stt.info),
            describe_engine("llm", engines.llm.info),
            describe_engine("tts", engines.tts.info),
        ], None
    finally:
        await engines.aclose()


def describe_cleaners(config: Config) -> Iterator[str]:
    """What can clean a caller's sound here, and what it costs; a line for each."""
    from runpod_worker.cleaning.loading import describe

    settings = config.worker_settings()
    return describe(settings.hearing, settings.models)


def _report_errors(failure: ConfigErrors, *, as_json: bool) -> None:
    if as_json:
        errors = [
            {"key": error.key, "line": error.line, "message": error.message}
            for error in failure.errors
        ]
        print(json.dumps({"ok": False, "errors": errors}, ensure_ascii=False))
        return
    console = Console(highlight=False)
    for error in failure.errors:
        console.print(f"[red]error[/red] {escape(error.message)}", soft_wrap=True)


def _print(found: Examination, config: Config, natural: str, console: Console) -> None:
    console.print(f"[bold]{config.origin.path}[/bold] is well formed", soft_wrap=True)
    console.print(_mode_table(found))
    if found.engines:
        console.print(_engine_table(found, config.penny.profile))
        console.print(f"Profile natural: {escape(natural)}", soft_wrap=True)
        for cleaner in describe_cleaners(config):
            console.print(f"Sound cleaned by {escape(cleaner)}", soft_wrap=True)
        guard = probe_lock_down(config.worker_settings())
        console.print(f"Private worker: {escape(guard.describe())}", soft_wrap=True)
    elif config.penny.modes.SELF_HOSTED.endpoint is not None:
        console.print(f"Worker by URL: {escape(config.penny.modes.SELF_HOSTED.endpoint)}")
    for engine in found.engines:
        for language, notice in engine.notice.items():
            console.print(f"  {engine.stage} ({language}): {escape(notice)}", soft_wrap=True)
    known = [
        f"{name} {'set' if is_set else 'not set'}" for name, is_set in found.credentials.items()
    ]
    console.print(f"[dim]Credentials: {', '.join(known)}[/dim]", soft_wrap=True)
    for finding in found.findings:
        colour = "red" if finding.level == "error" else "yellow"
        words = (
            f"[{colour}]{finding.level}[/{colour}] {escape(f'{finding.place}: {finding.message}')}"
        )
        console.print(words, soft_wrap=True)
    if found.ok:
        console.print("[green]Penny can start.[/green]")


def _mode_table(found: Examination) -> Table:
    table = Table(Column("mode", no_wrap=True), Column("state", no_wrap=True), "remedy")
    for mode in found.modes:
        name = f"{mode.name} (default)" if mode.default else mode.name
        if not mode.problems:
            table.add_row(name, "[green]available[/green]", escape(mode.notice.get("en", "")))
        for problem in mode.problems:
            table.add_row(name, escape(problem.reason), escape(problem.remedy))
            name = ""
    return table


def _engine_table(found: Examination, profile: str) -> Table:
    table = Table("stage", "engine", "languages", title=f"profile {profile}")
    for engine in found.engines:
        table.add_row(engine.stage, escape(engine.name), ", ".join(engine.languages))
    return table
