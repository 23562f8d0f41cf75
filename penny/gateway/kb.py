"""The knowledge base of a gateway: opened once, shared by all sessions, and its route.

    GET /v1/kb/search?ref=kb://company/collection&q=…&limit=5&language=es

With ``why=true`` the best are told whether or not they answer, each with what speaks for it.
``ref`` is the configured collection when it is left out. The answer has ``relevant`` and ``hits``,
best first, each with its passage; nothing relevant is an answer too, with no hits.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from functools import partial
from typing import Any

import structlog
from aiohttp import web

from config.schema import Config
from kb import Hit, KnowledgeBase, SearchResult, UnknownCollection, open_warm
from kb.examples import choose_examples
from kb.passage import Language
from penny.errors import PennyError, ProtocolError
from penny.gateway.gate import Gate
from penny.gateway.guard import WHO, refusal


log = structlog.get_logger()

Json = dict[str, Any]

PARAMETERS = ("ref", "q", "limit", "language", "why")
MAX_QUERY_CHARS = 1000
MAX_LIMIT = 20
LIMITS = frozenset(str(number) for number in range(1, MAX_LIMIT + 1))
LIMIT = 5
EXAMPLES = 4
OPENING = "the knowledge base is being opened"


class SharedKb:
    """The knowledge base of a gateway, opened in a thread; ``ready`` waits for that.

    One that cannot be opened leaves the gateway talking: the reason is logged once, shown by
    ``/readyz``, and is the answer to each search.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._opening: asyncio.Task[KnowledgeBase | None] | None = None
        self._base: KnowledgeBase | None = None
        self.reason = OPENING

    def start(self) -> None:
        """Begin to open it; searches are answered once that is done."""
        self._opening = asyncio.create_task(self._open(), name="kb open")

    async def ready(self) -> KnowledgeBase | None:
        """Return the knowledge base as soon as it is open; None when it cannot be opened."""
        return await asyncio.shield(self._opening) if self._opening else None

    @property
    def base(self) -> KnowledgeBase | None:
        """The open knowledge base; None while it opens and when it cannot be, see ``reason``."""
        return self._base

    def examples(self, ref: str | None, language: Language) -> list[str]:
        """Return a few questions that a collection lists (None: the configured one).

        None before the knowledge base is open, and of a collection that is not there.
        """
        if self._base is None:
            return []
        try:
            questions = self._base.questions(ref or self._config.kb.default_ref, language)
        except UnknownCollection:
            return []
        return choose_examples(questions, language, EXAMPLES)

    async def aclose(self) -> None:
        """Wait for an opening under way, end the watching, let another process write."""
        base = await self.ready()
        if base is not None:
            await asyncio.to_thread(base.close)

    def fault(self) -> str:
        """Why nothing of it, or something old, is served; '' while all is well."""
        return self.reason or (self._base.fault() if self._base is not None else "")

    def degraded(self) -> str:
        """``fault``, for ``/readyz``; it is none that it still opens."""
        fault = self.fault()
        return f"knowledge base: {fault}" if fault and fault != OPENING else ""

    def describe(self) -> Json:
        """Return its state, and every file that is not served whole, for the operator."""
        problems = self._base.problems() if self._base is not None else []
        fault = self.fault()
        return {"state": fault or "ready", "problems": [asdict(each) for each in problems]}

    async def _open(self) -> KnowledgeBase | None:
        section = self._config.kb
        settings = self._config.kb_settings(os.environ)
        try:
            base = await asyncio.to_thread(
                open_warm, settings, watch=section.watch, ref=section.default_ref
            )
        except PennyError as error:
            self.reason = error.message
            log.error("kb_unavailable", code=error.code, reason=error.message)  # noqa: TRY400
            return None
        except Exception as error:
            self.reason = f"it could not be opened: {type(error).__name__}"
            log.exception("kb_unavailable")
            return None
        self._base, self.reason = base, ""
        return base


class KbRoutes:
    """HTTP route that searches, for tools and programs, behind the same keys as a session."""

    def __init__(self, shared: SharedKb, gate: Gate, default_ref: str) -> None:
        self._shared = shared
        self._gate = gate
        self._default_ref = default_ref

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/v1/kb/search", self._search)

    async def _search(self, request: web.Request) -> web.Response:
        policy = self._gate.policy(request[WHO])
        try:
            ref, text, limit, language = self._read(request, policy.collection(self._default_ref))
            policy.check_collection(ref, "ref")
            base = self._shared.base
            if base is None:
                raise PennyError(self._shared.reason, code="kb_unavailable", retryable=True)
            why = request.query.get("why") == "true"
            least = 0.0 if why else None
            search = partial(
                base.search, ref, text, limit=limit, language=language, min_score=least
            )
            # A millisecond of work, where no embedder is waited for, is not worth a thread.
            result = await asyncio.to_thread(search) if base.waits else search()
        except ProtocolError as error:
            return refusal(error, 400)
        except UnknownCollection as error:
            error.field = "ref"
            return refusal(error, 404)
        except PennyError as error:
            return refusal(error, 503)
        return web.json_response(_describe_result(ref, result, why=why))

    def _read(
        self, request: web.Request, default_ref: str
    ) -> tuple[str, str, int, Language | None]:
        """Return (ref, q, limit, language). Raises ProtocolError naming the parameter."""
        query = request.query
        for name in query:
            if name not in PARAMETERS:
                raise _invalid(name, f"is not a parameter; there are {', '.join(PARAMETERS)}")
            if len(query.getall(name)) > 1:
                raise _invalid(name, "is given twice; give it once")
        text = query.get("q", "").strip()
        if not text:
            raise _invalid("q", "is missing; give the question, as spoken or typed")
        if len(text) > MAX_QUERY_CHARS:
            raise _invalid("q", f"is longer than {MAX_QUERY_CHARS} characters; shorten it")
        limit = query.get("limit", str(LIMIT))
        if limit not in LIMITS:
            raise _invalid("limit", f"must be a whole number from 1 to {MAX_LIMIT}")
        ref = query.get("ref", default_ref)
        language = query.get("language")
        if language is None:
            return ref, text, int(limit), None
        if language == "es" or language == "en":
            return ref, text, int(limit), "es" if language == "es" else "en"
        raise _invalid("language", "must be es or en")


def _invalid(name: str, fault: str) -> ProtocolError:
    return ProtocolError(f"{name[:40]} {fault}", code="invalid_request", field=name[:40])


def _describe_result(ref: str, result: SearchResult, *, why: bool) -> Json:
    return {
        "ref": ref,
        "relevant": result.relevant,
        "hits": [
            {**_describe_hit(hit), **({"why": _describe_why(hit)} if why else {})}
            for hit in result.hits
        ],
        "query_normalized": result.query_normalized,
        "took_ms": round(result.took_ms, 3),
    }


def _describe_hit(hit: Hit) -> Json:
    passage = hit.passage
    return {
        "id": passage.id,
        "score": round(hit.score, 4),
        "source": passage.source,
        "heading": list(passage.heading),
        "position": passage.position,
        "language": passage.language,
        "text": passage.text,
        "speakable": passage.speakable,
        "fields": passage.fields,
    }


def _describe_why(hit: Hit) -> Json:
    return {
        "by_words": hit.by_words,
        "by_vectors": hit.by_vectors,
        "cosine": None if hit.vector is None else round(hit.vector, 4),
        "found": list(hit.found),
        "lost": list(hit.lost),
    }
