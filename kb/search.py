"""One search: candidates by words and by vectors, weighed together, and judged."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
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
from kb.vectors import Near


log = structlog.get_logger()

Ends = tuple[FieldValue | None, FieldValue | None]
Filter = FieldValue | Ends
# By words; where vectors count as well, more are worth their time.
_CANDIDATES, _CANDIDATES_BESIDE_VECTORS = 20, 40
_NEAREST = 40
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
# Log-odds of the rank for each standard deviation that a passage's cosine stands over the mean. On
# four companies' documents 2 to 3 are one; two authors' own headings want 3, callers' phrases 2.
_NEAR_ODDS = 2.5
# What is not among the nearest stands so much behind the last of them.
_BEHIND = 0.2
# Log-odds of the trust for each deviation that the first's cosine is beyond its rivals (``Near``),
# from the second on: with one, what words alone say stands. Both were chosen on six sets by other
# hands; what each set gets with a middle that the others choose: tests/kb/collections/README.md.
_BEYOND_ODDS, _BEYOND_MIDDLE = 0.75, 1.0
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
    # A filter says enough.
    compares = vectors and view.vectors is not None and not filters
    most = _CANDIDATES_BESIDE_VECTORS if compares else _CANDIDATES
    found = find_candidates(view, text, language, filters, most)
    listed = view.listed(plain_words(text))
    if not filters:
        _add_listed(view, listed, found.candidates)
    # To a greeting something is always near.
    near = _compare(view, text, language, found, settings) if compares and found.concepts else {}
    by_words = _order(found.candidates, language, listed)
    count = len(cut_words(text)) + _WORDS_A_FILTER * len(filters or {})
    best = _join(by_words, near, language, listed) if near else by_words
    tells = view.vectors is not None and view.vectors.tells
    judged = _judge(best, near, count, listed, limit, tells=tells)
    hits: list[Hit] = []
    ceiling = 1.0
    for candidate, score in zip(best[:limit], judged, strict=True):
        ceiling = min(ceiling, score)
        hits.append(_hit(candidate, ceiling, found.concepts, by_words, near))
    best_score = hits[0].score if hits else 0.0
    relevant = bool(hits) and best_score >= settings.relevance
    kept = tuple(hits) if relevant or (min_score is not None and best_score >= min_score) else ()
    normalized = " ".join(next(iter(each.keys), each.surface) for each in found.concepts)
    return SearchResult(kept, relevant, normalized, (time.perf_counter() - started) * 1000)


def _hit(
    candidate: Candidate,
    score: float,
    concepts: Sequence[Concept],
    by_words: Sequence[Candidate],
    near: Mapping[str, Near],
) -> Hit:
    """The candidate as it is handed out, with what speaks for it."""
    name, keys = candidate.stored.id, candidate.stored.keys
    has = [not keys.isdisjoint(each.keys) for each in concepts]
    by_word = [each.stored.id for each in by_words]
    nearness = near.get(name)
    return Hit(
        candidate.stored.passage,
        score,
        vector=nearness.cosine if nearness else None,
        by_words=by_word.index(name) + 1 if candidate.evidence.coverage else None,
        by_vectors=list(near).index(name) + 1 if nearness else None,
        found=tuple(each.surface for each, there in zip(concepts, has, strict=True) if there),
        lost=tuple(each.surface for each, there in zip(concepts, has, strict=True) if not there),
    )


def _standing(candidate: Candidate, near: Mapping[str, Near]) -> float:
    """How its cosine stands among all; behind the last of the nearest for what is not of them."""
    found = near.get(candidate.stored.id)
    return found.standing if found else list(near.values())[-1].standing - _BEHIND


def _judge(
    best: Sequence[Candidate],
    near: Mapping[str, Near],
    words: int,
    listed: Collection[str],
    most: int,
    *,
    tells: bool,
) -> list[float]:
    """How sure it is of each of the first ``most`` that it answers, 0..1.

    Args:
        tells: whether the vectors say something of that as well.
    """
    stand = [_standing(each, near) if near else 0.0 for each in best]
    least = list(near.values())[-1].beyond if near else 0.0
    beyond = {name: each.beyond for name, each in near.items()} if tells else {}
    # Log-odds are counted from the first's own: the trust knows those of words alone.
    odds = [
        each.odds + _NEAR_ODDS * (own - stand[0]) for each, own in zip(best, stand, strict=True)
    ]
    stands = standings(sorted(odds, reverse=True), words, most)
    return [
        _WORD_FOR_WORD
        if each.stored.id in listed
        else JUDGE.trust(
            each.evidence,
            standing,
            _BEYOND_ODDS * (beyond.get(each.stored.id, least) - _BEYOND_MIDDLE) if beyond else 0.0,
        )
        for each, standing in zip(best[:most], stands, strict=False)
    ]


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


def _join(
    by_words: Sequence[Candidate],
    near: Mapping[str, Near],
    language: Language | None,
    listed: Collection[str],
) -> list[Candidate]:
    """Sort by the log-odds of the words and the standing of the vectors together."""

    def key(each: Candidate) -> float:
        return _odds(each, language, listed) + _NEAR_ODDS * _standing(each, near)

    return sorted(by_words, key=key, reverse=True)


def _compare(
    view: View, text: str, language: Language | None, found: Found, settings: KbSettings
) -> dict[str, Near]:
    """Add the nearest passages to the candidates; return how near, by passage, nearest first.

    Nothing without an embedder, and while it fails.
    """
    if view.vectors is None or settings.embedder is None or not len(view.vectors):
        return {}
    text = text[:_MAX_QUERY_CHARS]
    try:
        query = settings.embedder.embed_query(text)
        nearest = view.vectors.nearest(
            query,
            language or guess_language(text),
            _NEAREST,
            [(each.address.segment_ord, each.address.doc) for each in found.candidates],
        )
    except EmbeddingFailed:  # told by the embedder, once
        return {}
    except ValueError:  # the model's vectors changed their length; the next pass says so
        log.warning("kb_vectors_skipped", reason="question and passages differ in length")
        return {}
    present = {each.stored.id for each in found.candidates}
    inquiry = Inquiry(found.concepts, wanted_of(text), sounds_of(text))
    near: dict[str, Near] = {}
    for each in nearest:
        stored = view.passage(each.address)
        near[stored.id] = each
        if stored.id not in present:
            evidence = weigh(stored, inquiry, 0.0)
            odds = JUDGE.rank(evidence)
            found.candidates.append(Candidate(stored, evidence, each.address, odds))
    return near


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
