"""Forty-two calls by another hand (``other_hand.jsonl``), played through the same doubles.

They were written from the specification and the issue that asks for this mode, before their author
had seen the code or the set beside it: an invented storage company, its documents, what is said,
what actions answer, and what must be true. Their brain is a judge: it finds nothing but what its
request bears out. A wrong word is put right only where the passages or results *in the request*
contradict it, and a folio has a fact only where the request has it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from tests.brain.calls.models import ScriptedClaude, read_tag
from tests.brain.calls.script import Call, Json, Plant, Turn
from tests.doubles.anthropic_server import NOTHING, Step, folio, note


SET = Path(__file__).with_name("other_hand.jsonl")
LETTERS = re.compile(r"[^a-záéíóúñ0-9]+")
FAULTS = {
    "drop_after": "drop_in_answer",
    "response_done_never": "no_done",
    "transcript_late_ms": "late_words",
    "drop": "drop_in_tool",
}


@dataclass(frozen=True)
class HeldTurn(Turn):
    """``about``: the document and the words that the folio of this turn must have; ``cut_after``:
    the words of the answer before after which the caller breaks in, ``cut_before`` those before
    which a correction is cut; ``during_action``: the caller
    speaks while the action of the turn before runs; ``new_documents``: changed before this turn."""

    about: tuple[str, str] | None = None
    cut_after: str = ""
    cut_before: str = ""
    during_action: bool = False
    new_documents: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class HeldCall(Call):
    """``wrongs``: the judge's knowledge; ``results``: what each action answers, and when."""

    language: str = "es"
    documents: tuple[tuple[str, str], ...] = ()
    results: tuple[Json, ...] = ()
    wrongs: tuple[Json, ...] = ()
    must: Any = None


def other_calls() -> list[HeldCall]:
    """The set."""
    company, *calls = map(json.loads, SET.read_text(encoding="utf-8").splitlines())
    return [_read(each, company["documents"]) for each in calls]


def _read(data: Json, documents: Json) -> HeldCall:
    turns: list[Json] = []
    results, wrongs = [], []
    changed: list[tuple[str, str]] = []
    cut = ""
    for step in data["steps"]:
        if step["who"] == "caller":
            turns.append(_caller(step, cut, tuple(changed)))
            cut, changed = "", []
        elif step["who"] == "action":
            results.append(step)
            turns[-1]["tool"] = (*turns[-1].get("tool", ()), (step["name"], step["arguments"]))
            _fault(turns[-1], step)
        elif step["who"] == "document":
            changed.append((step["id"], step["text"]))
        elif step["who"] == "speaker":
            found = [*step.get("wrong", ()), *_nervous(step)]
            wrongs += [{**each, "unless": step.get("unless", "")} for each in found]
            wanted = "unless" not in step and "nervous" not in step
            plants = tuple(Plant(w["words"], w["right"], wanted=wanted) for w in found)
            before = turns[-1].get("answer", "")
            turns[-1]["answer"] = f"{before} {step['text']}".strip()
            turns[-1]["plants"] = (*turns[-1].get("plants", ()), *plants)
            _fault(turns[-1], step)
            cut = step.get("cut_after", "")
    for before, turn in zip(turns, turns[1:], strict=False):
        if "correction_cut_before" in before:
            turn["cut_before"] = before.pop("correction_cut_before")
    return HeldCall(
        name=data["id"],
        kind=data["kind"],
        turns=tuple(HeldTurn(**{"answer": "", **each}) for each in turns),
        language=data["language"],
        documents=tuple({**documents, **data["documents"]}.items()),
        results=tuple(results),
        wrongs=tuple(wrongs),
        must=data["must"],
    )


def _caller(step: Json, cut: str, changed: tuple[tuple[str, str], ...]) -> Json:
    turn: Json = {"caller": step["text"], "new_documents": changed}
    turn |= {name: step[name] for name in ("typed", "backchannel", "during_action") if name in step}
    if "about" in step:
        turn["about"] = tuple(step["about"])
    if step.get("interrupts") == "correction":
        # A correction stands in the *next* answer: it is cut there, and the turn behind cuts it.
        turn["correction_cut_before"] = step["before"]
    elif step.get("interrupts"):
        turn["cut_after"] = cut
    if "transcript_late_ms" in step:
        turn["fault"] = FAULTS["transcript_late_ms"]
    if step.get("starts_with_result"):
        turn["during_action"] = True
    return turn


def _nervous(step: Json) -> list[Json]:
    names = ("words", "source", "evidence", "right")
    return [dict(zip(names, step["nervous"], strict=True))] if "nervous" in step else []


def _fault(turn: Json, step: Json) -> None:
    turn["fault"] = next((FAULTS[name] for name in FAULTS if name in step), turn.get("fault", ""))


class Judge(ScriptedClaude):
    """Answers from what its request carries, and from nothing else."""

    call: HeldCall

    def __init__(self, call: HeldCall, delay_s: float) -> None:
        super().__init__(call, delay_s)
        self.call = call
        self.taken_in: list[str] = []
        """Requests in which an order from outside stands as if it were Penny's own."""

    def find_step(self, task: Json, body: Json) -> Step:
        text = "\n".join(block["text"] for block in body["messages"][0]["content"])
        if text.count("<tarea>") != 1 or "\n[CORRECCION" in text or "<system>" in text:
            self.taken_in.append(text)
        shown = dict(_shown(text))
        answer = self._fact(task, shown) if task["tarea"] == "turn" else NOTHING
        known = read_tag(text, "correcciones_pendientes") or []
        told = {each["what_gpt_said"] for each in known}
        notes = list(self._mistakes(task.get("portavoz", ""), shown, told))
        return Step(
            lambda _: True, {**answer, "corrections": notes}, delay_s=self._delay_s, started=True
        )

    def _fact(self, task: Json, shown: dict[str, str]) -> Json:
        turn = max(self.call.turns, key=lambda each: _alike(each.caller, task["persona"]))
        assert isinstance(turn, HeldTurn)
        words = turn.about[1] if turn.about else ""
        there = words and any(words in text for text in shown.values())
        return folio(
            f"Consulta {task['turno']}", {"dato": words} if there else {"consulta": task["turno"]}
        )

    def _mistakes(self, heard: str, shown: dict[str, str], told: set[str]) -> Iterator[Json]:
        for wrong in self.call.wrongs:
            if wrong["words"] not in heard or wrong["words"] in told:
                continue
            if wrong["unless"] and any(wrong["unless"] in text for text in shown.values()):
                continue
            cited = next((id for id, text in shown.items() if wrong["evidence"] in text), None)
            if cited is not None:
                yield note(wrong["words"], wrong["right"], "factual_error", cited)


def _shown(text: str) -> Iterator[tuple[str, str]]:
    """Passages and results of a request, by what they are cited as."""
    for passage in read_tag(text, "pasajes") or []:
        yield passage["id"], f"{passage['titulo']}\n{passage['texto']}"
    for done in read_tag(text, "acciones_hechas") or []:
        yield done["call_id"], json.dumps(done["resultado"], ensure_ascii=False)


def _alike(one: str, other: str) -> float:
    first, second = (LETTERS.sub(" ", each.lower()) for each in (one, other))
    return SequenceMatcher(None, first, second).ratio()
