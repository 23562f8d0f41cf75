"""A Twenty over real HTTP that validates every request by Twenty's published schema, and refuses
the rest. As a process: ``python -m tests.doubles.twenty_server``.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import UUID, uuid4

from aiohttp import web
from graphql import GraphQLError, GraphQLScalarType, build_schema, graphql_sync


Json = dict[str, Any]
Failing = Callable[[web.Request], Any]

KEY = "twenty-test-key"
MINUTE_S = 60.0
SCHEMA = Path(__file__).with_name("twenty_schema.graphql")
PERSON_FIELDS = frozenset({"id", "name", "emails", "phones", "jobTitle", "companyId"})
PHONE_FIELDS = frozenset(
    {"primaryPhoneNumber", "primaryPhoneCountryCode", "primaryPhoneCallingCode", "additionalPhones"}
)


class TwentyServer:
    """A workspace: ``people`` by id, and what was written.

    Args:
        limit: requests in a minute, after which 429 is answered; None takes all.
        fails: asked before each request; its answer, where it is not None, is sent instead.
    """

    def __init__(
        self,
        limit: int | None = None,
        fails: Failing | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.fails = fails
        self._limit, self._clock = limit, clock
        self._asked: deque[float] = deque()
        self.people: dict[str, Json] = {}
        self.made: dict[str, dict[str, Json]] = {
            name: {} for name in ("note", "noteTarget", "task", "taskTarget")
        }
        self.writes: dict[str, int] = {}
        """How often each id was written."""
        self.refused: list[str] = []
        """Why requests were refused, 429 apart."""
        self.throttled: list[str] = []
        """Requests that were answered with 429: look-up or write."""
        self.look_ups = 0
        self._schema = build_schema(SCHEMA.read_text(encoding="utf-8"))
        uuid = self._schema.type_map["UUID"]
        assert isinstance(uuid, GraphQLScalarType)
        uuid.parse_value = _read_uuid  # type: ignore[method-assign]
        self._runner: web.AppRunner | None = None
        self.url = ""

    def add(self, first: str, number: str = "", **more: Any) -> str:
        """A person, whose id it gives. ``more``: code, others, email, company (id, name), notes,
        tasks, opportunities."""
        person_id = str(uuid4())
        company = more.get("company")
        self.people[person_id] = {
            "id": person_id,
            "name": {"firstName": first, "lastName": more.get("last", "")},
            "emails": {
                "primaryEmail": more.get("email", ""),
                "additionalEmails": more.get("emails"),
            },
            "phones": {
                "primaryPhoneNumber": number,
                "primaryPhoneCallingCode": more.get("code", ""),
                "additionalPhones": more.get("others"),
            },
            "company": {"id": company[0], "name": company[1]} if company else None,
            "notes": more.get("notes", []),
            "tasks": more.get("tasks", []),
            "opportunities": more.get("opportunities", []),
        }
        return person_id

    # -- HTTP -------------------------------------------------------------------------------

    async def _take(self, request: web.Request) -> web.StreamResponse:
        if self.fails is not None:
            answer = self.fails(request)
            if asyncio.iscoroutine(answer):
                answer = await answer
            if answer is not None:
                return answer  # type: ignore[no-any-return]
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return self._refuse(401, "Missing or invalid token")
        body = await request.read()
        if self._is_too_often():
            kind = "look-up" if b"query " in body else "write"
            self.throttled.append(kind)
            return web.json_response({"messages": ["Limit reached"]}, status=429)
        if request.method == "POST" and request.content_type != "application/json":
            return self._refuse(400, "no JSON")
        if request.path == "/graphql":
            return self._graphql(json.loads(body))
        if request.path == "/rest/people":
            return self._rest(request, json.loads(body) if body else {})
        return self._refuse(404, f"no such path: {request.path}")

    def _is_too_often(self) -> bool:
        now_s = self._clock()
        while self._asked and self._asked[0] <= now_s - MINUTE_S:
            self._asked.popleft()
        if self._limit is not None and len(self._asked) >= self._limit:
            return True
        self._asked.append(now_s)
        return False

    def _graphql(self, body: Json) -> web.Response:
        root = {"people": self._find}
        root |= {f"create{name[0].upper()}{name[1:]}": self._maker(name) for name in self.made}
        done = graphql_sync(
            self._schema, body["query"], root, variable_values=body.get("variables")
        )
        if done.errors:
            self.refused += [error.message for error in done.errors]
            errors = [{"message": error.message} for error in done.errors]
            status = 200 if done.data is not None else 400
            return web.json_response({"errors": errors, "data": done.data}, status=status)
        return web.json_response({"data": done.data})

    def _rest(self, request: web.Request, body: Json) -> web.Response:
        query = request.query
        if unknown := query.keys() - {"limit", "upsert", "depth", "filter", "order_by"}:
            return self._refuse(400, f"unknown parameters: {unknown}")
        if request.method == "GET":
            limit = query.get("limit", "60")
            if not limit.isdecimal() or not 0 <= int(limit) <= 60:
                return self._refuse(400, f"limit: {limit}")
            some = list(self.people.values())[: int(limit)]
            page = {"hasNextPage": False, "startCursor": None, "endCursor": None}
            return web.json_response({"data": {"people": some}, "pageInfo": page})
        if not body or body.keys() - PERSON_FIELDS or body.get("phones", {}).keys() - PHONE_FIELDS:
            return self._refuse(400, f"unknown fields: {sorted(body)}")
        person_id = str(UUID(body.get("id") or str(uuid4())))
        if person_id in self.people and query.get("upsert") != "true":
            return self._refuse(400, "A duplicate entry was detected")
        if person_id not in self.people:
            phones = body.get("phones", {})
            made = self.add("", phones.get("primaryPhoneNumber", ""))
            self.people[person_id] = {**self.people.pop(made), **body, "id": person_id}
        self._count(person_id)
        return web.json_response({"data": {"createPerson": {"id": person_id}}}, status=201)

    def _refuse(self, status: int, why: str) -> web.Response:
        self.refused.append(why)
        return web.json_response({"statusCode": status, "messages": [why]}, status=status)

    # -- the workspace ----------------------------------------------------------------------

    def _maker(self, name: str) -> Callable[..., Json]:
        def make(_info: Any, data: Json, upsert: bool = False) -> Json:
            made = self.made[name]
            made_id = data.get("id") or str(uuid4())
            if made_id in made and not upsert:
                raise GraphQLError("A duplicate entry was detected")
            parent = name.removesuffix("Target")
            if parent != name and data.get(f"{parent}Id") not in self.made[parent]:
                raise GraphQLError("foreign key")
            person_id = data.get("targetPersonId")
            if person_id is not None and person_id not in self.people:
                raise GraphQLError("foreign key")
            made[made_id] = {**made.get(made_id, {}), **data, "id": made_id}
            self._count(made_id)
            return made[made_id]

        return make

    def _count(self, made_id: str) -> None:
        self.writes[made_id] = self.writes.get(made_id, 0) + 1

    def _find(self, _info: Any, filter: Json, first: int = 60) -> Json:
        self.look_ups += 1
        found = [each for each in self.people.values() if _fits(each, filter)][:first]
        return _connection([self._shown(each) for each in found])

    def _shown(self, person: Json) -> Json:
        tasks = [{"id": str(uuid4()), "task": {"id": str(uuid4()), **t}} for t in person["tasks"]]
        notes = [{"id": str(uuid4()), "note": {"id": str(uuid4()), **n}} for n in person["notes"]]
        deals = [{"id": str(uuid4()), **each} for each in person["opportunities"]]
        return {
            **person,
            "noteTargets": _connection(notes),
            "taskTargets": _connection(tasks),
            "pointOfContactForOpportunities": _connection(deals),
        }

    async def __aenter__(self) -> TwentyServer:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()


def _read_uuid(value: object) -> str:
    if not isinstance(value, str):
        raise GraphQLError("a UUID is a string")
    return str(UUID(value))


def _connection(nodes: list[Json]) -> Json:
    page = {"hasNextPage": False, "hasPreviousPage": False}
    return {"edges": [{"node": node, "cursor": "c"} for node in nodes], "pageInfo": page}


def _fits(value: Any, asked: Json) -> bool:
    """Whether a person, or a part of one, is what a filter asks for; all its keys together."""
    for name, wanted in asked.items():
        if name == "or":
            fits = any(_fits(value, each) for each in wanted)
        elif name == "and":
            fits = all(_fits(value, each) for each in wanted)
        elif name in ("eq", "in", "like", "ilike"):
            fits = compares(name, value, wanted)
        else:
            fits = _fits((value or {}).get(name), wanted)
        if not fits:
            return False
    return True


def compares(name: str, value: Any, wanted: Any) -> bool:
    text = value if isinstance(value, str) or value is None else json.dumps(value)
    if name == "eq":
        return bool(text == wanted)
    if name == "in":
        return text in wanted
    flags = re.IGNORECASE | re.DOTALL if name == "ilike" else re.DOTALL
    parts = [
        ".*" if part == "%" else "." if part == "_" else re.escape(part[-1])
        for part in re.findall(r"\\.|.", wanted, re.DOTALL)
    ]
    return text is not None and re.fullmatch("".join(parts), text, flags) is not None


async def _serve() -> None:
    async with TwentyServer() as server:
        sys.stdout.write(server.url + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
