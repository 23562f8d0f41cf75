"""A CRM of any kind over HTTP: where it is asked and how its answers are read stands in
``crm.http`` of the configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from config.crm import HttpCrmSection
from penny.crm.crm import Caller, CrmUnavailable, Json, Note, Person
from penny.crm.http import CrmHttp
from penny.crm.people import national, numbers_of
from penny.telephony.e164 import read_number
from penny.webhooks.policy import Answer


class HttpCrm:
    """A CRM as ``crm.http`` describes it. A note bears its id: who takes it keeps one of each."""

    name = "CRM"

    def __init__(self, http: CrmHttp, section: HttpCrmSection, region: str) -> None:
        self._http = http
        self._section = section
        self._region = region

    async def aclose(self) -> None:
        await self._http.aclose()

    async def find(self, caller: Caller) -> list[Person]:
        number = read_number(caller.number, self._region)
        known = {
            "number": number,
            "digits": national(number) if number else "",
            "email": caller.email,
            "user_id": caller.user_id,
        }
        path = fill(self._section.find, known, in_path=True)
        found = pick(await self._http.look_up("GET", path), self._section.people)
        if not isinstance(found, list):
            raise CrmUnavailable(f"crm.http.people: there is no list at '{self._section.people}'")
        return [self._read(each) for each in found]

    async def write(self, note: Note) -> Answer:
        section = self._section
        if not section.note:
            return Answer(204, body="crm.http.note is empty: no note is written")
        if "{person_id}" in section.note and not note.person_id:
            return Answer(204, body="several contacts match: crm.http.note is on one person")
        fields = {
            "id": note.id,
            "call_id": note.call_id,
            "title": note.title,
            "body": note.body,
            "person_id": note.person_id,
            "company_id": note.company_id,
            "link": note.link,
            "outcome": note.outcome,
            "task": note.task.title if note.task else "",
        }
        body = {name: fill(template, fields) for name, template in section.note_body.items()}
        path = fill(section.note, fields, in_path=True)
        answer, _ = await self._http.write("POST", path, body)
        return answer

    async def check(self) -> Answer:
        unknown = fill(self._section.find, dict.fromkeys(("number", "digits", "email"), "0"))
        answer, told = await self._http.read("GET", fill(unknown, {"user_id": "0"}))
        is_other = answer.is_success and told is None
        return replace(answer, status=0, error="no_json") if is_other else answer

    def _read(self, found: Any) -> Person:
        section = self._section
        texts = [_text(found, path) for path in (section.id, section.name)]
        numbers = [(each, "") for path in section.phones for each in _texts(found, path)]
        emails = [each for path in section.emails for each in _texts(found, path)]
        if not texts[0]:
            raise CrmUnavailable(f"crm.http.id: a contact has nothing at '{section.id}'")
        return Person(
            id=texts[0],
            name=texts[1],
            company=_text(found, section.company),
            company_id=_text(found, section.company_id),
            numbers=numbers_of(numbers, self._region),
            emails=frozenset(each.strip().lower() for each in emails),
        )


def fill(template: str, fields: Mapping[str, str], *, in_path: bool = False) -> str:
    """A template with its ``{names}`` filled in, once; others stay.

    ``in_path``: what is filled in stays in its place; dots alone would name another.
    """
    if in_path:
        fields = {name: quote(v, "") if v.strip(".") else "" for name, v in fields.items()}
    return re.sub(r"\{(\w+)\}", lambda found: fields.get(found[1], found[0]), template)


def pick(value: Any, path: str) -> Any:
    """What lies at ``data.people.0`` inside; None where nothing does. '' is the whole."""
    for part in filter(None, path.split(".")):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _text(found: Json, path: str) -> str:
    value = pick(found, path)
    return str(value) if isinstance(value, str | int) else ""


def _texts(found: Json, path: str) -> list[str]:
    """The texts at a path: one, or a list of them."""
    value = pick(found, path)
    values = value if isinstance(value, list) else [value]
    return [str(each) for each in values if isinstance(each, str | int) and str(each)]
