"""Calls that this gateway places: asked for over HTTP, allowed, written down, placed, told of.

    POST /v1/calls          {"to": "+34…", …}: place a call; ``Idempotency-Key`` names the wish
    GET  /v1/dials/{id}     where it is, and how it ended
    POST /v1/do-not-call    {"number": "+34…"}: never call it again

The order is fixed: rules, record, carrier. What the carrier tells of a call, and the end of its
session, each may be the last word; the first that is one counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import structlog
from aiohttp import web
from pydantic import ValidationError

from config.schema import Config
from config.telephony import DialingSection
from penny.aio.tasks import TaskOwner
from penny.errors import PennyError, ProtocolError
from penny.gateway.guard import WHO, refusal
from penny.gateway.phones import PhoneCall
from penny.ids import new_id
from penny.telephony.dial_book import Dial, DialBook
from penny.telephony.dialing import (
    DialCounts,
    DialRefused,
    check_consent,
    check_counts,
    check_destination,
    check_moment,
    choose_caller_id,
    read_list,
    read_number,
)
from penny.telephony.wishes import DialWish, OptOut
from penny.trust.identity import Identity
from penny.writable import dump_json


log = structlog.get_logger()

Json = dict[str, Any]

ENDS = {
    "completed": "completed",
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "canceled",
    "failed": "failed",
}
"""A carrier's last word -> the outcome."""
LOOK_EVERY_S = 10.0
MOMENTS = {"ringing": "ringing", "in-progress": "answered"}
STATUS = {
    "dialing_denied": 403,
    "caller_id_denied": 403,
    "do_not_call": 403,
    "consent_missing": 403,
    "dialing_hours": 409,
    "dialing_limit": 429,
    "keys_still_sound": 409,
    "idempotency_mismatch": 409,
    "dial_not_found": 404,
    "call_not_found": 404,
    "transfer_unknown": 404,
    "carrier_refused": 502,
    "no_carrier": 503,
    "session_refused": 503,
}
"""Error code -> HTTP status; else 400."""


class Placer(Protocol):
    """What places calls: a carrier."""

    async def place(self, dial: Dial, section: DialingSection) -> str:
        """Place a call; the carrier's name for it. Raises PennyError."""
        ...


class Dialer:
    """Places calls, and is told of them by the carrier's door.

    Args:
        check: raises PennyError where a call could not be answered now.
        keep: keeps a call that had no session: the call, how it ended.
        wall_clock: Unix time in seconds.
    """

    def __init__(
        self,
        config: Config,
        check: Callable[[PhoneCall], None],
        keep: Callable[[PhoneCall, str], None],
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._check = check
        self._keep = keep
        self._wall_clock = wall_clock
        folder = config.resolve(config.telephony.folder)
        self.book = DialBook(folder / "dials.sqlite", wall_clock)
        self.placer: Placer | None = None
        self._tasks = TaskOwner("dialer")

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/v1/calls", answered(self._place))
        app.router.add_get("/v1/dials/{id}", answered(self._show))
        app.router.add_post("/v1/do-not-call", answered(self._opt_out))

    def start(self) -> None:
        """End calls that are over by the clock from now on, those that a crash left too."""
        self._tasks.spawn(self._watch(), name="clock of placed calls")

    async def aclose(self) -> None:
        await self._tasks.aclose()

    async def _watch(self) -> None:
        while True:
            try:
                await self.expire()
            except Exception:  # the next look may find the file free
                log.exception("dials_not_looked_at")
            await asyncio.sleep(LOOK_EVERY_S)

    async def expire(self) -> None:
        """End what is over by the clock, each told once."""
        for dial in await asyncio.to_thread(self.book.expire):
            await self._told_over(dial, "unknown")

    # -- routes -------------------------------------------------------------------------------

    async def _place(self, request: web.Request) -> web.Response:
        wish = await read_body(request, DialWish)
        key = request.headers.get("Idempotency-Key")
        dial = await self.place(request[WHO], wish, key)
        return _json(describe(dial), 202)

    async def _show(self, request: web.Request) -> web.Response:
        who: Identity = request[WHO]
        tenant = None if "tenants:all" in who.rights else who.tenant
        await self.expire()
        dial = await asyncio.to_thread(self.book.find, request.match_info["id"], tenant)
        if dial is None:
            raise ProtocolError("there is no such call", code="dial_not_found")
        return _json(describe(dial))

    async def _opt_out(self, request: web.Request) -> web.Response:
        number = read_number((await read_body(request, OptOut)).number)
        await asyncio.to_thread(self.book.opt_out, request[WHO].tenant, number)
        return web.Response(status=204)

    async def never_call(self, tenant: str, number: str) -> bool:
        """Who is called asked for no more calls: from now on none is placed. False where the number
        is not shown."""
        try:
            number = read_number(number)
        except DialRefused:
            log.warning("opt_out_without_number", tenant=tenant)
            return False
        await asyncio.to_thread(self.book.opt_out, tenant, number)
        log.info("opted_out", tenant=tenant)
        return True

    # -- placing ------------------------------------------------------------------------------

    async def place(self, who: Identity, wish: DialWish, key: str | None = None) -> Dial:
        """Place a call, or say why not. Raises DialRefused, PennyError.

        Args:
            key: asked for again with the same one, it is the same call.
        """
        section = self._config.telephony.dialing_of(who.tenant)
        number = read_number(wish.to)
        if key is not None and (known := await self._asked_before(who.tenant, key, wish)):
            return known
        local = datetime.fromtimestamp(self._wall_clock(), ZoneInfo(section.timezone))
        check_destination(number, section, await self._never(who.tenant, section))
        caller_id = choose_caller_id(wish.from_, section)
        check_moment(local, section)
        if wish.purpose == "commercial":
            check_consent(wish.consent.at if wish.consent else None, local.date())
        if self.placer is None:
            raise PennyError(
                "no carrier places calls here; set telephony.twilio", code="no_carrier"
            )
        dial = Dial(
            id=new_id("dial"),
            tenant=who.tenant,
            number=number,
            caller_id=caller_id,
            session_id=new_id("sess"),
            asked=wish.model_dump(mode="json", by_alias=True),
            call_sid=None,
            created_s=0.0,
            ringing_s=None,
            answered_s=None,
            ended_s=None,
            outcome=None,
        )
        self._check(_as_call(dial))

        def check(counts: DialCounts) -> None:
            check_counts(counts, section)

        await self.expire()
        day_from_s = local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        dial, is_new = await asyncio.to_thread(
            self.book.reserve, dial, key, day_from_s, section.ring_s, section.max_s, check
        )
        if is_new:
            await self._hand_to_carrier(dial, section, self.placer)
        found = await asyncio.to_thread(self.book.find, dial.id)
        return found or dial

    async def _asked_before(self, tenant: str, key: str, wish: DialWish) -> Dial | None:
        """The call that this key named before. Raises DialRefused where it named another wish."""
        known = await asyncio.to_thread(self.book.of_key, tenant, key)
        if known is not None and known.asked != wish.model_dump(mode="json", by_alias=True):
            raise DialRefused(
                "Idempotency-Key: it named another call before; take a new one",
                code="idempotency_mismatch",
                field="Idempotency-Key",
            )
        return known

    async def _hand_to_carrier(self, dial: Dial, section: DialingSection, placer: Placer) -> None:
        try:
            call_sid = await placer.place(dial, section)
        except PennyError as error:
            # Without an answer it may ring all the same: its answer is taken, the clock ends it.
            if not getattr(error, "is_open", False):
                await self._end(dial, "failed")
            raise
        await asyncio.to_thread(self.book.note, dial.id, call_sid)
        log.info("call_placed", dial_id=dial.id, tenant=dial.tenant)

    async def _never(self, tenant: str, section: DialingSection) -> frozenset[str]:
        opted_out = await asyncio.to_thread(self.book.opted_out, tenant)
        if section.do_not_call is None:
            return opted_out
        path = self._config.resolve(section.do_not_call)
        try:
            text = await asyncio.to_thread(path.read_text, "utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            log.error("do_not_call_unreadable", reason=reason)  # noqa: TRY400
            raise DialRefused(
                "the do-not-call list cannot be read: nothing is dialled", code="do_not_call"
            ) from error
        return opted_out | read_list(text)

    # -- the carrier's word -------------------------------------------------------------------

    async def find(self, dial_id: str) -> PhoneCall | None:
        """The call that has been answered; None where there is none, or it is over."""
        await self.expire()
        dial = await asyncio.to_thread(self.book.find, dial_id)
        if dial is None or dial.outcome is not None:
            return None
        await asyncio.to_thread(self.book.note, dial.id, dial.call_sid, "answered")
        return _as_call(dial)

    async def told(self, dial_id: str, call_sid: str, status: str) -> None:
        """What the carrier says of a call. What is no word of its own changes nothing."""
        dial = await asyncio.to_thread(self.book.find, dial_id)
        if dial is None or dial.call_sid not in (None, call_sid):
            return
        if status in ENDS:
            await self._end(dial, ENDS[status])
        else:
            await asyncio.to_thread(self.book.note, dial.id, call_sid, MOMENTS.get(status, ""))

    async def began(self, session_id: str) -> None:
        """Its session begins now: from here on the call is kept as every other."""
        await asyncio.to_thread(self.book.note_talk, session_id)

    async def ended(self, session_id: str, reason: str) -> None:
        """The session of a call is over, and so is the call, unless a person has it now."""
        dial = await asyncio.to_thread(self.book.of_session, session_id)
        if dial is not None and reason != "handoff":
            has_talked = await asyncio.to_thread(self.book.has_talked, session_id)
            await self._end(dial, "completed" if has_talked else "failed")

    async def _end(self, dial: Dial, outcome: str) -> None:
        if await asyncio.to_thread(self.book.end, dial.id, outcome):
            await self._told_over(dial, outcome)

    async def _told_over(self, dial: Dial, outcome: str) -> None:
        log.info("call_over", dial_id=dial.id, tenant=dial.tenant, outcome=outcome)
        if not await asyncio.to_thread(self.book.has_talked, dial.session_id):
            # Answered and nobody talked: to its person that call failed, whatever a carrier says.
            self._keep(_as_call(dial), "failed" if outcome == "completed" else outcome)


def describe(dial: Dial) -> Json:
    """A call as it is told."""
    state = "placing" if dial.call_sid is None else "placed"
    if dial.ringing_s is not None:
        state = "ringing"
    if dial.answered_s is not None:
        state = "answered"
    told = asdict(dial)
    moments = {
        name: None if told[f"{name}_s"] is None else _iso(told[f"{name}_s"])
        for name in ("created", "ringing", "answered", "ended")
    }
    return {
        "id": dial.id,
        "session_id": dial.session_id,
        "to": dial.number,
        "from": dial.caller_id,
        "state": "ended" if dial.outcome is not None else state,
        "outcome": dial.outcome,
        **{f"{name}_at": moment for name, moment in moments.items()},
    }


def _iso(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).isoformat()


def _as_call(dial: Dial) -> PhoneCall:
    asked = dial.asked
    return PhoneCall(
        tenant=dial.tenant,
        caller=dial.caller_id,
        callee=dial.number,
        direction="outbound",
        mode=asked["mode"],
        language=asked["language"] or "",
        greeting=asked["greeting"],
        instructions=asked["instructions"] or "",
        actions=tuple(asked["actions"]),
        context=asked["context"],
        is_commercial=asked["purpose"] == "commercial",
        session_id=dial.session_id,
    )


def _json(body: Json, status: int = 200) -> web.Response:
    return web.Response(body=dump_json(body), status=status, content_type="application/json")


async def read_body(request: web.Request, model: type[Any]) -> Any:
    """The body as its model. Raises ProtocolError, naming the field."""
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "body"
        raise ProtocolError(f"{name}: {first['msg']}", field=name) from error


def answered(handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
    """The handler, whose PennyErrors are answers."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            answer: web.StreamResponse = await handler(request)
        except PennyError as error:
            return refusal(error, STATUS.get(error.code, 400))
        return answer

    return handle
