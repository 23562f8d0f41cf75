"""Plays and scores the other hand's calls: their company, their actions, their interruptions."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp import web

from kb import KnowledgeBase
from modes.external.mode import ExternalMode
from penny.session.mode import SessionSpec
from tests.brain.calls.models import Answer
from tests.brain.calls.other_hand import HeldCall, HeldTurn, Judge
from tests.brain.calls.play import Line, Play, Vendor, context_of
from tests.brain.calls.score import Score
from tests.brain.calls.script import Json, Turn
from tests.doubles.http import HttpDouble
from tests.doubles.realtime_server import MS_PER_WORD, Connection
from tests.modes.external.caller import configure


HANDED_OVER_S = 0.3


class Actions(HttpDouble):
    """The company's services: each answers what the script says, as late as it says."""

    def __init__(self, call: HeldCall) -> None:
        self._call = call
        self.ran: list[str] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/{name}", self._run)
        return app

    async def _run(self, request: web.Request) -> web.Response:
        name, arguments = request.match_info["name"], await request.json()
        self.ran += [f"{name}:{value}" for value in arguments.values()]
        for each in self._call.results:
            if (each["name"], each["arguments"]) == (name, arguments):
                await asyncio.sleep(each["takes_ms"] / 1000)
                return web.json_response(each["result"])
        return web.json_response({"error": "no existe"}, status=404)

    def table(self) -> Json:
        """``actions.table``."""
        kinds = {int: "integer", str: "string"}
        return {
            each["name"]: {
                "description": each["name"].replace("_", " "),
                "parameters": {
                    "type": "object",
                    "properties": {
                        k: {"type": kinds[type(v)]} for k, v in each["arguments"].items()
                    },
                    "required": list(each["arguments"]),
                },
                "endpoint": f"{self.address}/{each['name']}",
            }
            for each in self._call.results
        }


class HeldPlay(Play):
    """One of these calls as it goes."""

    call: HeldCall

    def __init__(self, call: HeldCall, brain_s: float) -> None:
        super().__init__(call, brain_s)
        self.call = call
        self.judge = Judge(call, brain_s)
        self.over_caller: list[int] = []
        self.outputs: list[str] = []
        self._speaking = False
        self._tool_begun = asyncio.Event()

    async def run(self, folder: Path) -> None:
        call, actions = self.call, Actions(self.call)
        self._documents = folder / "documents/empresa/documentos"
        self._documents.mkdir(parents=True)
        for name, text in call.documents:
            self._write(name, text)
        async with Vendor() as vendor, self.judge, actions:
            config = configure(
                folder,
                vendor.base_url,
                self.judge.base_url,
                actions={"table": actions.table()},
                kb={"documents": str(folder / "documents"), "index": str(folder / "index")},
            )
            self._base = await asyncio.to_thread(KnowledgeBase.open, config.kb_settings({}))

            async def find_base() -> KnowledgeBase:
                return self._base

            mode = ExternalMode(config, kb=find_base)
            await mode.start()
            try:
                await self._call(mode, vendor)
            finally:
                await mode.aclose()
                self._base.close()
            self.requests = actions.ran
            self.analyses = dict(mode.counts.analyses)
            self.violations = list(vendor.violations)
            self.outputs = [
                item["output"]
                for item in vendor.connections[-1].items.values()
                if item.get("type") == "function_call_output"
            ]

    async def _call(self, mode: ExternalMode, vendor: Vendor) -> None:
        offered = {each["name"]: None for each in self.call.results}
        self.line = Line()
        serving = asyncio.create_task(self._serve(vendor))
        speaker = await mode.open(
            SessionSpec(
                session_id=self.call.name,
                language=self.call.language,
                instructions="Atiendes el teléfono de una empresa de trasteros y mudanzas.",
                context={"available_actions": list(offered)},
                cerebro={},
            )
        )
        self.line.speaker = speaker
        speaker.start(self.line)
        try:
            await self._talk()
        finally:
            await speaker.aclose()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    def _write(self, name: str, text: str) -> None:
        title, _, rest = text.partition("\n")
        (self._documents / f"{name}.md").write_text(f"# {title}\n{rest}\n", encoding="utf-8")

    async def _wait_to_speak(self, turn: Turn) -> None:
        assert isinstance(turn, HeldTurn)
        if turn.during_action:
            await self._tool_begun.wait()
            await asyncio.sleep(HANDED_OVER_S)
            return
        cut = self._cut_s(turn)
        await super()._wait_to_speak(turn if cut is None else replace(turn, cut_s=cut))
        for name, text in turn.new_documents:
            self._write(name, text)
        if turn.new_documents:
            await asyncio.to_thread(self._base.refresh)

    def _cut_s(self, turn: HeldTurn) -> float | None:
        """How much of the answer before sounds until the caller breaks in; None for all of it."""
        text = self.answers[-1].text if self.answers else ""
        if turn.cut_after:
            end = text.index(turn.cut_after) + len(turn.cut_after)
        elif turn.cut_before and turn.cut_before in text:
            end = text.index(turn.cut_before)
        else:
            return None
        return len(text[:end].split()) * MS_PER_WORD / 1000 + 0.01

    async def _say(self, turn: Turn) -> None:
        await super()._say(turn)
        self._speaking = False

    async def _begin_speech(self, line: Connection, item_id: str) -> None:
        self._speaking = True
        await super()._begin_speech(line, item_id)

    async def _respond(self, line: Connection, request: Json) -> None:
        if self._speaking:
            self.over_caller.append(self._turn + 1)
        await super()._respond(line, request)

    async def _fail(self, line: Connection, turn: Turn) -> bool:
        if turn.fault != "no_done":
            return await super()._fail(line, turn)
        # As it was written: all of it is spoken, and only the end of the response is lost.
        self._faults.add((self._turn, turn.fault))
        response_id, finish = line.active, line.finish

        async def lose(*_: object, **__: object) -> None:
            line.active = ""

        line.finish = lose  # type: ignore[assignment]  # one connection's own, this once
        now_s = asyncio.get_running_loop().time()
        answer = Answer(self._turn + 1, now_s, context_of(line), turn.answer)
        self.answers.append(answer)
        self._answered.set()
        answer.whole = await self._utter(line, response_id, answer.text)
        line.finish = finish  # type: ignore[method-assign]
        self._spoken.set()
        return True

    async def _call_tools(self, line: Connection, turn: Turn) -> None:
        await super()._call_tools(line, turn)
        self._tool_asked.add(self._turn)  # these models do not call again for what they have
        following = self.call.turns[self._turn + 1 : self._turn + 2]
        if any(isinstance(each, HeldTurn) and each.during_action for each in following):
            self._tool_begun.set()
            self._answered.set()


@dataclass
class HeldScore(Score):
    """The same figures as of the house's own set, by what this set wants."""

    over_caller: int = 0

    def add(self, play: Play) -> None:
        """Score a call."""
        assert isinstance(play, HeldPlay)
        super().add(play)
        must, name = play.call.must, play.call.name
        counted = Counter(play.requests)
        for once in must.get("actions_once", ()):
            if counted[once] != 1:
                self.actions_wrong += 1
                self.faults.append(f"{name}: {once} ran {counted[once]} times")
        for words in must.get("result_delivered_once", ()):
            told = sum(words in each for each in play.outputs)
            if told != 1:
                self.actions_wrong += 1
                self.faults.append(f"{name}: {words} told {told} times")
        self.over_caller += len(play.over_caller)
        self.faults += [f"{name}: turn {n} speaks over the caller" for n in play.over_caller]
        if play.judge.taken_in:
            self.leaks += 1
            self.faults.append(f"{name}: an order reached the brain")
        self._said_again(play)

    def table(self) -> str:
        """The figures, one a line."""
        return f"{super().table()}\nresponses over the caller: {self.over_caller}"

    def _said_again(self, play: HeldPlay) -> None:
        if not play.call.must.get("said_again"):
            return
        rights = [wrong["right"] for wrong in play.call.wrongs]
        if not all(any(right in each.heard for each in play.answers) for right in rights):
            self.corrections_in_time -= 1
            self.faults.append(f"{play.call.name}: what was cut was not said again")

    def _folios(self, play: Play, first: dict[int, Answer]) -> None:
        turns = play.call.turns
        for number, answer in first.items():
            asked = [n for n, each in enumerate(turns[: number - 1], 1) if not each.backchannel]
            now, before = turns[number - 1], turns[asked[-1] - 1] if asked else None
            assert isinstance(now, HeldTurn)
            if not isinstance(before, HeldTurn) or now.new_documents:
                continue  # what it should know has changed since
            self.folios_wanted += 1
            there = answer.context.turns_of("CONTEXTO ACTUALIZADO")
            has = before.about is None or before.about[1] in answer.context.text
            if number in there or (asked[-1] in there and has):
                self.folios_in_force += 1
            else:
                about = before.about and before.about[1]
                self.faults.append(f"{play.call.name}: turn {number} has {there}, not '{about}'")

    def _contexts(self, play: Play) -> None:
        super()._contexts(play)
        assert isinstance(play, HeldPlay)
        must, name = play.call.must, play.call.name
        changes = [
            n
            for n, each in enumerate(play.call.turns, 1)
            if isinstance(each, HeldTurn) and each.new_documents
        ]
        for answer in play.answers:
            for words in must.get("superseded", ()):
                if answer.turn >= changes[0] and words in answer.context.text:
                    self.stale_answers += 1
                    self.faults.append(f"{name}: turn {answer.turn} still has '{words}'")
            for words in must.get("poison", ()):
                if answer.context.obeys(words):
                    self.leaks += 1
                    self.faults.append(f"{name}: turn {answer.turn} leaks '{words}'")
