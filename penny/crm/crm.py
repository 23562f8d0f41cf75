"""What is asked of a CRM and told to it, and the seam behind which a CRM stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from penny.errors import PennyError
from penny.webhooks.policy import Answer


Json = dict[str, Any]

MOST = 5
"""Matters and calls that are told of a contact."""


class CrmUnavailable(PennyError):
    """The CRM did not answer, refused, or answered what it does not document."""

    code = "crm_unavailable"
    retryable = True


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is looked for. ``number`` as the line shows it; '' is what is not known."""

    number: str = ""
    email: str = ""
    user_id: str = ""

    def __bool__(self) -> bool:
        return bool(self.number or self.email or self.user_id)


@dataclass(frozen=True, slots=True)
class Person:
    """A contact. ``numbers`` are whole, with their country's code."""

    id: str
    name: str = ""
    company_id: str = ""
    company: str = ""
    numbers: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    matters: tuple[Json, ...] = ()
    """Open ones: ``title``, ``kind``, and ``due`` or ``stage`` where they have one."""
    calls: tuple[Json, ...] = ()
    """The newest notes: ``title``, ``at``, ``text``."""


@dataclass(frozen=True, slots=True)
class Note:
    """What is written of a call. ``id`` follows from the call: written again, it is one note.

    Args:
        person_id, company_id: on whom it is; '' for neither.
        new_number: make a contact of this number first, and write the note there; ''.
    """

    id: str
    call_id: str
    title: str
    body: str
    link: str = ""
    outcome: str = ""
    person_id: str = ""
    company_id: str = ""
    new_number: str = ""
    task: Task | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """What was promised in a call. ``due``: when, where that was said so that it can be read."""

    id: str
    title: str
    body: str = ""
    due: datetime | None = None


Status = Literal["found", "several", "unknown"]


@dataclass(frozen=True, slots=True)
class Contact:
    """What a look-up found. ``people``: all that match; only a single one may be named."""

    people: tuple[Person, ...] = ()
    source: str = "CRM"
    took_ms: int = field(default=0, compare=False)

    @property
    def status(self) -> Status:
        return ("unknown", "found", "several")[min(len(self.people), 2)]

    @property
    def company_id(self) -> str:
        """The company that all of them are of; ''."""
        ids = {person.company_id for person in self.people}
        return ids.pop() if len(ids) == 1 else ""

    def record(self) -> Json:
        """As it stands in a call's record, and in ``call.started``."""
        return {
            "status": self.status,
            "source": self.source,
            "took_ms": self.took_ms,
            "company_id": self.company_id,
            "people": [
                {"id": each.id, "name": each.name, "company": each.company} for each in self.people
            ],
            "matters": [dict(each) for person in self.people[:1] for each in person.matters]
            if self.status == "found"
            else [],
        }

    def told(self, language: str) -> Json | None:
        """What a model is told of it, as data; None where there is nothing."""
        es = not language.startswith("en")
        if self.status == "unknown":
            return None
        if self.status == "several":
            note = (
                "varios contactos tienen este número: no digas ningún nombre"
                if es
                else "several contacts have this number: speak no name"
            )
            return {"source": self.source, "matches": len(self.people), "note": note}
        person = self.people[0]
        names = ("nombre", "empresa", "asuntos_abiertos", "ultimas_llamadas")
        if not es:
            names = ("name", "company", "open_matters", "last_calls")
        values = (person.name, person.company, person.matters, person.calls)
        known = {name: value for name, value in zip(names, values, strict=True) if value}
        return {"source": self.source, **known}


class Crm(Protocol):
    """A CRM. Both raise CrmUnavailable where it does not answer, or not as documented."""

    name: str
    """As it is told to models and in records."""

    async def find(self, caller: Caller) -> list[Person]:
        """The contacts that may be this caller, with their open matters and newest notes.

        It may find more than match; ``people.match`` takes the others out.
        """
        ...

    async def write(self, note: Note) -> Answer:
        """Write a note, once however often it is written; what came of it. Never raises."""
        ...

    async def check(self) -> Answer:
        """Whether it answers and takes our key. Never raises."""
        ...

    async def aclose(self) -> None:
        """Close its connections."""
        ...
