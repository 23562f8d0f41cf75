"""Journals of an earlier version, a file for each session, brought in beside the calls."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from penny.calls.record import Call, Heard, Turn, measure
from penny.calls.store import CallStore


Json = dict[str, Any]


@dataclass(slots=True)
class Imported:
    """What came of it. ``unreadable``: (file, why)."""

    added: int = 0
    known: int = 0
    unreadable: list[tuple[Path, str]] = field(default_factory=list)


async def import_journals(store: CallStore, folder: Path, tenant: str) -> Imported:
    """Make a call of every ``*.jsonl`` under ``folder``: its words, and all else it tells as marks.

    A session whose call is kept already stays as it is, so that repeating it adds nothing.

    Raises:
        StoreUnavailable.
    """
    done = Imported()
    for path in await asyncio.to_thread(lambda: sorted(folder.rglob("*.jsonl"))):
        try:
            entries = await asyncio.to_thread(read_journal, path)
        except (OSError, ValueError) as error:
            done.unreadable.append((path, str(error)))
            continue
        if entries and await store.put(_make_call(path, entries, tenant)):
            done.added += 1
        else:
            done.known += 1
    return done


def read_journal(path: Path) -> list[Json]:
    """The entries of a journal, in order. A last line cut by a crash is left out.

    Raises:
        OSError; ValueError: another line is no JSON.
    """
    lines = path.read_bytes().splitlines()
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            entries.append(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            if number < len(lines):
                raise ValueError(f"line {number} is not JSON") from error
    return entries


def _make_call(path: Path, entries: list[Json], tenant: str) -> Call:
    """The call that a journal tells of: its words, when they came, and nothing of its sound."""
    session = next((entry for entry in entries if entry["kind"] == "session"), {})
    last_s = float(entries[-1]["at_s"])
    ended_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    said: dict[int, Json] = {}
    latest = 0
    for entry in entries:
        at_ms = round(entry["at_s"] * 1000, 1)
        latest = max(latest, entry.get("turn") or 0)
        begun = {"at_ms": at_ms, "caller": None, "penny": [], "marks": []}
        turn = said.setdefault(int(entry.get("turn") or latest), begun)
        if entry["kind"] == "turn":
            turn["caller"] = entry["caller"]
        elif entry["kind"] == "reply" and entry["penny"]:
            turn["penny"].append((at_ms, str(entry["response_id"]), entry["penny"]))
        else:
            told = {name: value for name, value in entry.items() if name not in ("kind", "at_s")}
            fields = {"note": entry["kind"], **told}
            turn["marks"].append({"kind": "note", "at_ms": at_ms, "fields": fields})
    call = Call(
        id=session.get("session_id") or path.stem,
        tenant=tenant,
        edge="journal",
        modes=["EXTERNAL"],
        language=session.get("language") or "",
        started_at=ended_at - timedelta(seconds=last_s),
        ended_at=ended_at,
        end_reason="imported",
        models=[session["model"]] if session.get("model") else [],
        turns=[_make_turn(number, turn) for number, turn in sorted(said.items())],
    )
    return call.model_copy(update={"metrics": measure(call)})


def _make_turn(number: int, said: Json) -> Turn:
    at_ms, answered = said["at_ms"], " ".join(text for _, _, text in said["penny"])
    items = [
        Heard(item_id=name, starts_ms=begins_ms, text=text, heard_text=text)
        for begins_ms, name, text in said["penny"]
    ]
    return Turn(
        number=number,
        from_ms=at_ms,
        until_ms=at_ms,
        finished_ms=max([at_ms, *(begins_ms for begins_ms, _, _ in said["penny"])]),
        words=said["caller"],
        text=answered,
        heard_text=answered,
        items=items,
        marks=said["marks"],
    )
