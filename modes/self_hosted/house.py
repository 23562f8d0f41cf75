"""What a private call knows and may do, inside the house: passages, the day, the caller, actions.

The worker asks (``runpod_worker/house.py``) and this answers; nothing of it leaves but to what the
configuration names. A call's actions run here, once each, whatever becomes of the worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from brain.actions import SEARCH_TOOL, ActionDesk, choose_actions, offer_tools
from brain.analysis import Excerpt
from brain.brain import DAYS
from brain.claims import Claims
from brain.render import clean_text, dump_quoted, quote, quote_json
from brain.texts import texts_of
from brain.thinking import Library, as_passages
from brain.tool_desk import ActionRunner, ToolDesk
from config.brain import Action
from kb import KnowledgeBase
from kb.normal.months import MONTHS
from penny.aio.allow_list import AllowList
from penny.aio.tasks import TaskOwner
from penny.localized import language_of
from penny.session.mode import SessionSpec
from penny.trust.public_http import is_inward_as_written, name_of
from penny.writable import dump_json
from runpod_worker.house import LOOK_UP


log = structlog.get_logger()

Json = dict[str, Any]

Take = Callable[[Json], None]

OPENING_ID = "pennyhouse"
"""Of the event that opens the house; workers of an earlier version refuse it."""
PASSAGES = 10
"""Shown for a turn. On the 180 questions of ``kb/eval/callers_dev.jsonl`` that have an answer it is
among them 169 times (``brain/facts.py``)."""
SEARCH_LIMIT_S = 0.5
"""Less than what a worker waits for a turn's notes, which come without passages then."""
RECORDS = 8
"""Newest of what was done, told with each turn."""
SUMMARY_ITEMS = 12
CITED = 3
LEAST_SHARED = 0.3
"""Of what an answer states, for a passage to be what it rests on."""


@dataclass(frozen=True, slots=True)
class HouseSettings:
    """What every private call has behind it. ``now``: the time, with a zone."""

    kb: Callable[[], Awaitable[KnowledgeBase | None]] | None
    ref: str
    actions: Mapping[str, Action]
    zone: str
    now: Callable[[], datetime]


class PrivateHouse:
    """The house of a mode's calls.

    Args:
        hosts: whom private sessions may reach: an action elsewhere is not offered.
    """

    def __init__(self, settings: HouseSettings, hosts: AllowList | None) -> None:
        self.settings = settings
        self.actions = {
            name: action
            for name, action in settings.actions.items()
            if _stays(action, hosts or AllowList())
        }
        if away := sorted(settings.actions.keys() - self.actions.keys()):
            remedy = "name their host in privacy.allowed_hosts, or private_network: true"
            log.warning("actions_not_private", actions=away, remedy=remedy)
        self.runner = ActionRunner(self.actions)

    def open(
        self, spec: SessionSpec, tell: Take, said: Callable[[], list[Json]], reply: Take
    ) -> CallHouse:
        """The house behind one call; ``tell``, ``said`` and ``reply`` as of ``CallHouse``."""
        return CallHouse(self, spec, tell, said, reply)

    async def aclose(self) -> None:
        await self.runner.aclose()


class CallHouse:
    """What one call knows and may do.

    Args:
        tell: takes ``penny.tool_call``, ``penny.handoff``, ``penny.recording``, ``penny.sources``.
        said: the conversation's items, for a person who takes over.
        reply: sends an event to the call's worker, whichever it is.
    """

    def __init__(
        self,
        house: PrivateHouse,
        spec: SessionSpec,
        tell: Take,
        said: Callable[[], list[Json]],
        reply: Take,
    ) -> None:
        self._house = house
        self._settings = house.settings
        self._spec = spec
        self._tell = tell
        self._said = said
        self._reply = reply
        self._tasks = TaskOwner("house")
        self._language = language_of(spec.language)
        self._texts = texts_of(spec.language)
        self._library: Library | None = None
        self._turns: dict[str, int] = {}
        self._found: dict[str, Excerpt] = {}
        self._known = {name: spec.context[name] for name in spec.context if spec.context[name]}
        self._known.pop("available_actions", None)
        actions, self._undeclared = choose_actions(
            house.actions, spec.context.get("available_actions") or ()
        )
        self._has_search = self._settings.kb is not None
        self.tools = offer_tools(actions, spec.language, search=self._has_search)
        about: Json = {
            "session_id": spec.session_id,
            "language": spec.language,
            "user_id": spec.context.get("user_id"),
            "tenant": spec.tenant,
        }
        desk = ActionDesk(actions, spec.session_id, spec.language)
        self._desk = ToolDesk(desk, house.runner, self._look_up, tell, self._summarise, about)

    def opening(self) -> Json:
        """The event that opens the house to a worker."""
        rules = [self._texts["house"]] + [self._texts["look"]] * self._has_search
        about = {"rules": " ".join(rules), "tools": self.tools}
        return {"type": "penny.house.open", "event_id": OPENING_ID, **about}

    def warnings(self) -> list[Json]:
        """What of the caller's wishes is not there."""
        field = "context.available_actions"
        return [
            {
                "type": "penny.warning",
                "code": "field_ignored",
                "message": f"{field}: '{name}' is not declared in penny.yaml, or not private",
                "field": field,
            }
            for name in self._undeclared
        ]

    def takes(self, event: Json) -> bool:
        """Whether a worker's event is the house's; then it is answered."""
        if event["type"] == "penny.house.call":
            self._tasks.spawn(self._serve(event), name="call")
            return True
        return event["type"] == "error" and bool(event["error"].get("event_id") == OPENING_ID)

    def answered(self, response: Json) -> None:
        """A response has ended: tell what it rests on."""
        self._tasks.spawn(self._cite(response), name="sources")

    async def aclose(self) -> None:
        await self._tasks.aclose()

    async def _serve(self, event: Json) -> None:
        try:
            answer = await self.answer(event)
        except Exception:
            log.exception("house_failed", session_id=self._spec.session_id)
            answer = {"type": "penny.house.result", "call_id": event.get("call_id"), "output": ""}
        self._reply(answer)

    async def answer(self, event: Json) -> Json:
        """The ``penny.house.result`` of one ``penny.house.call``."""
        answer: Json = {"type": "penny.house.result", "call_id": event.get("call_id")}
        words, item_id = str(event.get("words") or ""), str(event.get("item_id") or "")
        if event.get("name") == LOOK_UP:
            found = await self._search(words)
            self._found = {each.id: each for each in found}
            passages = [self._passage(each) for each in found]
            return {**answer, "notes": self._notes(bool(found)), "passages": passages}
        if item_id not in self._turns:
            self._turns[item_id] = self._number(item_id)
        result = await self._desk.run(
            str(event.get("call_id")),
            str(event.get("name")),
            str(event.get("arguments") or ""),
            self._turns[item_id],
            words,
        )
        return {**answer, "output": dump_json(result).decode()}

    def _number(self, item_id: str) -> int:
        """Which of the caller's turns this is: those without an action count too, since a yes is
        an answer for a few turns only."""
        own = [item.get("id") for item in self._said() if item.get("role") == "user"]
        place = own.index(item_id) + 1 if item_id in own else len(own) + 1
        return max(place, max(self._turns.values(), default=0) + 1)

    async def _cite(self, response: Json) -> None:
        """Tell the passages that an answer in the conversation rests on, where it rests on some."""
        found = tuple(self._found.values())
        for item in response.get("output") or () if response.get("conversation_id") else ():
            parts = item.get("content") or ()
            said = " ".join(part.get("transcript") or part.get("text") or "" for part in parts)
            cited = await asyncio.to_thread(cite, said, found, self._language) if said else ()
            if cited:
                passages = list(as_passages(cited))
                self._tell({"type": "penny.sources", "item_id": item["id"], "passages": passages})

    async def _search(self, words: str) -> tuple[Excerpt, ...]:
        """What may answer; nothing while the documents are opened or the search takes too long."""
        try:
            async with asyncio.timeout(SEARCH_LIMIT_S):
                if self._library is None and self._settings.kb is not None:
                    base = await self._settings.kb()
                    ref = self._spec.cerebro.get("knowledge_base_ref") or self._settings.ref
                    self._library = Library(base, ref, self._language)
                if self._library is not None:
                    search = partial(self._library.search, words, PASSAGES, sure=False)
                    return await asyncio.to_thread(search)
        except TimeoutError:
            log.warning("search_too_slow", session_id=self._spec.session_id)
        return ()

    async def _look_up(self, query: str) -> Json:
        """The output of ``search_knowledge``."""
        found = await self._search(query)
        self._found |= {each.id: each for each in found}
        if not found:
            return {"status": "nothing_found", "message": self._texts["nothing"]}
        shown = [{"source": e.source, "title": e.title, "text": e.text} for e in found]
        return {"status": "ok", "note": self._texts["quoted"], "passages": quote_json(shown)}

    def _passage(self, each: Excerpt) -> str:
        title = f"{clean_text(each.title)}: " if each.title else ""
        return f"- {title}{quote(each.text, each.source or each.id, self._language)}"

    def _notes(self, has_passages: bool) -> str:
        zone = self._settings.zone
        now = self._settings.now().astimezone(ZoneInfo(zone))
        lines = [
            self._texts["now"].format(
                day=DAYS[self._language][now.weekday()],
                n=now.day,
                month=MONTHS[self._language][now.month - 1],
                year=now.year,
                hour=now.strftime("%H:%M"),
                zone=zone,
            )
        ]
        if self._known:
            lines.append(self._texts["about"].format(dump_quoted(self._known)))
        done = [each for each in self._desk.records if each.name != SEARCH_TOOL][-RECORDS:]
        if done:
            lines.append(self._texts["done"])
            lines += [
                f"- {each.name} {dump_quoted(each.arguments)}: {each.status}"
                + (f" {dump_quoted(each.result)}" if each.result is not None else "")
                for each in done
            ]
        return "\n".join(lines + [self._texts["passages"]] * has_passages)

    def _summarise(self) -> str:
        who = {"user": self._texts["caller"], "assistant": "Penny"}
        lines = []
        for item in self._said()[-SUMMARY_ITEMS:]:
            parts = item.get("content") or ()
            words = " ".join(p.get("text") or p.get("transcript") or "" for p in parts).strip()
            if words and item.get("role") in who:
                lines.append(f"{who[item['role']]}: {words}")
        return "\n".join(lines)


def cite(answer: str, found: tuple[Excerpt, ...], language: str) -> tuple[Excerpt, ...]:
    """The passages that an answer rests on, the one that supports most of it first.

    Numbers and dates count thrice. A short passage is read with its neighbours, so several may
    hold the same words: the heading tells whose they are, and a further one has to support more.
    """
    claims = Claims(language)
    said = claims.read(answer)
    left = {key: 3 if key in said.telling else 1 for key in said.keys | said.telling}
    least = max(1.0, LEAST_SHARED * sum(left.values()))
    read = [(each, claims.read(each.title).keys, claims.read(each.text).keys) for each in found]
    cited: list[Excerpt] = []
    while read and len(cited) < CITED:
        best = max(
            read,
            key=lambda one: sum(
                w + (key in one[1]) for key, w in left.items() if key in one[2] | one[1]
            ),
        )
        supported = {key for key in left if key in best[1] | best[2]}
        if sum(left[key] for key in supported) < least:
            break
        cited.append(best[0])
        left = {key: weight for key, weight in left.items() if key not in supported}
    return tuple(cited)


def _stays(action: Action, hosts: AllowList) -> bool:
    """Whether running it stays within the house and its configured hosts."""
    urls = [url for url in (action.endpoint, action.preview) if url is not None]
    return action.private_network or all(
        is_inward_as_written(url) or hosts.allows(*name_of(url)) for url in urls
    )
