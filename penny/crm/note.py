"""What a CRM is told of a call: its note, and the task where something was promised. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from penny.calls.record import Call, Turn
from penny.crm.crm import Json, Note, Task
from penny.crm.twenty import derive_id


LONGEST = 600
"""Characters of a summary that is made of what was said."""
CALL_BACK = "schedule_callback"
_WORDS = {
    "es": {
        "title": "Llamada: {what}",
        "call": "llamada",
        "outcome": "Resultado",
        "asked": "Pidió",
        "summary": "Resumen",
        "claims": "Gestiones",
        "done": "Hecho",
        "several": "Varios contactos tienen este número; no se sabe cuál llamó.",
        "link": "Llamada en Penny",
        "back": "Devolver la llamada",
        "lasted": "{minutes} min {seconds} s",
    },
    "en": {
        "title": "Call: {what}",
        "call": "call",
        "outcome": "Outcome",
        "asked": "Asked",
        "summary": "Summary",
        "claims": "Cases",
        "done": "Done",
        "several": "Several contacts have this number; which of them called is not known.",
        "link": "Call in Penny",
        "back": "Call back",
        "lasted": "{minutes} min {seconds} s",
    },
}


def write_note(call: Call, call_url: str, *, creates: bool = False) -> Note | None:
    """The note of a call; None where there is no contact to write it on.

    Args:
        call_url: address of a call's page, with ``{call_id}``; '' names the id.
        creates: whether a contact is made of an unknown caller's number.
    """
    contact = call.contact
    people, status = contact.get("people") or [], contact.get("status", "")
    new_number = contact.get("number", "") if creates and status == "unknown" else ""
    person_id = people[0]["id"] if status == "found" else ""
    company_id = contact.get("company_id") or ""
    if call.status == "failed" or not (person_id or new_number or status == "several"):
        return None
    words = _WORDS["en" if call.language.startswith("en") else "es"]
    outcome = call.metrics.get("outcome") or call.end_reason
    link = call_url.replace("{call_id}", call.id) if call_url else call.id
    seconds = round((call.ended_at - call.started_at).total_seconds())
    lasted = words["lasted"].format(minutes=seconds // 60, seconds=seconds % 60)
    summary = _summary(call)
    lines = [
        f"{call.started_at:%Y-%m-%d %H:%M} UTC, {lasted}",
        *([words["several"]] if status == "several" else []),
        f"**{words['outcome']}**: {outcome}",
        *([f"**{words['summary']}**: {summary}"] if summary else []),
        *(f"**{words['done']}**: {name}" for name in dict.fromkeys(_done(call))),
        *([f"**{words['claims']}**: {', '.join(c.key for c in call.claims)}"] * bool(call.claims)),
        f"{words['link']}: {link}",
    ]
    what = call.derived.get("intent") or outcome or words["call"]
    return Note(
        id=derive_id(call.id, "note"),
        call_id=call.id,
        title=words["title"].format(what=what)[:200],
        body="\n\n".join(lines),
        link=link,
        outcome=str(outcome),
        person_id=person_id,
        company_id="" if person_id else company_id,
        new_number=new_number,
        task=_promised(call, words),
    )


def _summary(call: Call) -> str:
    """What an analysis or a hand-off summed up, else what the caller said."""
    derived = call.derived.get("summary")
    text = derived.get("text") if isinstance(derived, dict) else derived
    if isinstance(text, str) and text:
        return text
    for fields in _marks(call, "handoff"):
        if fields.get("summary"):
            return str(fields["summary"])
    said = [turn.words for turn in call.turns if turn.number > 0 and turn.words]
    return " / ".join(said)[:LONGEST]


def _done(call: Call) -> Iterator[str]:
    """The actions that succeeded, by what they said of it."""
    for fields in _marks(call, "tool_call"):
        if fields.get("status") == "completed":
            result = fields.get("result") or {}
            told = result.get("message") if isinstance(result, dict) else None
            yield str(told or fields.get("name") or "")


def _promised(call: Call, words: dict[str, str]) -> Task | None:
    """A task of what was promised: by an analysis, or a call back that was agreed."""
    titles: list[str] = []
    due: datetime | None = None
    for promise in call.derived.get("promises") or ():
        text = promise.get("text") if isinstance(promise, dict) else promise
        titles += [str(text)] * bool(text)
    for fields in _marks(call, "tool_call"):
        if fields.get("name") == CALL_BACK and fields.get("status") == "completed":
            asked = fields.get("arguments") or {}
            at, phone = (str(asked.get(name) or "") for name in ("cuando", "telefono"))
            due = due or read_moment(at)
            titles.append(" ".join(filter(None, (words["back"], phone or call.caller, at))))
    if not titles:
        return None
    body = "\n\n".join(titles)
    return Task(derive_id(call.id, "task"), titles[0][:200], body, due)


def _marks(call: Call, kind: str) -> Iterator[Json]:
    for turn in call.turns:
        yield from _fields(turn, kind)


def _fields(turn: Turn, kind: str) -> Iterator[dict[str, Any]]:
    return (mark["fields"] for mark in turn.marks if mark["kind"] == kind)


def read_moment(text: str) -> datetime | None:
    """A moment that is written as ISO 8601; None where it is not."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
