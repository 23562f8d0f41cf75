"""Twenty: who calls by one GraphQL query, a note by one mutation, a contact over REST.

Ids of what is written follow from the call, and everything is an upsert: written again after an
answer was lost, it is still one note. Objects are Twenty's standard ones; people's numbers are
found in ``phones`` whatever their format, the additional ones too.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from uuid import NAMESPACE_URL, UUID, uuid5

from penny.crm.crm import MOST, Caller, CrmUnavailable, Json, Note, Person
from penny.crm.http import CrmHttp
from penny.crm.people import national, numbers_of, pattern
from penny.telephony.e164 import read_number
from penny.webhooks.policy import Answer


GRAPHQL, REST = "/graphql", "/rest"
ALIKE = 20
"""Contacts that are looked at; more would not be one person's."""
FIND = """
query Callers($filter: PersonFilterInput!, $first: Int!) {
  people(filter: $filter, first: $first) {
    edges { node {
      id
      name { firstName lastName }
      emails { primaryEmail additionalEmails }
      phones { primaryPhoneNumber primaryPhoneCallingCode additionalPhones }
      company { id name }
      noteTargets { edges { node { note { title createdAt bodyV2 { markdown } } } } }
      taskTargets { edges { node { task { title status dueAt } } } }
      pointOfContactForOpportunities { edges { node { name stage } } }
    } }
  }
}
"""
CLOSED_TASK = "DONE"
WON = "CUSTOMER"
"""Stage of an opportunity that is one no more."""


class Twenty:
    """A workspace of Twenty.

    Args:
        region: country of numbers that are kept without its code.
    """

    name = "CRM Twenty"

    def __init__(self, http: CrmHttp, region: str) -> None:
        self._http = http
        self._region = region

    async def aclose(self) -> None:
        await self._http.aclose()

    async def find(self, caller: Caller) -> list[Person]:
        asked = self._filter(caller)
        if not asked:
            return []
        variables = {"filter": {"or": asked}, "first": ALIKE}
        body = {"query": FIND, "variables": variables}
        told = await self._http.look_up("POST", GRAPHQL, body)
        try:
            if told.get("errors"):
                raise CrmUnavailable("Twenty refused the look-up")
            return [self._read(edge["node"]) for edge in told["data"]["people"]["edges"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise CrmUnavailable("Twenty answered what it does not document") from error

    async def write(self, note: Note) -> Answer:
        person_id = note.person_id
        if note.new_number:
            person_id = derive_id(note.new_number, "person")
            answer = await self._make_person(person_id, note.new_number)
            if not answer.is_success:
                return answer
        on: Json = {"targetPersonId": person_id} if person_id else {}
        if not on and note.company_id:
            on = {"targetCompanyId": note.company_id}
        body = {"markdown": note.body}
        made = {"createNote": {"id": note.id, "title": note.title, "bodyV2": body}}
        if on:
            target_id = derive_id(note.id, "target")
            made["createNoteTarget"] = {"id": target_id, "noteId": note.id, **on}
        if (task := note.task) is not None:
            due = {} if task.due is None else {"dueAt": task.due.astimezone(UTC).isoformat()}
            body = {"markdown": task.body}
            made["createTask"] = {"id": task.id, "title": task.title, "bodyV2": body, **due}
            made["createTask"]["status"] = "TODO"
            if on:
                target_id = derive_id(task.id, "target")
                made["createTaskTarget"] = {"id": target_id, "taskId": task.id, **on}
        answer, told = await self._http.write("POST", GRAPHQL, _mutation(made))
        if answer.is_success and (not isinstance(told, dict) or told.get("errors")):
            return Answer(error="refused", body=answer.body, took_ms=answer.took_ms)
        return answer

    async def check(self) -> Answer:
        answer, told = await self._http.read("GET", f"{REST}/people", {"limit": "1"})
        is_other = answer.is_success and not isinstance(told, dict)
        return replace(answer, status=0, error="no_json") if is_other else answer

    async def _make_person(self, person_id: str, number: str) -> Answer:
        code = number.removesuffix(national(number))
        body = {
            "id": person_id,
            "phones": {"primaryPhoneNumber": national(number), "primaryPhoneCallingCode": code},
        }
        answer, _ = await self._http.write("POST", f"{REST}/people", body, {"upsert": "true"})
        return answer

    def _filter(self, caller: Caller) -> list[Json]:
        """What may be the caller; ``people.match`` looks closer."""
        asked: list[Json] = []
        if _is_uuid(caller.user_id):
            asked.append({"id": {"eq": caller.user_id}})
        if number := read_number(caller.number, self._region):
            like = pattern(number)
            asked.append({"phones": {"primaryPhoneNumber": {"like": like}}})
            asked.append({"phones": {"additionalPhones": {"like": like}}})
        if email := caller.email.strip():
            asked.append({"emails": {"primaryEmail": {"ilike": _plain(email)}}})
            asked.append({"emails": {"additionalEmails": {"like": f"%{_plain(email.lower())}%"}}})
        return asked

    def _read(self, node: Json) -> Person:
        phones, emails, name = node["phones"] or {}, node["emails"] or {}, node["name"] or {}
        pairs = [
            (
                str(phones.get("primaryPhoneNumber") or ""),
                str(phones.get("primaryPhoneCallingCode") or ""),
            )
        ]
        pairs += [
            (str(each.get("number") or ""), str(each.get("callingCode") or ""))
            for each in phones.get("additionalPhones") or ()
        ]
        written = [emails.get("primaryEmail"), *(emails.get("additionalEmails") or ())]
        company = node["company"] or {}
        return Person(
            id=node["id"],
            name=" ".join(filter(None, (name.get("firstName"), name.get("lastName")))),
            company_id=company.get("id") or "",
            company=company.get("name") or "",
            numbers=numbers_of(pairs, self._region),
            emails=frozenset(str(each).strip().lower() for each in written if each),
            matters=tuple(_matters(node)[:MOST]),
            calls=tuple(_notes(node)[:MOST]),
        )


def derive_id(name: str, what: str) -> str:
    """The id, a UUID, that follows from a name."""
    return str(uuid5(NAMESPACE_URL, f"penny:{what}:{name}"))


def _mutation(made: dict[str, Json]) -> Json:
    """One request that makes each, by its field; what is there with that id stays one."""
    kinds = {name: f"{name.removeprefix('create')}CreateInput!" for name in made}
    heads = ", ".join(f"${name}: {kind}" for name, kind in kinds.items())
    fields = "\n".join(f"  {name}(data: ${name}, upsert: true) {{ id }}" for name in made)
    return {"query": f"mutation Call({heads}) {{\n{fields}\n}}", "variables": made}


def _matters(node: Json) -> list[Json]:
    tasks = [edge["node"]["task"] or {} for edge in _edges(node, "taskTargets")]
    open_tasks = [
        {"kind": "task", "title": task["title"], "due": task.get("dueAt")}
        for task in tasks
        if task.get("title") and task.get("status") != CLOSED_TASK
    ]
    opportunities = [edge["node"] for edge in _edges(node, "pointOfContactForOpportunities")]
    return open_tasks + [
        {"kind": "opportunity", "title": each["name"], "stage": each.get("stage")}
        for each in opportunities
        if each.get("name") and each.get("stage") != WON
    ]


def _notes(node: Json) -> list[Json]:
    notes = [edge["node"]["note"] or {} for edge in _edges(node, "noteTargets")]
    newest = sorted(notes, key=lambda note: note.get("createdAt") or "", reverse=True)
    return [
        {
            "at": note.get("createdAt"),
            "title": note.get("title") or "",
            "text": str((note.get("bodyV2") or {}).get("markdown") or "")[:300],
        }
        for note in newest
        if note
    ]


def _edges(node: Json, name: str) -> list[Json]:
    return list((node.get(name) or {}).get("edges") or ())


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _plain(text: str) -> str:
    """A text in a LIKE pattern, standing for itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
