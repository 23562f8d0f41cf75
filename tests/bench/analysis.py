"""How well calls are understood, on sentences that nothing was fitted to: `make bench-analysis`."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from penny.analysis.entities import find_entities
from penny.calls.rows import fold


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
        if "-v" in sys.argv and wanted != found:
            print(text, "| missing", list(wanted - found), "| wrong", list(found - wanted))
    return {kind: tuple(each) for kind, each in sorted(counts.items())}  # type: ignore[misc]


def _canonical(kind: str, value: str) -> str:
    if kind == "phone":
        return value.removeprefix("+34")
    return fold(value) if kind == "name" else value


def main() -> None:
    print("entities: precision, recall, F1")
    total = [0, 0, 0]
    for kind, (hit, wrong, missed) in entities().items():
        total = [a + b for a, b in zip(total, (hit, wrong, missed), strict=True)]
        print(f"  {kind:8} {_prf(hit, wrong, missed)}")
    print(f"  {'all':8} {_prf(*total)}")


def _prf(hit: int, wrong: int, missed: int) -> str:
    precision = hit / (hit + wrong) if hit + wrong else 1.0
    recall = hit / (hit + missed) if hit + missed else 1.0
    f1 = 2 * precision * recall / (precision + recall) if hit else 0.0
    return f"{precision:.2f} {recall:.2f} {f1:.2f} ({hit + missed})"


if __name__ == "__main__":
    main()
