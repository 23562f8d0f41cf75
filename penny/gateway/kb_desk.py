"""The document owner's page ``/kb`` and its routes.

    GET    /kb                                       the page
    GET    /v1/kb/collections                        collections with their files and problems
    GET    /v1/kb/passages?ref=&source=              the passages of a file, as they are spoken
    PUT    /v1/kb/document?ref=&name=                a document, its bytes as the body
    DELETE /v1/kb/document?ref=&name=                takes it out
    GET    /v1/kb/unanswered?ref=                    what callers asked and nothing answered
    DELETE /v1/kb/unanswered?ref=[&text=]            forgets one of these, or all

All but the page ask for the right ``kb:write``: file names and faults are no caller's business.
Each tenant sees and changes the collections it may name (``tenants.<name>.kb_collections``).
A document that was put there is indexed by the watch of the folder, two seconds later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import structlog
from aiohttp import web

from kb import KnowledgeBase, Passage, UnknownCollection
from kb.uploads import RefusedDocument, remove_document, write_document
from penny.errors import PennyError, ProtocolError
from penny.gateway.gate import Gate
from penny.gateway.guard import WHO, refusal
from penny.gateway.kb import SharedKb


log = structlog.get_logger()

Json = dict[str, Any]
Handler = Callable[[web.Request, KnowledgeBase], Awaitable[Json]]

MAX_DOCUMENT_BYTES = 50 << 20
MOST_PASSAGES = 500
UPLOAD_WAIT_S = 120.0


class KbDeskRoutes:
    """Routes of the page ``/kb``."""

    def __init__(self, shared: SharedKb, gate: Gate) -> None:
        self._shared = shared
        self._gate = gate

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/v1/kb/collections", self._answering(self._collections))
        app.router.add_get("/v1/kb/passages", self._answering(self._passages))
        app.router.add_put("/v1/kb/document", self._answering(self._put))
        app.router.add_delete("/v1/kb/document", self._answering(self._remove))
        app.router.add_get("/v1/kb/unanswered", self._answering(self._unanswered))
        app.router.add_delete("/v1/kb/unanswered", self._answering(self._forget))

    def _answering(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            try:
                base = self._shared.base
                if base is None:
                    raise PennyError(self._shared.reason, code="kb_unavailable", retryable=True)
                return web.json_response(await handler(request, base))
            except (ProtocolError, RefusedDocument) as error:
                return refusal(error, 400)
            except UnknownCollection as error:
                return refusal(error, 404)
            except PennyError as error:
                return refusal(error, 503)

        return answer

    def _ref(self, request: web.Request) -> str:
        """The collection that is meant. Raises ProtocolError: none, or another tenant's."""
        ref = _asked(request, "ref")
        self._gate.policy(request[WHO]).check_collection(ref, "ref")
        return ref

    def _may_name(self, request: web.Request, ref: str) -> bool:
        try:
            self._gate.policy(request[WHO]).check_collection(ref, "ref")
        except ProtocolError:
            return False
        return True

    async def _collections(self, request: web.Request, base: KnowledgeBase) -> Json:
        mine = [each for each in base.collections() if self._may_name(request, each.ref)]
        found = await asyncio.to_thread(lambda: [_describe(base, each.ref) for each in mine])
        return {"collections": found, "fault": base.fault()}

    async def _passages(self, request: web.Request, base: KnowledgeBase) -> Json:
        view = base.view(self._ref(request))
        source = _asked(request, "source")
        found = await asyncio.to_thread(view.read_all, source, MOST_PASSAGES)
        return {"passages": [_describe_passage(each) for each in found]}

    async def _put(self, request: web.Request, base: KnowledgeBase) -> Json:
        ref, name = self._ref(request), _asked(request, "name")
        folder = base.folder(ref)
        with TemporaryFile() as data:  # not in memory: many may come at once
            size = await _read_body(request, data)
            await asyncio.to_thread(write_document, folder, name, data)
        log.info("kb_document_put", ref=ref, file=name, size_bytes=size, **_who(request))
        return {"ref": ref, "name": name}

    async def _remove(self, request: web.Request, base: KnowledgeBase) -> Json:
        ref, name = self._ref(request), _asked(request, "name")
        await asyncio.to_thread(remove_document, base.folder(ref), name)
        log.info("kb_document_removed", ref=ref, file=name, **_who(request))
        return {"ref": ref, "name": name}

    async def _unanswered(self, request: web.Request, base: KnowledgeBase) -> Json:
        asked = await asyncio.to_thread(base.unanswered.list, self._ref(request))
        return {"questions": [asdict(each) for each in asked]}

    async def _forget(self, request: web.Request, base: KnowledgeBase) -> Json:
        ref = self._ref(request)
        await asyncio.to_thread(base.unanswered.remove, ref, request.query.get("text"))
        return {"ref": ref}


def _asked(request: web.Request, name: str) -> str:
    value = request.query.get(name, "")
    if not value:
        raise ProtocolError(f"{name} is missing", code="invalid_request", field=name)
    return value


def _who(request: web.Request) -> dict[str, str]:
    who = request[WHO]
    return {"tenant": who.tenant, "key_id": who.key_id}


async def _read_body(request: web.Request, file: BinaryIO) -> int:
    """Its bytes go to ``file``. Raises ProtocolError: longer than it may be, or too slow."""
    size = 0
    try:
        async with asyncio.timeout(UPLOAD_WAIT_S):
            async for part in request.content.iter_chunked(1 << 16):
                size += len(part)
                if size > MAX_DOCUMENT_BYTES:
                    raise ProtocolError(
                        f"a document has at most {MAX_DOCUMENT_BYTES >> 20} MB; split it",
                        code="too_large",
                        field="body",
                    )
                await asyncio.to_thread(file.write, part)
    except TimeoutError as error:
        raise ProtocolError("the document did not arrive in time", field="body") from error
    return size


def _describe(base: KnowledgeBase, ref: str) -> Json:
    view = base.view(ref)
    files = sorted(view.files.values(), key=lambda each: each.path)
    return {
        "ref": ref,
        "passages": view.passages,
        "vectors": view.vectors is not None and len(view.vectors) > 0,
        "files": [
            {
                "name": each.path,
                "size_bytes": each.size,
                "passages": each.passages,
                "problem": each.problem,
            }
            for each in files
        ],
    }


def _describe_passage(passage: Passage) -> Json:
    return {
        "id": passage.id,
        "heading": list(passage.heading),
        "position": passage.position,
        "text": passage.text,
        "speakable": passage.speakable,
        "questions": list(passage.questions),
    }
