"""How well calls are understood, on sentences that nothing was fitted to: `make bench-analysis`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
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


def rows(name: str) -> Iterator[list[str]]:
    """The lines of a table of test sentences."""
    for line in (DATA / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")


def per_class(pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[float, float, float, int]]:
    """Precision, recall, F1 and count of each class, from (true, found) pairs."""
    told: dict[str, tuple[float, float, float, int]] = {}
    for name in sorted({true for true, _ in pairs}):
        hit = sum(true == found == name for true, found in pairs)
        said = sum(found == name for _, found in pairs)
        there = sum(true == name for true, _ in pairs)
        precision, recall = hit / said if said else 0.0, hit / there
        f1 = 2 * precision * recall / (precision + recall) if hit else 0.0
        told[name] = (precision, recall, f1, there)
    return told


def macro_f1(pairs: Sequence[tuple[str, str]]) -> float:
    """The mean F1 of the classes."""
    each = per_class(pairs)
    return sum(f1 for _, _, f1, _ in each.values()) / len(each)


def entities(find: Callable = find_entities) -> dict[str, tuple[int, int, int]]:
    """Found rightly, found wrongly and missed, by kind."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for text, told in ([*row, ""][:2] for row in rows("entities.tsv")):
        wanted = Counter(tuple(each.split("=", 1)) for each in told.split("; ") if each)
        found = Counter((each.kind, _canonical(each.kind, each.value)) for each in find(text))
        for kind, _ in (wanted & found).elements():
            counts[kind][0] += 1
        for kind, _value in (found - wanted).elements():
            counts[kind][1] += 1
        for kind, _value in (wanted - found).elements():
            counts[kind][2] += 1
    return {kind: tuple(each) for kind, each in sorted(counts.items())}  # type: ignore[misc]


def _canonical(kind: str, value: str) -> str:
    if kind == "phone":
        return value.removeprefix("+34")
    return fold(value) if kind == "name" else value


def vectors_of(texts: Sequence[str]) -> tuple[Array | None, dict[str, Head]]:
    """Vectors of the model that the knowledge base keeps, and the weights over them."""
    embedder = LocalEmbedder()
    try:
        return embedder.embed_queries(texts), read_heads(embedder.name)
    except EmbeddingFailed:
        return None, {}


def intents(*, with_vectors: bool) -> list[tuple[str, str, float]]:
    """(true, found, confidence) of each request."""
    told = list(rows("intents.tsv"))
    texts = [text for _, text in told]
    vectors, heads = vectors_of(texts) if with_vectors else (None, {})
    found = classify(texts, vectors, heads.get("intent"))
    return [(row[0], each.name, each.confidence) for row, each in zip(told, found, strict=True)]


def moods(*, with_vectors: bool) -> list[tuple[str, str]]:
    """(true, found) level of each sentence."""
    told = list(rows("sentiment.tsv"))
    texts = [text for _, text in told]
    vectors, heads = vectors_of(texts) if with_vectors else (None, {})
    found = judge(texts, vectors, heads.get("sentiment"))
    return [(LEVELS[int(row[0]) + 2], each.level) for row, each in zip(told, found, strict=True)]


def of_three(level: str) -> str:
    """negative, neutral or positive."""
    return level.removeprefix("very_")


def surest(found: Sequence[tuple[str, str, float]], share: float = 0.7) -> float:
    """The accuracy on that share of requests of which the classifier is surest."""
    best = sorted(found, key=lambda each: -each[2])[: round(len(found) * share)]
    return sum(true == name for true, name, _ in best) / len(best)


def main() -> None:
    lines = ["| what | class | precision | recall | F1 | n |", "|---|---|---|---|---|---|"]
    total = [0, 0, 0]
    for kind, counts in entities().items():
        total = [a + b for a, b in zip(total, counts, strict=True)]
        lines.append(_line("entities", kind, *_prf(*counts), counts[0] + counts[2]))
    lines.append(_line("entities", "all", *_prf(*total), total[0] + total[2]))
    for with_vectors in (False, True):
        engine = "n-grams + vectors" if with_vectors else "n-grams"
        found = intents(with_vectors=with_vectors)
        for name, (p, r, f1, n) in per_class([(t, f) for t, f, _ in found]).items():
            lines.append(_line(f"intents, {engine}", name, p, r, f1, n))
        right = sum(true == name for true, name, _ in found) / len(found)
        lines.append(
            f"| intents, {engine} | accuracy of all / surest 70 % "
            f"| {right:.3f} | {surest(found):.3f} | | {len(found)} |"
        )
        mood = moods(with_vectors=with_vectors)
        for name, (p, r, f1, n) in per_class(mood).items():
            lines.append(_line(f"sentiment, {engine}", name, p, r, f1, n))
        three = [(of_three(a), of_three(b)) for a, b in mood]
        lines.append(
            f"| sentiment, {engine} | macro-F1 of 5 / 3 classes "
            f"| {macro_f1(mood):.3f} | {macro_f1(three):.3f} | | {len(mood)} |"
        )
    print("\n".join(lines))
    readme = Path("penny/analysis/README.md")
    if readme.exists():
        before, _, rest = readme.read_text(encoding="utf-8").partition(MARK)
        _, _, after = rest.partition(MARK)
        readme.write_text(f"{before}{MARK}\n" + "\n".join(lines) + f"\n{MARK}{after}", "utf-8")


def _line(what: str, name: str, p: float, r: float, f1: float, n: int) -> str:
    return f"| {what} | {name} | {p:.2f} | {r:.2f} | {f1:.2f} | {n} |"


def _prf(hit: int, wrong: int, missed: int) -> tuple[float, float, float]:
    precision = hit / (hit + wrong) if hit + wrong else 1.0
    recall = hit / (hit + missed) if hit + missed else 1.0
    return precision, recall, 2 * precision * recall / (precision + recall) if hit else 0.0


if __name__ == "__main__":
    main()
