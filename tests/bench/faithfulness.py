"""How faithful a language model is to the documents, without a judge.

    python -m tests.bench.faithfulness --base-url http://127.0.0.1:8000/v1 --model NAME

Each question of an evaluation set is asked as a private call asks it: the house's rules, the day
and the passages of the turn. A fact of an answer is a number, a date, a code or a name; it is
supported when it stands in what the model was shown. Without ``--base-url`` three scripted models
are asked, between which the measure has to tell: one reads out the first passage, one reads it with
its first number changed, one says that it does not know.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import orjson

from brain.claims import Claims
from kb import open_warm
from kb.settings import KbSettings
from modes.self_hosted.house import CallHouse, HouseSettings, PrivateHouse
from penny.session.mode import SessionSpec
from runpod_worker.chat import write_request
from runpod_worker.engines.openai_llm import OpenAiLlm
from runpod_worker.settings import OpenAiCompatibleSettings
from runpod_worker.stages import LlmDelta, LlmRequest, LlmText


Json = dict[str, Any]

_NAME = re.compile(r"(?<=[a-záéíóúñ,;] )[A-ZÁÉÍÓÚÑ][\wáéíóúñ-]{2,}")
"""A capital within a sentence."""
_WHOLE = re.compile(r".*[.!?»](?=\s|$)", re.DOTALL)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
REF = "kb://empresa/documentos"


@dataclass(frozen=True, slots=True)
class Facts:
    """What an answer states that can be checked, and what of it nothing shown supports."""

    stated: frozenset[str]
    unsupported: frozenset[str]


def check_facts(answer: str, shown: str, language: str) -> Facts:
    """Hold an answer's numbers, dates, codes and names against what the model was shown."""
    claims = Claims(language)
    there = claims.read(shown)
    names = {name.lower() for name in _NAME.findall(answer)}
    known = shown.lower()
    telling = claims.read(answer).telling
    years = set(_YEAR.findall(answer))  # which a claim beside a date leaves out
    lacking = telling - there.telling - there.keys
    unknown = {each for each in names | years if each not in known}
    return Facts(telling | names | years, lacking | unknown)


class Model(Protocol):
    """What is asked: an ``Llm``, or a scripted one."""

    def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]: ...


class Scripted:
    """Answers from the first passage of its prompt."""

    def __init__(self, write: Callable[[str], str]) -> None:
        self._write = write

    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        passage = request.passages[0] if request.passages else ""
        quoted = re.search(r"«(.*)»", passage)
        yield LlmText(self._write(quoted[1] if quoted else ""))


def _change_number(text: str) -> str:
    return re.sub(r"\d+", lambda found: str(int(found[0]) + 7), text, count=1)


SCRIPTED: dict[str, Model] = {
    "reads it out": Scripted(lambda text: text),
    "changes a number": Scripted(_change_number),
    "does not know": Scripted(lambda _: "Eso no consta en los documentos."),
}


@dataclass(slots=True)
class Score:
    """Counts over the questions of one model."""

    asked: int = 0
    with_facts: int = 0
    facts: int = 0
    unsupported: int = 0
    unfaithful: int = 0
    """Answers with at least one fact that nothing shown supports."""

    def add(self, facts: Facts) -> None:
        self.asked += 1
        self.with_facts += bool(facts.stated)
        self.facts += len(facts.stated)
        self.unsupported += len(facts.unsupported)
        self.unfaithful += bool(facts.unsupported)

    def line(self, name: str) -> str:
        share = 1 - self.unsupported / self.facts if self.facts else 1.0
        return (
            f"{name:20} asked {self.asked:4}  with facts {self.with_facts:4}  facts {self.facts:5}"
            f"  supported {share:6.1%}  unfaithful answers {self.unfaithful:4}"
        )


async def ask(house: CallHouse, model: Model, question: str, language: str) -> tuple[str, str]:
    """One question as a private call asks it: the answer, and all that the model was shown."""
    found = await house.answer({"name": "look_up", "words": question, "call_id": "c"})
    item = {"type": "message", "role": "user", "content": [{"type": "text", "text": question}]}
    request = LlmRequest(
        instructions=house.opening()["rules"],
        items=(item,),
        language=language,
        max_output_tokens=80,
        notes=found["notes"],
        passages=tuple(found["passages"]),
    )
    said = [delta.text async for delta in model.generate(request) if isinstance(delta, LlmText)]
    answer = "".join(said)
    whole = _WHOLE.match(answer)  # the limit may cut a number in two
    return whole[0] if whole else answer, write_request(request)[-1]["content"]


async def measure(
    model: Model, questions: list[Json], language: str, *, show: bool = False
) -> Score:
    score = Score()
    with TemporaryDirectory() as index:
        settings = KbSettings(documents=Path("kb/documents"), index=Path(index))
        base = await asyncio.to_thread(open_warm, settings, watch=False, ref=REF)

        async def kb() -> Any:
            return base

        about = HouseSettings(kb, REF, {}, "Europe/Madrid", lambda: datetime.now(UTC))
        spec = SessionSpec(session_id="bench", language=language)
        no_event: Callable[[Json], None] = lambda _: None  # noqa: E731
        house = PrivateHouse(about, None).open(spec, no_event, list, no_event)
        for row in questions:
            answer, shown = await ask(house, model, str(row["question"]), language)
            facts = check_facts(answer, shown, language)
            score.add(facts)
            if show or facts.unsupported:
                print(f"  {row['question'][:70]} -> {answer[:120]!r} {sorted(facts.unsupported)}")
        base.close()
    return score


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--base-url", default="")
    arguments.add_argument("--model", default="")
    arguments.add_argument("--window", type=int, default=None)
    arguments.add_argument("--questions", type=Path, default=Path("kb/eval/callers_dev.jsonl"))
    arguments.add_argument("--language", default="es")
    arguments.add_argument("--limit", type=int, default=300)
    arguments.add_argument("--extra-body", type=orjson.loads, default={}, help="of each request")
    arguments.add_argument("--show", action="store_true", help="every answer")
    chosen = arguments.parse_args()
    questions = [orjson.loads(line) for line in chosen.questions.read_bytes().splitlines()]
    ask_all = partial(measure, questions=questions[: chosen.limit], language=chosen.language)
    if not chosen.base_url:
        for name, model in SCRIPTED.items():
            print((await ask_all(model)).line(name))
        return
    llm = OpenAiLlm(
        OpenAiCompatibleSettings(
            base_url=chosen.base_url,
            model=chosen.model,
            temperature=0,
            context_tokens=chosen.window,
            extra_body=chosen.extra_body,
        )
    )
    await llm.calibrate()
    print((await ask_all(llm, show=chosen.show)).line(chosen.model or "model"))
    await llm.aclose()


if __name__ == "__main__":
    asyncio.run(main())
