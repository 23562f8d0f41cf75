"""One search: normalise, find candidates by words, weigh them, judge. About half a millisecond."""

from __future__ import annotations

import time
from collections.abc import Mapping

import tantivy

from kb.collection import View
from kb.index import SCHEMA, read_passage
from kb.normal.analysis import guess_language
from kb.passage import FieldValue, Hit, Language, SearchResult
from kb.query import Concept, build_concepts
from kb.ranking import judge, weigh
from kb.settings import KbSettings


Filter = FieldValue | tuple[FieldValue | None, FieldValue | None]
_CANDIDATES = 20
_MAX_QUERY_CHARS = 1000
# Another language's passage answers a little worse than one the caller can read.
_FOREIGN = 0.9


def search_view(
    view: View,
    text: str,
    settings: KbSettings,
    *,
    limit: int,
    language: Language | None,
    filters: Mapping[str, Filter] | None,
) -> SearchResult:
    started = time.perf_counter()
    text = text[:_MAX_QUERY_CHARS]
    spoken = language or guess_language(text)
    concepts = build_concepts(text, spoken, view.vocabulary)
    hits: list[Hit] = []
    query = _build_query(concepts, filters)
    if query is not None:
        found = view.searcher.search(query, limit=_CANDIDATES, count=False).hits
        best = found[0][0] if found else 1.0
        for score, address in found:
            stored = read_passage(view.searcher, address)
            sure = judge(weigh(stored, concepts, score / best))
            if language and stored.passage.language != language:
                sure *= _FOREIGN
            hits.append(Hit(stored.passage, sure, sure))
        hits.sort(key=lambda hit: -hit.score)
    relevant = bool(hits) and hits[0].score >= settings.relevance
    kept = tuple(hits[:limit]) if relevant else ()
    normalized = " ".join(next(iter(each.keys), each.surface) for each in concepts)
    return SearchResult(kept, relevant, normalized, (time.perf_counter() - started) * 1000)


def _build_query(
    concepts: list[Concept], filters: Mapping[str, Filter] | None
) -> tantivy.Query | None:
    weights: dict[str, float] = {}
    for concept in concepts:
        for key, quality in concept.keys.items():
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
    if not filters:
        return query
    must = [(tantivy.Occur.Must, query)]
    must += [(tantivy.Occur.Must, _filter(name, value)) for name, value in filters.items()]
    return tantivy.Query.boolean_query(must)


def _filter(name: str, value: Filter) -> tantivy.Query:
    if name == "source" and isinstance(value, str):
        return tantivy.Query.term_query(SCHEMA, "file", value, "basic")
    if name == "language" and isinstance(value, str):
        return tantivy.Query.term_query(SCHEMA, "language", value, "basic")
    path = f"fields.{name}"
    if not isinstance(value, tuple):
        exact = value.lower() if isinstance(value, str) else value
        return tantivy.Query.term_query(SCHEMA, path, exact, "basic")
    return _range(path, *value)


def _range(path: str, low: FieldValue | None, high: FieldValue | None) -> tantivy.Query:
    kind = tantivy.FieldType.Text if isinstance(low or high, str) else tantivy.FieldType.Float
    return tantivy.Query.range_query(SCHEMA, path, kind, low, high)
