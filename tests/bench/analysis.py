"""How well calls are understood, on sentences that nothing was fitted to: `make bench-analysis`.

Two sets: one by the hand that wrote the code, one by a hand that had not seen it. Of the second a
half was kept for judging (``is_kept``): nobody who changed the code had read its sentences; the
errors of the other half were looked at.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path

from kb.embedder import EmbeddingFailed
from kb.local_embedder import LocalEmbedder
from penny.analysis.classifier import Array
from penny.analysis.entities import find_entities
from penny.analysis.heads import Head, read_heads
from penny.analysis.intent import classify
from penny.analysis.sentiment import LEVELS, judge
from penny.calls.rows import fold


MARK = "<!-- figures -->"
DATA = Path(__file__).parents[1] / "penny" / "analysis" / "data"
SETS = {"own": DATA, "other": DATA / "another_hand"}
TODAY = date(2026, 12, 1)
"""The day on which the calls of the second set take place, a Tuesday."""
KINDS = {"amount": "money", "dni": "id", "nie": "id"}
"""Kinds of the second set by their names here."""
MASKED = "card"
"""What that set has too and no entity may be: a card is masked before a call is analysed."""

Counts = dict[str, tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and what it stands for; ``unit`` is what is kept whole by a split."""

    text: str
    truth: str
    unit: str

    @property
    def is_kept(self) -> bool:
        """Whether it is of the half that is judged by and not looked at."""
        return sha256(self.unit.encode()).digest()[0] % 2 == 1


@cache
def sentences(of: str, name: str) -> tuple[Sentence, ...]:
    """The sentences of a set. Moods are split by caller."""
    told, caller = [], ""
    for line in (SETS[of] / f"{name}.tsv").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            caller = line
        elif line:
            first, _, second = line.partition("\t")
            text, truth = (first, second) if name == "entities" else (second, first)
            told.append(Sentence(text, truth, caller if name == "sentiment" else text))
    return tuple(told)


def per_class(pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[float, float, float, int]]:
    """Precision, recall, F1 and count of each class, from (true, found) pairs."""
    told: dict[str, tuple[float, float, float, int]] = {}
    for name in sorted({true for true, _ in pairs}):
        hit = sum(true == found == name for true, found in pairs)
        said = sum(found == name for _, found in pairs)
        there = sum(true == name for true, _ in pairs)
        told[name] = (*_prf(hit, said - hit, there - hit), there)
    return told


def macro_f1(pairs: Sequence[tuple[str, str]]) -> float:
    """The mean F1 of the classes."""
    each = per_class(pairs)
    return sum(f1 for _, _, f1, _ in each.values()) / len(each)


# -- entities ---------------------------------------------------------------------------------


def entities(told: Sequence[Sentence], find: Callable = find_entities) -> Counts:
    """Found rightly, found wrongly and missed, by kind."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for sentence in told:
        hits, wrong, missed = compare_entities(sentence, find)
        for place, kinds in enumerate((hits, wrong, missed)):
            for kind, _value in kinds:
                counts[kind][place] += 1
    # A kind of which a set has none was not looked for by who wrote it.
    labelled = {kind: each for kind, each in sorted(counts.items()) if each[0] + each[2]}
    return {kind: (each[0], each[1], each[2]) for kind, each in labelled.items()}


Pairs = list[tuple[str, str]]


def compare_entities(
    sentence: Sentence, find: Callable = find_entities
) -> tuple[Pairs, Pairs, Pairs]:
    """(kind, value) that were found rightly, found wrongly and missed."""
    wanted = [_wanted(each) for each in _truths(sentence)]
    found = Counter((e.kind, _canonical(e.kind, e.value)) for e in find(sentence.text))
    hits, missed = [], []
    for kind, values in wanted:
        value = next((each for each in values if found[kind, each] > 0), None)
        if value is None:
            missed.append((kind, "|".join(values)))
        else:
            found[kind, value] -= 1
            hits.append((kind, value))
    return hits, list(found.elements()), missed


def _truths(sentence: Sentence) -> list[str]:
    told = [each.strip() for each in sentence.truth.split(";")]
    return [each for each in told if each and not each.startswith(MASKED)]


def _wanted(told: str) -> tuple[str, list[str]]:
    kind, _, value = told.strip().partition("=")
    kind = KINDS.get(kind, kind)
    values = [each.removesuffix(" EUR").removesuffix(" USD") for each in value.split("|")]
    return kind, [_canonical(kind, each) for each in values]


def _canonical(kind: str, value: str) -> str:
    if kind == "phone":
        return value.removeprefix("+34")
    if kind == "date":
        return on_the_day(value)
    return fold(value) if kind == "name" else value


def on_the_day(value: str) -> str:
    """A date that is relative to the call's day as what it is on ``TODAY``."""
    if value.startswith("--"):  # of the year in which it is nearest
        years = (TODAY.year - 1, TODAY.year, TODAY.year + 1)
        days = [date(year, int(value[2:4]), int(value[5:])) for year in years]
        return min(days, key=lambda day: abs(day - TODAY)).isoformat()
    if value.endswith("d") and value[0] in "+-":
        return (TODAY + timedelta(days=int(value[:-1]))).isoformat()
    if value.startswith("wd"):
        ahead = (int(value[2:]) - TODAY.isoweekday()) % 7 or 7
        return (TODAY + timedelta(days=ahead)).isoformat()
    return value


# -- requests and moods -----------------------------------------------------------------------


@cache
def vectors_of(texts: tuple[str, ...]) -> tuple[Array | None, dict[str, Head]]:
    """Vectors of the model that the knowledge base keeps, and the weights over them."""
    embedder = LocalEmbedder()
    try:
        return embedder.embed_queries(texts), read_heads(embedder.name)
    except EmbeddingFailed:
        return None, {}


def intents(told: Sequence[Sentence], *, with_vectors: bool) -> list[tuple[str, str, float]]:
    """(true, found, confidence) of each request."""
    texts = tuple(each.text for each in told)
    vectors, heads = vectors_of(texts) if with_vectors else (None, {})
    found = classify(texts, vectors, heads.get("intent"))
    return [(row.truth, each.name, each.confidence) for row, each in zip(told, found, strict=True)]


def moods(told: Sequence[Sentence], *, with_vectors: bool) -> list[tuple[str, str]]:
    """(true, found) level of each sentence."""
    texts = tuple(each.text for each in told)
    vectors, heads = vectors_of(texts) if with_vectors else (None, {})
    found = judge(texts, vectors, heads.get("sentiment"))
    return [(LEVELS[int(row.truth) + 2], each.level) for row, each in zip(told, found, strict=True)]


def of_three(level: str) -> str:
    """negative, neutral or positive."""
    return level.removeprefix("very_")


def surest(found: Sequence[tuple[str, str, float]], share: float = 0.7) -> float:
    """The accuracy on that share of requests of which the classifier is surest."""
    best = sorted(found, key=lambda each: -each[2])[: round(len(found) * share)]
    return sum(true == name for true, name, _ in best) / len(best)


# -- what is printed --------------------------------------------------------------------------


def halves(of: str, name: str) -> dict[str, list[Sentence]]:
    """The sentences of a set by what the table calls them."""
    told = list(sentences(of, name))
    if of == "own":
        return {"own": told}
    return {
        "other": told,
        "other, half looked at": [each for each in told if not each.is_kept],
        "other, half kept": [each for each in told if each.is_kept],
    }


def summary() -> list[str]:
    """A line for each set and question."""
    lines = ["| what | set | n | | n-grams | with vectors |", "|---|---|---|---|---|---|"]
    for of in SETS:
        for name, told in halves(of, "intents").items():
            found = [intents(told, with_vectors=each) for each in (False, True)]
            right = [sum(a == b for a, b, _ in each) / len(each) for each in found]
            sure = [surest(each) for each in found]
            lines.append(_pair("intents", name, len(told), "accuracy", right))
            lines.append(_pair("intents", name, len(told), "accuracy, surest 70 %", sure))
    for of in SETS:
        for name, told in halves(of, "sentiment").items():
            seen = [moods(told, with_vectors=each) for each in (False, True)]
            five = [macro_f1(each) for each in seen]
            three = [macro_f1([(of_three(a), of_three(b)) for a, b in each]) for each in seen]
            lines.append(_pair("sentiment", name, len(told), "macro-F1, 3 classes", three))
            lines.append(_pair("sentiment", name, len(told), "macro-F1, 5 levels", five))
    for of in SETS:
        for name, told in halves(of, "entities").items():
            counts = entities(told)
            total = [sum(each) for each in zip(*counts.values(), strict=True)]
            sure_kinds = [counts[kind] for kind in ("id", "iban") if kind in counts]
            numbers = [sum(each) for each in zip(*sure_kinds, strict=True)]
            precision, recall, f1 = _prf(*total)
            n = total[0] + total[2]
            lines.append(f"| entities | {name} | {n} | F1 (precision, recall) "
                         f"| {f1:.3f} ({precision:.2f}, {recall:.2f}) | |")  # fmt: skip
            exact, found_too, _ = _prf(*numbers)
            lines.append(f"| DNI, NIE, IBAN | {name} | {numbers[0] + numbers[2]} "
                         f"| precision, recall | {exact:.2f}, {found_too:.2f} | |")  # fmt: skip
    return lines


def classes() -> list[str]:
    """A line for each class: both sets beside each other, with vectors."""
    lines = [
        "| what | class | own: precision | recall | F1 | n | other: precision | recall | F1 | n |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    told: dict[str, list[dict[str, tuple[float, float, float, int]]]] = defaultdict(list)
    for of in SETS:
        found = intents(sentences(of, "intents"), with_vectors=True)
        told["intents"].append(per_class([(a, b) for a, b, _ in found]))
        told["sentiment"].append(per_class(moods(sentences(of, "sentiment"), with_vectors=True)))
        counts = entities(sentences(of, "entities"))
        told["entities"].append({k: (*_prf(*c), c[0] + c[2]) for k, c in counts.items()})
    for what, (own, other) in told.items():
        lines.extend(
            f"| {what} | {name} | {_cells(own.get(name))} | {_cells(other.get(name))} |"
            for name in own | other
        )
    return lines


def main() -> None:
    lines = [*summary(), "", *classes()]
    print("\n".join(lines))
    readme = Path("penny/analysis/README.md")
    if readme.exists():
        before, _, rest = readme.read_text(encoding="utf-8").partition(MARK)
        _, _, after = rest.partition(MARK)
        readme.write_text(f"{before}{MARK}\n" + "\n".join(lines) + f"\n{MARK}{after}", "utf-8")


def _pair(what: str, name: str, n: int, figure: str, values: Sequence[float]) -> str:
    bare, full = values
    return f"| {what} | {name} | {n} | {figure} | {bare:.3f} | {full:.3f} |"


def _cells(each: tuple[float, float, float, int] | None) -> str:
    return "| | |" if each is None else "{:.2f} | {:.2f} | {:.2f} | {}".format(*each)


def _prf(hit: int, wrong: int, missed: int) -> tuple[float, float, float]:
    precision = hit / (hit + wrong) if hit + wrong else 1.0
    recall = hit / (hit + missed) if hit + missed else 1.0
    return precision, recall, 2 * precision * recall / (precision + recall) if hit else 0.0


if __name__ == "__main__":
    main()
