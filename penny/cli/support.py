"""``python -m penny support CALL``: one file about a call, to be sent to who can help.

No sound, no secret, and nothing that was said unless ``--transcript`` asks for it: times, states,
numbers, the configuration as it stands in its file, and the log's lines about the call.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from config.credentials import PURPOSES
from config.schema import Config
from penny import __version__
from penny.calls.record import Call
from penny.cli.configured import add_config_option, load_config
from penny.errors import PennyError
from penny.gateway.kept_calls import open_keeper
from penny.gateway.redaction import redact
from penny.logs import PERSONAL_FIELDS, SECRET_WORDS, mask_credentials


Json = dict[str, Any]

AROUND = timedelta(minutes=2)
"""Warnings that name no call are told when they fall so near to this one."""
MIN_SECRET_CHARS = 6
_WORDS = ("words", "text", "heard_text", "timed_words")
_NUMBER = re.compile(r"\+\d{7,15}|\b\d{9,15}\b")
_LOGIN = re.compile(r"(?<=://)[^\s/@\"']+:[^\s@\"']+(?=@)")
_VARIABLE = re.compile(r"\$\{.*\}|[A-Z][A-Z0-9_]*|null|true|false|auto|always|~|")
_SETTING = re.compile(r"([\w-]+)(\s*:\s*)([^\s,{}\[\]#][^,}#\n]*)")


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("support", help="one file about a call, for a support case")
    parser.add_argument("id", help="the call, as in `calls list`")
    parser.add_argument("--to", type=Path, help="file to write (default: support-CALL.json)")
    parser.add_argument(
        "--log", type=Path, action="append", default=[], help="a file of Penny's log; repeatable"
    )
    parser.add_argument(
        "--transcript", action="store_true", help="also what was said: ask the caller first"
    )
    add_config_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises ConfigErrors, PennyError."""
    config = load_config(arguments)
    call = asyncio.run(_find(config, arguments.id))
    try:
        logs = {path.name: path.read_text("utf-8", "replace") for path in arguments.log}
        file_text = config.origin.path.read_text("utf-8") if config.origin.path else ""
        told = describe_case(call, file_text, logs, os.environ, with_words=arguments.transcript)
        target = arguments.to or Path(f"support-{call.id}.json")
        with os.fdopen(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(told)
    except OSError as error:
        raise PennyError(f"{error.filename}: {error.strerror}") from error
    print(f"{target}: read it before you send it")
    return 0


async def _find(config: Config, call_id: str) -> Call:
    keeper = open_keeper(config, time.time)
    try:
        call = await keeper.store.get(None, call_id)
        if call is None:
            raise PennyError(f"there is no call {call_id}; `python -m penny calls list` shows all")
        now_ms = round(time.time() * 1000)
        await keeper.store.note(call.tenant, "command line", "supported", call.id, now_ms)
        return call
    finally:
        await keeper.store.aclose()


def describe_case(
    call: Call,
    config_text: str,
    logs: Mapping[str, str],
    environment: Mapping[str, str],
    *,
    with_words: bool,
) -> str:
    """The whole file, as JSON text.

    Args:
        config_text: of ``penny.yaml``, its variables not filled in.
        logs: text of each log by its name.
        environment: only whether a credential is set is told; no value of one gets through.
    """
    told = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "penny": __version__,
            "python": sys.version.split()[0],
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        },
        "call": describe_call(call, with_words=with_words),
        "config": hide_settings(config_text).splitlines(),
        "credentials": {name: bool(environment.get(name)) for name in PURPOSES},
        "logs": {name: list(lines_about(call, text)) for name, text in logs.items()},
    }
    text = json.dumps(told, ensure_ascii=False, indent=1)
    for name, value in environment.items():
        if _is_secret_name(name) and len(value) >= MIN_SECRET_CHARS:
            text = text.replace(json.dumps(value, ensure_ascii=False)[1:-1], f"[{name}]")
    return text


def describe_call(call: Call, *, with_words: bool) -> Json:
    """A record without what either side said."""
    kept = call.model_dump(mode="json")
    for name in ("caller", "callee", "caller_e164", "callee_e164"):
        kept[name] = _hide_number(kept[name])
    kept["user_id"] = f"<{len(call.user_id)} characters>"
    for name in ("consent", "derived"):
        kept[name] = redact(kept[name])
    kept["turns"] = [_describe_turn(turn, with_words=with_words) for turn in kept["turns"]]
    return kept


def _describe_turn(turn: Json, *, with_words: bool) -> Json:
    marks, derived = [redact(mark) for mark in turn["marks"]], redact(turn["derived"])
    told = {**turn, "marks": marks, "derived": derived}
    if with_words:
        return told
    items = [{name: item[name] for name in item if name not in _WORDS} for item in turn["items"]]
    return {name: told[name] for name in told if name not in _WORDS} | {"items": items}


def hide_settings(text: str) -> str:
    """``penny.yaml`` as text, without logins, telephone numbers and values of secret names."""

    def hide(found: re.Match[str]) -> str:
        name, colon, value = found.groups()
        bare = value.strip().strip("\"'")
        return f"{name}{colon}[left out]" if _hides(name, bare) else found.group()

    lines = (_SETTING.sub(hide, line) for line in text.splitlines())
    return _NUMBER.sub(
        lambda found: _hide_number(found.group()), _LOGIN.sub("[left out]", "\n".join(lines))
    )


def _hides(name: str, value: str) -> bool:
    """Whether a setting's value may be a secret; names of variables are none."""
    return _is_secret_name(name) and not _VARIABLE.fullmatch(value) and not value[:1].isdigit()


def _is_secret_name(name: str) -> bool:
    lowered = name.lower()
    return any(word in lowered for word in SECRET_WORDS) and not lowered.endswith("_tokens")


def _hide_number(number: str) -> str:
    return f"{number[:3]}…{number[-2:]}" if len(number) > 5 else "…" * bool(number)


def lines_about(call: Call, text: str) -> Iterator[str]:
    """A log's lines that name the call, and warnings near it that name none."""
    names = {call.id, *([call.parent] if call.parent else [])}
    for line in text.splitlines():
        entry = _read(line)
        if any(name in line for name in names) or (entry and _is_near(call, entry)):
            kept = _without_words(entry) if entry else line
            yield _NUMBER.sub(
                lambda found: _hide_number(found.group()),
                mask_credentials(kept if isinstance(kept, str) else json.dumps(kept)),
            )


def _read(line: str) -> Json | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _is_near(call: Call, entry: Json) -> bool:
    if entry.get("level") not in ("warning", "error") or "session_id" in entry:
        return False
    try:
        at = datetime.fromisoformat(str(entry.get("timestamp")))
        return call.started_at - AROUND <= at <= call.ended_at + AROUND
    except (ValueError, TypeError):
        return False


def _without_words(entry: Json) -> Json:
    return {
        name: value
        for name, value in entry.items()
        if name.lower() not in PERSONAL_FIELDS and not name.lower().startswith("pii_")
    }
