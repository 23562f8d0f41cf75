"""The steps that a kept call goes through, by the same decisions that are made live.

Every value names the turns it was taken from; one that they do not hold is dropped and counted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from statistics import fmean
from typing import Any, Protocol

import jiwer
import numpy as np

from config.analysis import RuleSection
from penny.analysis import (
    compliance,
    entities,
    intent,
    promises,
    results,
    sentiment,
    signs,
    told,
)
from penny.analysis.batch.graph import Skipped, Step, Work
from penny.analysis.classifier import Array
from penny.analysis.dialogue import Said, of_caller, said_in
from penny.analysis.heads import Head
from penny.calls.record import Call, Turn
from penny.calls.rows import fold


Json = dict[str, Any]

DIFFERS = 0.20
"""Word error between two transcripts from which the later one is taken."""
INTENT_TURNS = 4
"""First turns of the caller that are asked what they want."""
ENTITIES_VERSION = 2
TRANSCRIPT_VERSION = 1


class Understands(Protocol):
    """Language models of calls that are over."""

    def name_for(self, call: Call) -> str:
        """The model that may read a call; '' where none may."""

    async def tell(self, call: Call, said: Sequence[Said]) -> Json:
        """What a call came to (``told.hold_against``), with ``usage``.

        Raises:
            Skipped: no model may read it, with the reason.
            Throttled: the model refuses for now.
            PennyError: it is away, or its answer is not what was asked for.
        """


@dataclass(frozen=True, slots=True)
class Tools:
    """What steps work with.

    Args:
        embed: vectors of sentences; None: words alone.
        hear: a turn of a call -> its words by another engine, None where its sound is not kept.
        no_ears: why ``hear`` is None.
        heard_share: by tenant, of the calls that are heard again.
        rules: of a tenant.
        country: of telephone numbers.
        models: language models; None: none is asked.
    """

    rules: Callable[[str], tuple[RuleSection, ...]]
    embed: Callable[[Sequence[str]], Array] | None = None
    heads: dict[str, Head] | None = None
    hear: Callable[[Call, Turn], Awaitable[str | None]] | None = None
    ears: str = ""
    no_ears: str = "no engine that hears freely is set up here"
    heard_share: Callable[[str], float] = lambda _tenant: 1.0
    country: str = "ES"
    models: Understands | None = None


async def _transcript(work: Work) -> Json:
    """Hear the caller again, and compare."""
    tools: Tools = work.tools
    if work.call.sound.get("state") != "stored":
        raise Skipped("its sound is not kept")
    if tools.hear is None:
        raise Skipped(tools.no_ears)
    share = tools.heard_share(work.call.tenant)
    if int(sha256(work.call.id.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF >= share:
        raise Skipped("it is not among the share that is heard again")
    pairs: list[tuple[str, str]] = []
    words: dict[int, str] = {}
    for position, turn in enumerate(work.call.turns):
        if turn.input != "speech" or not turn.words or turn.is_masked:
            continue
        again = await tools.hear(work.call, turn)
        if again and (live := fold(turn.words)):
            pairs.append((live, fold(again)))
            words[position] = again
    if not pairs:
        raise Skipped("no turn of it can be heard again")
    differs = measure_disagreement(pairs)
    is_taken = differs["disagreement"] > DIFFERS
    return {
        **differs,
        "engine": tools.ears,
        "is_taken": is_taken,
        "words": words if is_taken else {},
    }


def measure_disagreement(pairs: Sequence[tuple[str, str]]) -> Json:
    """Word error between two transcripts of the same turns; neither is the truth.

    Args:
        pairs: the words heard live, not empty, and those heard later.
    """
    differs = jiwer.process_words([a for a, _ in pairs], [b for _, b in pairs])
    return {
        "disagreement": round(min(1.0, differs.wer), 4),
        "substitutions": differs.substitutions,
        "deletions": differs.deletions,
        "insertions": differs.insertions,
    }


def _sentiment(work: Work) -> Json:
    spoken = of_caller(work.said)
    if not spoken:
        raise Skipped("the caller said nothing")
    texts = [each.text for each in spoken]
    vectors, head = _vectors(work, texts, "sentiment")
    moods = sentiment.judge(texts, vectors, head)
    scores = [mood.score for mood in moods]
    quarter = max(1, len(scores) // 4)
    # What is said last counts more: a call that ends well is not one that ends badly.
    mean = fmean([*scores, *scores[-quarter:]])
    return {
        "engine": "words+vectors" if head is not None else "words",
        "version": sentiment.VERSION,
        "score": round(mean, 3),
        "level": sentiment.level_of(mean),
        "start": round(fmean(scores[:quarter]), 3),
        "end": round(fmean(scores[-quarter:]), 3),
        "trend": [round(score, 2) for score in scores],
        "turns": [
            {"turn": said.turn, "level": mood.level, "score": mood.score}
            for said, mood in zip(spoken, moods, strict=True)
        ],
    }


def _intent(work: Work) -> Json:
    spoken = of_caller(work.said)[:INTENT_TURNS]
    if not spoken:
        raise Skipped("the caller said nothing")
    texts = [each.text for each in spoken]
    vectors, head = _vectors(work, texts, "intent")
    found = intent.classify(texts, vectors, head)
    best = max(range(len(found)), key=lambda at: found[at].confidence)
    return {
        "engine": "examples+vectors" if head is not None else "examples",
        "version": intent.VERSION,
        "name": found[best].told,
        "confidence": found[best].confidence,
        "turn": spoken[best].turn,
        "turns": [spoken[best].turn],
        "all": [
            {"turn": said.turn, "name": each.told, "confidence": each.confidence}
            for said, each in zip(spoken, found, strict=True)
        ],
    }


def _vectors(work: Work, texts: Sequence[str], what: str) -> tuple[Array | None, Head | None]:
    tools: Tools = work.tools
    head = (tools.heads or {}).get(what)
    if tools.embed is None or not head:
        return None, None
    if new := [text for text in dict.fromkeys(texts) if text not in work.vectors]:
        work.vectors.update(zip(new, tools.embed(new), strict=True))
    return np.stack([work.vectors[text] for text in texts]), head


def _entities(work: Work) -> Json:
    found: list[Json] = []
    for each in of_caller(work.said):
        for entity in entities.find_entities(each.text, work.tools.country):
            text = each.text[entity.start : entity.end]
            found.append(
                {"kind": entity.kind, "value": entity.value, "text": text, "turns": [each.turn]}
            )
    return {"entities": found}


def _signs(work: Work) -> Json:
    state = signs.State()
    moods = {each["turn"]: each for each in work.results["sentiment"]["turns"]}
    highest, turns = 0.0, state.turns
    alerts: list[Json] = []
    for each in work.said:
        if each.side == "penny":
            state = signs.answer(state, each.turn, each.text)
        else:
            told = moods[each.turn]
            mood = sentiment.Mood(told["level"], told["score"], 1.0)
            state = signs.hear(state, each.turn, each.text, mood)
        if state.frustration > highest:
            highest, turns = state.frustration, state.turns
        if state.is_alarming and not alerts:
            about = {"turns": list(state.turns), "score": -state.frustration}
            alerts.append({"kind": "sentiment", "reason": "frustration", **about})
    return {
        "frustration": highest,
        "turns": list(turns),
        "signs": [asdict(sign) for sign in state.signs],
        "alerts": alerts,
    }


async def _model(work: Work) -> Json:
    """Ask a language model what the call came to, and keep what its turns hold."""
    models = work.tools.models
    if models is None:
        raise Skipped("no language model is asked: analysis.model is off")
    if not of_caller(work.said):
        raise Skipped("the caller said nothing")
    answer = await models.tell(work.call, work.said)
    found = told.hold_against(answer, work.said)
    return {"engine": models.name_for(work.call), "usage": answer["usage"], **found}


def _told(work: Work) -> Json:
    """What the model told; empty where none did."""
    return work.results.get("model", {})


def _topics(work: Work) -> Json:
    name = work.results["intent"]["name"]
    topics = _told(work).get("topics") or results.find_topics(
        work.said, None if name == intent.OTHER else name
    )
    return {"topics": topics, "keywords": results.find_keywords(work.said)}


def _promises(work: Work) -> Json:
    found = promises.find_promises(work.said)
    return {"promises": [{"text": each.text, "turns": [each.turn]} for each in found]}


def _compliance(work: Work) -> Json:
    name = work.results["intent"]["name"]
    verdicts = compliance.judge_rules(work.tools.rules(work.call.tenant), work.said, name)
    return {"rules": [asdict(each) for each in verdicts]}


def _outcome(work: Work) -> Json:
    outcome, reason, turns = results.find_outcome(work.call, work.said)
    better = _told(work).get("outcome")
    if better and outcome in results.BY_WORDS:  # what was done is known better than by its words
        engine = {"engine": _told(work)["engine"]}
        return {
            "outcome": better["name"], "reason": better["quote"], "turns": better["turns"], **engine
        }  # fmt: skip
    return {"outcome": outcome, "reason": reason, "turns": turns, "engine": "words"}


def _quality(work: Work) -> Json:
    made = work.results
    kinds = [sign["kind"] for sign in made["signs"]["signs"]]
    return results.find_quality(
        work.call,
        {
            "outcome": made["outcome"]["outcome"],
            "sentiment": made["sentiment"]["score"],
            "asked_again": kinds.count("asked_again"),
            "answered_again": kinds.count("answered_again"),
            "rule_broken": sum(not each["kept"] for each in made["compliance"]["rules"]),
            "no_answer": results.count_no_answers(work.said),
        },
    )


def _summary(work: Work) -> Json:
    if text := _told(work).get("summary"):
        turns = _told(work)["summary_turns"]
        return {"text": text, "turns": turns, "engine": _told(work)["engine"]}
    return results.summarise(work.said, work.results["intent"]["turn"])


def take_transcript(work: Work) -> None:
    """Let what follows read the better transcript, where there is one."""
    words = work.results.get("transcript", {}).get("words") or {}
    if words:
        work.said = said_in(work.call, {int(at): text for at, text in words.items()})


def _after_transcript(
    run: Callable[[Work], Json | Awaitable[Json]],
) -> Callable[[Work], Json | Awaitable[Json]]:
    def with_words(work: Work) -> Json | Awaitable[Json]:
        take_transcript(work)
        return run(work)

    return with_words


def _engine(work: Work) -> object:
    return bool(work.tools.embed)


def make_steps() -> tuple[Step, ...]:
    """The graph, in an order in which each follows what it needs."""
    heard = ("transcript",)
    return (
        Step(
            "transcript",
            TRANSCRIPT_VERSION,
            _transcript,
            settings=lambda work: (work.tools.ears, work.call.sound.get("sha256")),
            is_slow=True,
        ),
        Step(
            "sentiment",
            sentiment.VERSION,
            _after_transcript(_sentiment),
            prefers=heard,
            settings=_engine,
        ),
        Step("intent", intent.VERSION, _after_transcript(_intent), prefers=heard, settings=_engine),
        Step("entities", ENTITIES_VERSION, _after_transcript(_entities), prefers=heard),
        Step(
            "model",
            told.VERSION,
            _after_transcript(_model),
            prefers=heard,
            settings=lambda work: work.tools.models and work.tools.models.name_for(work.call),
            is_slow=True,
        ),
        Step(
            "topics",
            results.VERSION,
            _after_transcript(_topics),
            needs=("intent",),
            prefers=("model",),
        ),
        Step("signs", signs.VERSION, _after_transcript(_signs), needs=("sentiment",)),
        Step("promises", promises.VERSION, _promises),
        Step(
            "compliance",
            compliance.VERSION,
            _after_transcript(_compliance),
            needs=("intent",),
            settings=lambda work: work.tools.rules(work.call.tenant),
        ),
        Step("outcome", results.VERSION, _after_transcript(_outcome), prefers=(*heard, "model")),
        Step(
            "summary",
            results.VERSION,
            _after_transcript(_summary),
            needs=("intent",),
            prefers=("model",),
        ),
        Step(
            "quality",
            results.VERSION,
            _after_transcript(_quality),
            needs=("outcome", "sentiment", "signs", "compliance"),
        ),
    )
