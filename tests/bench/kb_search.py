"""Search over 100,000 passages: Penny's whole search beside bare engines, in one run.

    python -m tests.bench.kb_search [--passages 100000] [--queries 2000]

Penny's time is the whole of ``KnowledgeBase.search`` (normalising, spelling, candidates, ranking,
judging, passages built); the others' time is their query alone, on stems prepared before.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import tantivy

from kb import KbSettings, KnowledgeBase
from kb.cli import show_progress
from kb.evaluation import read_questions
from kb.near_words import load_relations
from kb.normal.analysis import keys_of


REF = "kb://banco/pasajes"
SYLLABLES = (
    "ba be bo ca ce co cu da de di do fa fe fi ga go gue ha he ja ji la le li lo lla ma me mi mo "
    "mu na ne no ña pa pe pi po pu que ra re ri ro sa se si so su ta te ti to tra tre va ve vi "
    "xa ya za zo bri cla cri fra gre pla pro tri"
)
STARTERS = ("oye mira quería saber", "me podría decir", "cómo es que", "cuándo", "por favor qué")
RARE_WORDS = 50_000
# Of a passage's words, this share is not the sample's: names, places, other trades.
RARE_SHARE = 0.3
PASSAGE_WORDS = 40
HEADING_WORDS = 3
SECTIONS_PER_FILE = 100
# One passage in ten lists how callers ask for it, as many phrases as in the sample.
PASSAGES_PER_LISTING = 10
PHRASES = 10
ROUND = 100
ROOT = Path(__file__).resolve().parents[2]
SENTENCE = re.compile(r"(?<=[.:?!])\s+")


def build_rare_words(random_: random.Random) -> list[str]:
    pieces = SYLLABLES.split()
    words: dict[str, None] = {}
    while len(words) < RARE_WORDS:
        words["".join(random_.choices(pieces, k=random_.randint(2, 5)))] = None
    return list(words)


def read_sentences() -> list[list[str]]:
    """Return the sample documents' own sentences, in words, stop words and all."""
    sentences = []
    for path in sorted((ROOT / "kb" / "documents" / "empresa" / "documentos").glob("*.md")):
        body = path.read_text(encoding="utf-8").split("\n---\n", 1)[1]
        for line in body.splitlines():
            if line and line[0] not in "#|-":
                sentences += [each.split() for each in SENTENCE.split(line)]
    return sentences


def build_corpus(folder: Path, passages: int, seed: int) -> tuple[list[str], list[str]]:
    """Write Markdown files of the sample's sentences with rare words set in (Zipf).

    Returns (passages' texts, queries).
    """
    random_ = random.Random(seed)
    rare, sentences = build_rare_words(random_), read_sentences()
    chances = 1 / np.arange(1, RARE_WORDS + 1) ** 0.9
    drawn = iter(
        np.random.default_rng(seed)
        .choice(RARE_WORDS, size=passages * (PASSAGE_WORDS + 30), p=chances / chances.sum())
        .tolist()
    )
    texts: list[str] = []
    for first in range(0, passages, SECTIONS_PER_FILE):
        matter, lines = ["---\nidioma: es\nfrases:\n"], ["---\n"]
        for at in range(first, min(first + SECTIONS_PER_FILE, passages)):
            words: list[str] = []
            while len(words) < PASSAGE_WORDS:
                words += (
                    rare[next(drawn)] if random_.random() < RARE_SHARE else word
                    for word in random_.choice(sentences)
                )
            heading = " ".join(random_.sample(words, HEADING_WORDS)).strip(".,:;").capitalize()
            lines.append(f"## {heading} {at}\n\n{' '.join(words)}\n")
            if at % PASSAGES_PER_LISTING == 0:
                matter.append(list_phrases(f"{heading} {at}", words, random_))
            texts.append(f"{heading} {' '.join(words)}")
        (folder / f"{first:06d}.md").write_text(
            "".join(matter) + "\n".join(lines), encoding="utf-8"
        )
    return texts, build_queries(texts, random_)


def list_phrases(heading: str, words: list[str], random_: random.Random) -> str:
    """Return the front matter's lines for one passage: phrases of three to six of its words."""
    told = [bare for word in words if (bare := word.strip(".,:;¿?¡!()").lower())]
    phrases = (random_.sample(told, random_.randint(3, 6)) for _ in range(PHRASES))
    lines = [f"    - {json.dumps(' '.join(phrase))}\n" for phrase in phrases]
    return f"  {json.dumps(heading)}:\n{''.join(lines)}"


def build_queries(texts: list[str], random_: random.Random, count: int = 2000) -> list[str]:
    """Half the dev questions as callers said them; half three to six words of a passage.

    One in three of the latter has a wrong letter.
    """
    asked = [
        question.text
        for name in ("dev", "dev_spoken")
        for question in read_questions(ROOT / "kb" / "eval" / f"{name}.jsonl")
    ]
    queries = []
    for number in range(count):
        if number % 2:
            queries.append(random_.choice(asked))
            continue
        words = random_.sample(random_.choice(texts).split(), random_.randint(3, 6))
        if number % 3 == 0:
            at = random_.randrange(len(words))
            word = words[at]
            cut = random_.randrange(len(word))
            words[at] = word[:cut] + random_.choice("aeiours") + word[cut + 1 :]
        queries.append(f"{random_.choice(STARTERS)} {' '.join(words)}")
    return queries


@dataclass(slots=True)
class Engine:
    """One engine, built, with the questions in its own form. Times are milliseconds."""

    name: str
    search: Callable[[str], object]
    queries: list[str]
    build_s: float
    memory_mb: int
    wall: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    def ask(self, first: int, count: int) -> None:
        for query in self.queries[first : first + count]:
            started, worked = time.perf_counter(), time.thread_time()
            self.search(query)
            self.busy.append((time.thread_time() - worked) * 1000)
            self.wall.append((time.perf_counter() - started) * 1000)

    def row(self) -> str:
        shown = " | ".join(
            f"{took[len(took) // 2]:.2f} / {took[int(len(took) * 0.99)]:.2f}"
            for took in (sorted(self.wall), sorted(self.busy))
        )
        return f"| {self.name} | {self.build_s:.1f} | {shown} | {self.memory_mb} |"


def compare(engines: list[Engine]) -> None:
    """Ask in turns of a hundred, so that the machine's other load falls on every engine alike."""
    for engine in engines:
        for query in engine.queries[:ROUND]:
            engine.search(query)
    loads = []
    for first in range(0, len(engines[0].queries), ROUND):
        loads.append(os.getloadavg()[0])
        for engine in engines:
            engine.ask(first, ROUND)
    for engine in engines:
        print(engine.row(), flush=True)
    print(f"(load {min(loads):.1f} to {max(loads):.1f} on {os.cpu_count()} processors)")


def peak_resident_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def resident_mb() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


def build_penny(settings: KbSettings) -> float:
    """Return the seconds that it took; in a process of its own, as what follows."""
    started = time.perf_counter()
    with show_progress() as progress:
        base = KnowledgeBase.open(settings, progress)
    build_s = time.perf_counter() - started
    base.close()
    return build_s


def reopen_penny(settings: KbSettings, queries: list[str]) -> tuple[float, int]:
    """Return (ms to open the index again, MB that this and every query takes)."""
    load_relations("es")  # the table is no part of a collection
    before_mb, started = resident_mb(), time.perf_counter()
    base = KnowledgeBase.open(settings)
    opened_ms = (time.perf_counter() - started) * 1000
    for query in queries:
        base.search(REF, query)
    used_mb = resident_mb() - before_mb
    base.close()
    return opened_ms, used_mb


def open_penny(folder: Path, queries: list[str]) -> tuple[Engine, KnowledgeBase]:
    settings = KbSettings(folder / "documents", folder / "index")
    apart = get_context("spawn")
    with ProcessPoolExecutor(1, apart) as process:
        build_s = process.submit(build_penny, settings).result()
        peak_mb = process.submit(peak_resident_mb).result()
    with ProcessPoolExecutor(1, apart) as process:
        opened_ms, used_mb = process.submit(reopen_penny, settings, queries).result()
    print(f"(Penny opened again in {opened_ms:.0f} ms; {peak_mb} MB at most while indexing)")
    base = KnowledgeBase.open(settings)
    for query in queries:
        base.search(REF, query)
    return Engine(
        "Penny, whole search", lambda text: base.search(REF, text), queries, build_s, used_mb
    ), base


def open_tantivy(texts: list[str], queries: list[str]) -> Engine:
    schema = tantivy.SchemaBuilder().add_text_field("body", tokenizer_name="whitespace").build()
    index = tantivy.Index(schema)
    before_mb = resident_mb()
    started = time.perf_counter()
    writer = index.writer(64 << 20, num_threads=1)
    for text in texts:
        writer.add_document(tantivy.Document(body=text))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher = index.searcher()
    build_s = time.perf_counter() - started

    def search(text: str) -> object:
        query, _ = index.parse_query_lenient(text, ["body"])
        return searcher.search(query, 10, count=False).hits

    return Engine("tantivy, bare", search, queries, build_s, resident_mb() - before_mb)


def open_fts5(texts: list[str], queries: list[str]) -> Engine:
    base = sqlite3.connect(":memory:")
    before_mb = resident_mb()
    started = time.perf_counter()
    base.execute("CREATE VIRTUAL TABLE p USING fts5(body)")
    base.executemany("INSERT INTO p VALUES (?)", ((text,) for text in texts))
    base.commit()
    build_s = time.perf_counter() - started

    def search(text: str) -> object:
        wanted = " OR ".join(f'"{word}"' for word in text.split())
        return base.execute(
            "SELECT rowid FROM p WHERE p MATCH ? ORDER BY rank LIMIT 10", (wanted,)
        ).fetchall()

    return Engine("SQLite FTS5", search, queries, build_s, resident_mb() - before_mb)


def open_bm25s(texts: list[str], queries: list[str]) -> Engine | None:
    try:
        import bm25s
    except ImportError:
        print("(bm25s is not installed: make setup-dev)")
        return None
    before_mb = resident_mb()
    started = time.perf_counter()
    engine = bm25s.BM25()
    engine.index([text.split() for text in texts], show_progress=False)
    build_s = time.perf_counter() - started

    def search(text: str) -> object:
        return engine.retrieve([text.split()], k=10, show_progress=False)

    return Engine("bm25s", search, queries, build_s, resident_mb() - before_mb)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        documents = folder / "documents" / "banco" / "pasajes"
        documents.mkdir(parents=True)
        texts, queries = build_corpus(documents, options.passages, options.seed)
        queries = queries[: options.queries]
        print(json.dumps({"passages": len(texts), "queries": len(queries), "seed": options.seed}))
        print("| engine | build s | wall p50 / p99 ms | CPU p50 / p99 ms | memory MB |")
        print("|---|---|---|---|---|")
        penny, base = open_penny(folder, queries)
        stems = [" ".join(keys_of(text, "es")) for text in texts]
        asked = [" ".join(keys_of(text, "es")) or "nada" for text in queries]
        others = open_tantivy(stems, asked), open_bm25s(stems, asked), open_fts5(stems, asked)
        compare([penny, *filter(None, others)])
        base.close()


if __name__ == "__main__":
    main()
