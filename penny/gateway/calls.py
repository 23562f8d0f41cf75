"""Kept calls over HTTP: found, read, heard, exported, held and erased.

    GET    /v1/calls                       filters, ``cursor``, ``limit``, ``order``
    GET    /v1/calls/export?format=csv     every call that is found (csv, xlsx, jsonl, parquet;
                                           zip: records, texts and sound)
    GET    /v1/calls/{id}                  the whole record
    GET    /v1/calls/{id}/metrics          by the names of the user's documents;
                                           ``/conversations/{id}/metrics`` too
    GET    /v1/calls/{id}/transcript       ``?format=json|vtt|text``
    GET    /v1/calls/{id}/audio            FLAC, the caller left, Penny right; ranges;
                                           ``?link=true``: where it lies in S3
    POST   /v1/calls/{id}/hold             {"held": true}: not deleted while it holds
    POST   /v1/calls/{id}/recording        {"paused": true}, of a live call; {"withdrawn": true}:
                                           the caller agrees no more, keep nothing from now on
    POST   /v1/calls/{id}/links            {"parent": …}: it is a leg of that call;
                                           {"pbx_recording": …}: a telephone system recorded it
    DELETE /v1/calls/{id}                  for good
    GET    /storage/stats                  what is kept

Every reading, hearing, exporting and erasing is written into the audit log.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from penny.calls.export import FORMATS, KINDS, export
from penny.calls.keeper import CallKeeper
from penny.calls.people import ZIP, copy_calls
from penny.calls.query import CallQuery
from penny.calls.record import Call, Links, RecordingWish
from penny.calls.shelf import LINK_S
from penny.calls.transcript import as_text, as_vtt
from penny.errors import ProtocolError
from penny.gateway.guard import WHO
from penny.gateway.json_routes import as_json, read_as, read_body, read_flag, told, whose
from penny.gateway.kept_calls import KeptCalls
from penny.trust.identity import Identity
from penny.trust.rights import check


Json = dict[str, Any]


class CallRoutes:
    """The routes of kept calls. Another tenant's call is none: 404.

    Args:
        wall_clock: Unix time in seconds.
    """

    def __init__(self, kept: KeptCalls, wall_clock: Callable[[], float]) -> None:
        self._kept = kept
        self._keeper = kept.keeper
        self._store = kept.keeper.store
        self._wall_clock = wall_clock

    def add_to(self, app: web.Application) -> None:
        router = app.router
        router.add_get("/v1/calls", told(self._find))
        router.add_get("/v1/calls/export", told(self._export))
        router.add_get("/v1/calls/{id}", told(self._show))
        router.add_delete("/v1/calls/{id}", told(self._erase))
        router.add_get("/v1/calls/{id}/metrics", told(self._metrics))
        router.add_get("/v1/calls/{id}/transcript", told(self._transcript))
        router.add_get("/v1/calls/{id}/audio", told(self._audio))
        router.add_post("/v1/calls/{id}/hold", told(self._hold))
        router.add_post("/v1/calls/{id}/recording", told(self._pause))
        router.add_post("/v1/calls/{id}/links", told(self._link))
        router.add_get("/conversations/{id}/metrics", told(self._metrics))
        router.add_get("/storage/stats", told(self._stats))

    async def _find(self, request: web.Request) -> web.StreamResponse:
        zone = self._zone(request)
        query = read_query(request, zone)
        found, cursor = await self._store.find(whose(request), query)
        return as_json({"calls": found, "cursor": cursor, "timezone": zone.key})

    async def _show(self, request: web.Request) -> web.StreamResponse:
        call = await self._get(request, "read")
        legs = await self._store.legs(call.tenant, call)
        return as_json({**call.model_dump(mode="json"), "legs": legs})

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        call = await self._get(request, "read")
        return as_json(call.metrics)

    async def _transcript(self, request: web.Request) -> web.StreamResponse:
        form = request.query.get("format", "json")
        if form not in ("json", "vtt", "text"):
            raise ProtocolError("format: use json, vtt or text", field="format")
        call = await self._get(request, "read")
        if form == "json":
            return as_json([turn.model_dump(mode="json") for turn in call.turns])
        text = as_vtt(call) if form == "vtt" else as_text(call)
        kind = "text/vtt" if form == "vtt" else "text/plain"
        return web.Response(text=text, content_type=kind, charset="utf-8")

    async def _audio(self, request: web.Request) -> web.StreamResponse:
        """The file in ranges; ``?link=true``: an address in the bucket, for five minutes."""
        call = await self._get(request, "heard")
        shelf, name = self._keeper.shelf, str(call.sound.get("path"))
        size = await shelf.size(name) if call.sound.get("state") == "stored" else None
        if size is None:
            raise ProtocolError(
                f"the sound of this call is {call.sound.get('state')}", code="sound_absent"
            )
        if request.query.get("link") == "true":
            return as_json({"url": await shelf.link(name), "expires_in_s": LINK_S})
        headers = {"Content-Type": "audio/flac", "Cache-Control": "private, no-store"}
        path = await asyncio.to_thread(shelf.local, name)
        if path is not None:
            return web.FileResponse(path, headers=headers)
        return await _send_range(request, size, partial(shelf.read, name), headers)

    async def _hold(self, request: web.Request) -> web.StreamResponse:
        held = await read_flag(request, "held")
        call = await self._get(request, "held" if held else "released")
        await self._store.set_held(call.tenant, call.id, held=held)
        return as_json({"id": call.id, "held": held})

    async def _erase(self, request: web.Request) -> web.StreamResponse:
        call = await self._get(request, "erased")
        gone = await self._keeper.erase(call.tenant, [call.id])
        if not gone:
            raise ProtocolError("this call is under legal hold; release it first", code="held")
        return as_json({"erased": gone})

    async def _pause(self, request: web.Request) -> web.StreamResponse:
        wish = await read_body(request, RecordingWish)
        call_id = request.match_info["id"]
        live = self._kept.find_live(whose(request), call_id)
        if live is None:
            raise ProtocolError("no such call is live here", code="call_not_found")
        now_s = asyncio.get_running_loop().time()
        if wish.withdrawn:
            live.withdraw(now_s)
        elif wish.paused:
            live.pause(now_s)
        else:
            live.resume(now_s)
        return as_json({"id": call_id, **wish.model_dump()})

    async def _link(self, request: web.Request) -> web.StreamResponse:
        links = (await read_body(request, Links)).model_dump(exclude_none=True)
        call_id, mine = request.match_info["id"], whose(request)
        parent = links.get("parent")
        if not links:
            raise ProtocolError("parent: send it, or pbx_recording", field="parent")
        if parent and (parent == call_id or not await self._is_known(mine, parent)):
            raise ProtocolError("parent: name another call of yours", field="parent")
        live = self._kept.find_live(mine, call_id)
        if live is not None:
            live.link(**links)
        else:
            call = await self._get(request, "linked")
            await self._store.set_links(call.tenant, call.id, links)
        return as_json({"id": call_id, **links})

    async def _is_known(self, whose: str | None, call_id: str) -> bool:
        """Whether there is such a call, live or kept."""
        if self._kept.find_live(whose, call_id) is not None:
            return True
        return await self._store.get(whose, call_id) is not None

    async def _stats(self, request: web.Request) -> web.StreamResponse:
        tenant = whose(request)
        counts = await self._store.count(tenant)
        spool = {} if tenant else {"in_spool": self._keeper.waiting}
        return as_json({**counts, **spool})

    async def _export(self, request: web.Request) -> web.StreamResponse:
        form = request.query.get("format", "csv")
        who, zone = request[WHO], self._zone(request)
        query = read_query(request, zone, ignore=("format",))
        if form in FORMATS:
            kind, pieces = KINDS[form], export(self._store, whose(request), query, form, zone)
            await self._note(who, "exported", "")
        elif form == ZIP:
            check(who, "calls:audio")
            kind, pieces = "application/zip", self._copy(who, whose(request), query)
        else:
            raise ProtocolError(f"format: use one of {', '.join((*FORMATS, ZIP))}", field="format")
        first = await anext(pieces, b"")  # what is wrong is told by its status
        headers = {
            "Content-Disposition": f'attachment; filename="calls.{form}"',
            "Content-Type": kind,
            "X-Penny-Calls": str(await self._store.count_found(whose(request), query)),
        }
        return await _send(request, web.StreamResponse(headers=headers), first, pieces)

    def _copy(self, who: Identity, whose: str | None, query: CallQuery) -> AsyncIterator[bytes]:
        """A ZIP of the calls; each that goes out stands in the audit log."""

        async def note(call: Call) -> None:
            await self._note(who, "exported", call.id)

        return copy_calls(self._keeper, whose, query, note)

    def _zone(self, request: web.Request) -> ZoneInfo:
        """The time zone of the tenant that asks."""
        return self._kept.zone(request[WHO].tenant)

    # -- inside -------------------------------------------------------------------------------

    async def _get(self, request: web.Request, action: str) -> Call:
        """The call that the address names. Raises ProtocolError, StoreUnavailable."""
        call = await self._store.get(whose(request), request.match_info["id"])
        if call is None:
            raise ProtocolError("there is no such call", code="call_not_found")
        await self._note(request[WHO], action, call.id)
        return call

    async def _note(self, who: Identity, action: str, call_id: str) -> None:
        actor = who.key_id or "house"
        await self._store.note(who.tenant, actor, action, call_id, round(self._wall_clock() * 1000))


class CallsCollector:
    """Metrics of what is kept."""

    def __init__(self, keeper: CallKeeper) -> None:
        self._keeper = keeper

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "penny_calls_kept", "Calls brought from the spool to the store", self._keeper.kept
        )
        yield GaugeMetricFamily(
            "penny_calls_waiting", "Ended calls that are in the spool alone", self._keeper.waiting
        )
        yield CounterMetricFamily(
            "penny_calls_lost_writes",
            "Times that the disk did not take something of a call",
            self._keeper.spool.lost,
        )


def read_query(request: web.Request, zone: ZoneInfo, ignore: tuple[str, ...] = ()) -> CallQuery:
    """The filters of an address. Raises ProtocolError, naming the first that is wrong.

    Args:
        zone: of days and moments that name none.
    """
    given = {k: v for k, v in request.query.items() if k not in ("api_key", *ignore)}
    mine = whose(request)
    if mine is not None and given.get("tenant", mine) != mine:
        raise ProtocolError("tenant: this key sees the calls of its own alone", field="tenant")
    query: CallQuery = read_as(lambda: CallQuery.model_validate(given))
    return query.in_zone(zone)


async def _send_range(
    request: web.Request,
    size: int,
    read: Callable[[int, int], AsyncIterator[bytes]],
    headers: dict[str, str],
) -> web.StreamResponse:
    """A file that lies elsewhere, or the part of it that ``Range`` names."""
    try:
        wanted = request.http_range
        start, end, _ = slice(wanted.start, wanted.stop).indices(size)
    except ValueError:
        start, end = size, size
    if start >= end:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})
    is_part = "Range" in request.headers
    answer = web.StreamResponse(status=206 if is_part else 200, headers=headers)
    answer.headers["Accept-Ranges"] = "bytes"
    answer.content_length = end - start
    if is_part:
        answer.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    pieces = read(start, end)
    first = await anext(pieces, b"")  # what is wrong is told by its status
    return await _send(request, answer, first, pieces)


async def _send(
    request: web.Request, answer: web.StreamResponse, first: bytes, pieces: AsyncIterator[bytes]
) -> web.StreamResponse:
    """Send a body piece by piece; its first is known, so what is wrong was told by the status."""
    await answer.prepare(request)
    await answer.write(first)
    async for piece in pieces:
        await answer.write(piece)
    await answer.write_eof()
    return answer
