"""One search: normalise, find candidates by words, weigh them, judge."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import structlog
import tantivy

from kb.collection import View
from kb.embedder import EmbeddingFailed
from kb.evidence import NOTHING, Evidence, Inquiry, weigh
from kb.index import SCHEMA, StoredPassage
from kb.intent import wanted_of
from kb.normal.analysis import guess_language
from kb.normal.words import cut_words, plain_words, sounds_of
from kb.passage import FieldValue, Hit, Language, Passage, SearchResult
from kb.query import Concept, build_concepts
from kb.ranking import JUDGE, standings
from kb.settings import KbSettings
from kb.vectors import fuse, likelihood


log = structlog.get_logger()

Ends = tuple[FieldValue | None, FieldValue | None]
Filter = FieldValue | Ends
_CANDIDATES = 12
_MAX_QUERY_CHARS = 1000
# The engine has no ranges over a record's fields: so many of the best are looked through.
_RANGED_CANDIDATES = 500
# Another language's passage answers a little worse than one the caller can read.
_FOREIGN_COST = 1.0
# A listed question asked word for word comes first and is certain.
_LISTED_ODDS = 20.0
_WORD_FOR_WORD = 0.99
# A word that stands for itself, and the least that stands for it as one of the thesaurus.
_OWN, _OWN_LEAST = 0.95, 0.72
# Of a cosine, beside the log-odds of the words: of 3, 6, 10 and 20 the best for a small
# multilingual encoder on the dev questions of two companies; a better model would bear more.
COSINE_ODDS = 6.0
# A filter says what a caller would tell in so many words.
_WORDS_A_FILTER = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that may answer, with the evidence for it."""

    stored: StoredPassage
    evidence: Evidence
    address: tantivy.DocAddress
    odds: float


@dataclass(frozen=True, slots=True)
class Found:
    """What one question found, before it is judged."""

    concepts: list[Concept]
    candidates: list[Candidate]


def find_candidates(
    view: View,
    text: str,
    language: Language | None,
    filters: Mapping[str, Filter] | None,
    most: int = _CANDIDATES,
) -> Found:
    """Return what the words alone find, at most ``most``, best BM25 first, with its evidence."""
    text = text[:_MAX_QUERY_CHARS]
    concepts = build_concepts(text, language or guess_language(text), view.vocabulary)
    query = _build_query(concepts, filters)
    if query is None:
        return Found(concepts, [])
    ranges = {name: ends for name, ends in (filters or {}).items() if isinstance(ends, tuple)}
    limit = _RANGED_CANDIDATES if ranges else most
    hits = view.searcher.search(query, limit=limit, count=False).hits
    candidates: list[Candidate] = []
    best = hits[0][0] if hits else 1.0
    inquiry = Inquiry(concepts, wanted_of(text), sounds_of(text))
    for score, address in hits:
        stored = view.passage(address)
        if ranges and not _within(stored.passage, ranges):
            continue
        evidence = weigh(stored, inquiry, score / best)
        candidates.append(Candidate(stored, evidence, address, JUDGE.rank(evidence)))
    return Found(concepts, candidates)


def search_view(
    view: View,
    text: str,
    settings: KbSettings,
    *,
    limit: int,
    language: Language | None,
    filters: Mapping[str, Filter] | None,
    min_score: float | None = None,
    vectors: bool = True,
) -> SearchResult:
    """Find, judge and cut off, as ``KnowledgeBase.search`` says; ``took_ms`` is the whole of it."""
    started = time.perf_counter()
    found = find_candidates(view, text, language, filters)
    listed = view.listed(plain_words(text))
    if not filters:
        _add_listed(view, listed, found.candidates)
    # To a greeting something is always near.
    compares = vectors and bool(found.concepts) and not filters
    cosines = _compare(view, text, found, settings) if compares else {}
    by_words = _order(found.candidates, language, listed)
    count = len(cut_words(text)) + _WORDS_A_FILTER * len(filters or {})
    sure = _trust(by_words, count, listed, None if cosines else limit)
    best = _order_by_both(by_words, language, listed, cosines) if cosines else by_words
    hits: list[Hit] = []
    ceiling = 1.0
    for at, candidate in enumerate(best[:limit]):
        score = lexical = sure[candidate.stored.id]
        cosine = cosines.get(candidate.stored.id)
        if cosine is not None:
            # The words' own first may be sure of an answer that the vectors put before it.
            floor = sure[by_words[0].stored.id] if at == 0 else 0.0
            score = fuse(max(lexical, floor), likelihood(cosine, settings.vector_relevance))
        ceiling = min(ceiling, score)
        hits.append(Hit(candidate.stored.passage, ceiling, lexical, cosine))
    best_score = hits[0].score if hits else 0.0
    relevant = bool(hits) and best_score >= settings.relevance
    kept = tuple(hits) if relevant or (min_score is not None and best_score >= min_score) else ()
    normalized = " ".join(next(iter(each.keys), each.surface) for each in found.concepts)
    return SearchResult(kept, relevant, normalized, (time.perf_counter() - started) * 1000)


def _trust(
    ordered: list[Candidate], words: int, listed: Collection[str], most: int | None
) -> dict[str, float]:
    """What the words alone say of each candidate, or of the first ``most``, by its passage's id."""
    stands = standings([each.odds for each in ordered], words, most)
    return {
        each.stored.id: _WORD_FOR_WORD
        if each.stored.id in listed
        else JUDGE.trust(each.evidence, standing)
        for each, standing in zip(ordered, stands, strict=False)
    }


def _add_listed(
    view: View, listed: Mapping[str, tantivy.DocAddress], candidates: list[Candidate]
) -> None:
    """A passage that lists the very question is a candidate however common its words are."""
    present = {each.stored.id for each in candidates} if listed else set()
    for wanted, address in listed.items():
        if wanted not in present:
            candidates.append(
                Candidate(view.passage(address), NOTHING, address, JUDGE.rank(NOTHING))
            )


def _odds(candidate: Candidate, language: Language | None, listed: Collection[str]) -> float:
    odds = candidate.odds + (_LISTED_ODDS if candidate.stored.id in listed else 0.0)
    foreign = language is not None and candidate.stored.passage.language != language
    return odds - _FOREIGN_COST if foreign else odds


def _order(
    candidates: list[Candidate], language: Language | None, listed: Collection[str]
) -> list[Candidate]:
    return sorted(candidates, key=lambda each: _odds(each, language, listed), reverse=True)


def _order_by_both(
    candidates: list[Candidate],
    language: Language | None,
    listed: Collection[str],
    cosines: Mapping[str, float],
) -> list[Candidate]:
    """Sort by the log-odds of the words and the cosines together; what has none is the farthest."""
    farthest = min(cosines.values())

    def key(each: Candidate) -> float:
        cosine = cosines.get(each.stored.id, farthest)
        return _odds(each, language, listed) + COSINE_ODDS * cosine

    return sorted(candidates, key=key, reverse=True)


def _compare(view: View, text: str, found: Found, settings: KbSettings) -> dict[str, float]:
    """Add the nearest passages to the candidates; return cosines by passage id, or nothing."""
    if view.vectors is None or settings.embedder is None:
        return {}
    text = text[:_MAX_QUERY_CHARS]
    try:
        query = settings.embedder.embed_query(text)
        cosines = [view.vectors.cosine(query, each.address) for each in found.candidates]
        nearest = view.vectors.nearest(query, _CANDIDATES)
    except EmbeddingFailed:  # told by the embedder, once
        return {}
    except ValueError:  # the model's vectors changed their length; the next pass says so
        log.warning("kb_vectors_skipped", reason="question and passages differ in length")
        return {}
    compared = {
        each.stored.id: cosine
        for each, cosine in zip(found.candidates, cosines, strict=True)
        if cosine is not None
    }
    present = {each.stored.id for each in found.candidates}
    inquiry = Inquiry(found.concepts, wanted_of(text), sounds_of(text))
    for cosine, address in nearest:
        stored = view.passage(address)
        if stored.id not in present:
            evidence = weigh(stored, inquiry, 0.0)
            found.candidates.append(Candidate(stored, evidence, address, JUDGE.rank(evidence)))
            compared[stored.id] = cosine
    return compared


def _build_query(
    concepts: list[Concept], filters: Mapping[str, Filter] | None
) -> tantivy.Query | None:
    weights: dict[str, float] = {}
    for concept in concepts:
        # What is only near in meaning is asked of the engine where the word itself is not there;
        # it counts in the weighing either way.
        least = _OWN_LEAST if max(concept.keys.values(), default=0.0) >= _OWN else 0.0
        for key, quality in concept.keys.items():
            if quality < least:
                continue
            weights[key] = max(weights.get(key, 0.0), quality * min(1.0, concept.weight + 0.3))
    if not weights:
        return None
    words = [
        (
            tantivy.Occur.Should,
            tantivy.Query.boost_query(tantivy.Query.term_query(SCHEMA, "keys", key, "freq"), boost),
        )
        for key, boost in weights.items()
    ]
    query = tantivy.Query.boolean_query(words)
    exact = [
        (tantivy.Occur.Must, _filter(name, value))
        for name, value in (filters or {}).items()
        if not isinstance(value, tuple)
    ]
    return tantivy.Query.boolean_query([(tantivy.Occur.Must, query), *exact]) if exact else query


def _filter(name: str, value: FieldValue) -> tantivy.Query:
    if name == "source":
        return tantivy.Query.term_query(SCHEMA, "file", str(value), "basic")
    if name == "language":
        return tantivy.Query.term_query(SCHEMA, "language", str(value), "basic")
    wanted = value.lower() if isinstance(value, str) else value
    return tantivy.Query.term_query(SCHEMA, f"fields.{name}", wanted, "basic")


def _within(
    passage: Passage, ranges: dict[str, tuple[FieldValue | None, FieldValue | None]]
) -> bool:
    """Whether every ranged field is there, comparable, and inside its ends."""
    for name, (low, high) in ranges.items():
        value = passage.fields.get(name)
        for end, sign in ((low, 1), (high, -1)):
            if end is None:
                continue
            if isinstance(value, str) and isinstance(end, str):
                inside = value >= end if sign > 0 else value <= end
            elif isinstance(value, int | float) and isinstance(end, int | float):
                inside = (value - end) * sign >= 0
            else:
                return False
            if not inside:
                return False
        if value is None:
            return False
    return True
