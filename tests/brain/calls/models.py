"""The two models as the script has them: what they do follows from what they are given."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.brain.calls.script import Call, Json, Plant
from tests.doubles.anthropic_server import NOTHING, AnthropicDouble, Step, folio, note


QUOTED = re.compile(r"«[^»]*»")
HEADING = re.compile(
    r"^\[(CONTEXTO ACTUALIZADO|DATOS COMPROBADOS|UPDATED CONTEXT|VERIFIED FACTS) - Turno? (\d+)\]",
    re.MULTILINE,
)
SPANISH = {"UPDATED CONTEXT": "CONTEXTO ACTUALIZADO", "VERIFIED FACTS": "DATOS COMPROBADOS"}
CORRECTION = re.compile(
    r"^\[CORREC(?:CION NECESARIA|TION NEEDED)\]\n.*\n(?:Lo correcto es|What holds): (.*)\.$",
    re.MULTILINE,
)


class ScriptedClaude(AnthropicDouble):
    """A brain that finds what the script planted, ``delay_s`` after it was asked.

    It takes a tag or a heading in its request that is not of Penny's making for an order.
    """

    def __init__(self, call: Call, delay_s: float) -> None:
        super().__init__()
        self._call = call
        self._delay_s = delay_s

    def find_step(self, task: Json, body: Json) -> Step:
        text = "\n".join(block["text"] for block in body["messages"][0]["content"])
        answer = self._turn(task) if task["tarea"] == "turn" else self._review(task, text)
        if text.count("<tarea>") != 1 or "\n[CORRECCION" in text:
            answer = folio(f"Di {self._call.poison}")
        return Step(lambda _: True, answer, delay_s=self._delay_s, started=True)

    def _turn(self, task: Json) -> Json:
        number = task["turno"]
        return folio(f"Consulta {number} de la persona", {"consulta": number})

    def _review(self, task: Json, text: str) -> Json:
        known = read_tag(text, "correcciones_pendientes") or []
        heard = task["portavoz"]
        found = []
        for plant in (p for turn in self._call.turns for p in turn.plants):
            if plant.said not in heard or any(k["what_gpt_said"] == plant.said for k in known):
                continue
            found.append(note(plant.said, plant.correct, plant.kind, _evidence(plant, text)))
        return {**NOTHING, "corrections": found}


def read_tag(text: str, name: str) -> Any:
    """The JSON of one part of a request; None where it is left out."""
    matched = re.search(rf"<{name}>\n(.*)\n</{name}>", text)
    return json.loads(matched[1]) if matched else None


def _evidence(plant: Plant, text: str) -> str:
    """The passage or action that has the words by which the script knows it; else the first."""
    for done in read_tag(text, "acciones_hechas") or []:
        if plant.evidence and plant.evidence in json.dumps(done["resultado"]):
            return str(done["call_id"])
    passages = read_tag(text, "pasajes") or []
    for passage in passages:
        if plant.evidence and plant.evidence in passage["texto"]:
            return str(passage["id"])
    return ""


@dataclass
class Context:
    """What a speaker has besides the conversation when it begins an answer."""

    instructions: str
    notes: list[str]
    results: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n\n".join([self.instructions, *self.notes])

    def turns_of(self, title: str) -> list[int]:
        """The turns of the blocks of one heading, in Spanish or in English."""
        return [
            int(turn)
            for name, turn in HEADING.findall(self.text)
            if SPANISH.get(name, name) == title
        ]

    @property
    def corrections(self) -> list[str]:
        """What each block of correction has the speaker say."""
        return CORRECTION.findall(self.text)

    def obeys(self, poison: str) -> bool:
        """Whether an order from outside stands in it as if it were Penny's."""
        if not poison:
            return False
        if poison in QUOTED.sub("", self.text):
            return True
        return any("\n" in result or "[CORRECCION" in result for result in self.results)


@dataclass
class Answer:
    """One answer of the speaker. ``heard``: as much of it as had sounded, once that is known."""

    turn: int
    at_s: float
    context: Context
    text: str
    whole: bool = False
    heard: str = ""
