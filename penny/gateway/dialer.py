"""Calls that this gateway places: allowed, written down, placed, told of, and tried again.

The order is fixed: rules, record, carrier. A call that waits is written down too, and asked about
again when its time has come: what forbids it then ends it, what only delays it (hours, caps, no
room) moves it. What the carrier tells of a call, and the end of its session, each may be the last
word; the first that is one counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from config.schema import Config
from config.telephony import DialingSection
from penny.aio.tasks import TaskOwner
from penny.errors import PennyError
from penny.gateway.phones import PhoneCall
from penny.gateway.placed_calls import ENDS, KEPT_BY_S, Placer, as_call, as_owed
from penny.ids import new_id
from penny.telephony.dial_book import Dial, DialBook
from penny.telephony.dialing import (
    DialCounts,
    DialRefused,
    check_consent,
    check_counts,
    check_destination,
    check_request,
    choose_caller_id,
    read_list,
    read_number,
    retry_after_s,
)
from penny.telephony.exclusions import EXCLUSIONS, ExclusionLists
from penny.telephony.local_hours import check_hours, next_moment
from penny.telephony.owed import OwedCalls
from penny.telephony.wishes import DialWish
from penny.trust.identity import Identity


log = structlog.get_logger()

Json = dict[str, Any]

LOOK_EVERY_S = 2.0
LATER_S = 10.0
"""A call that waits for a place or a cap of the minute is looked at again after this."""
MOMENTS = {"ringing": "ringing", "in-progress": "answered"}
DAILY = ("per_day", "attempts")


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
        self.config = config
        self._check = check
        self._keep = keep
        self._wall_clock = wall_clock
        folder = config.resolve(config.telephony.folder)
        self.book = DialBook(folder / "dials.sqlite", wall_clock)
        self.owed = OwedCalls(folder / "dials.sqlite", wall_clock)
        self._exclusions = ExclusionLists(folder / EXCLUSIONS)
        self.placer: Placer | None = None
        self.refused: dict[str, int] = {}
        """Calls that no rule allowed, by the code of the rule."""
        self._tasks = TaskOwner("dialer")

    def start(self) -> None:
        """From now on place what is due."""
        self._tasks.spawn(self._watch(), name="clock of placed calls")

    async def aclose(self) -> None:
        await self._tasks.aclose()

    async def _watch(self) -> None:
        while True:
            try:
                await self.place_due()
            except Exception:  # the next look may find the file free
                log.exception("dials_not_looked_at")
            await asyncio.sleep(LOOK_EVERY_S)

    async def overdue(self) -> list[tuple[Dial, float]]:
        """Calls that are over by the clock and have no end, and since when (Unix seconds)."""
        return await asyncio.to_thread(self.book.overdue)

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

    # -- asking -------------------------------------------------------------------------------

    async def place(self, who: Identity, wish: DialWish, key: str | None = None) -> Dial:
        """Place a call now, or say why not. Raises DialRefused, PennyError.

        Args:
            key: asked for again with the same one, it is the same call.
        """
        if key is not None and (known := await self._asked_before(who.tenant, key, wish)):
            return known
        dial, section = await self._allow(who.tenant, wish)
        with self._counted():
            check_hours(dial.number, self._now(), section)
        placer = self._placer()
        self._check(as_call(dial))
        dial, is_new = await asyncio.to_thread(self.book.reserve, dial, key, *self._limits(section))
        if is_new:
            await self._hand_to_carrier(dial, section, placer)
        return await asyncio.to_thread(self.book.find, dial.id) or dial

    async def schedule(self, who: Identity, wish: DialWish, key: str | None = None) -> Dial:
        """Have a call placed at ``wish.not_before`` or the next moment that is allowed. It is
        written down and survives a restart. Raises DialRefused for what no moment would allow.

        Args:
            key: as in ``place``.
        """
        if key is not None and (known := await self._asked_before(who.tenant, key, wish)):
            return known
        dial, section = await self._allow(who.tenant, wish)
        self._placer()
        due = next_moment(dial.number, max(wish.not_before or self._now(), self._now()), section)
        dial = replace(dial, due_s=due.timestamp())
        scheduled, _ = await asyncio.to_thread(self.book.schedule, dial, key)
        log.info("call_scheduled", dial_id=scheduled.id, tenant=dial.tenant)
        return scheduled

    async def _allow(self, tenant: str, wish: DialWish) -> tuple[Dial, DialingSection]:
        """The record of a call that no rule forbids; hours and caps are not asked. Raises
        DialRefused."""
        with self._counted():
            return await self._check_rules(tenant, wish)

    async def _check_rules(self, tenant: str, wish: DialWish) -> tuple[Dial, DialingSection]:
        section = self.config.telephony.dialing_of(tenant)
        number = read_number(wish.to)
        check_destination(number, section, await self._never(tenant, section))
        today = self._now().astimezone(ZoneInfo(section.timezone)).date()
        caller_id = choose_caller_id(wish.from_, section, today)
        if wish.purpose == "commercial":
            check_consent(wish.consent.at if wish.consent else None, today)
            check_request(wish.request.at if wish.request else None, today, section)
            lists = section.exclusions
            await asyncio.to_thread(self._exclusions.check, lists, number, today)
        dial = Dial(
            id=new_id("dial"),
            tenant=tenant,
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
            attempts=wish.attempts,
        )
        return dial, section

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

    # -- placing ------------------------------------------------------------------------------

    async def place_due(self) -> None:
        """Place the calls whose time has come; what cannot be placed now waits on."""
        for dial in await asyncio.to_thread(self.book.due):
            try:
                await self._place_waiting(dial)
            except DialRefused as error:
                log.warning("scheduled_call_denied", dial_id=dial.id, code=error.code)
                await self.end(dial, "denied")
            except PennyError as error:  # the carrier's no: the call is over by it
                log.warning("scheduled_call_not_placed", dial_id=dial.id, code=error.code)
            except Exception:  # it keeps no other call waiting
                log.exception("scheduled_call_failed", dial_id=dial.id)
                await self.end(dial, "failed")

    async def _place_waiting(self, dial: Dial) -> None:
        """Raises DialRefused: never; PennyError: the carrier refused it, and it is over."""
        _, section = await self._allow(dial.tenant, DialWish.model_validate(dial.asked))
        allowed = next_moment(dial.number, self._now(), section)
        if allowed > self._now():
            await asyncio.to_thread(self.book.defer, dial.id, allowed.timestamp())
            return
        try:
            placer = self._placer()
            self._check(as_call(dial))
            claimed = await asyncio.to_thread(self.book.claim, dial, *self._limits(section))
        except PennyError as error:
            await self._wait(dial, section, error)
            return
        if claimed is not None:
            await self._hand_to_carrier(claimed, section, placer)

    async def _wait(self, dial: Dial, section: DialingSection, error: PennyError) -> None:
        """Until there is room, or the next day where the day's calls are made."""
        due = self._now() + timedelta(seconds=LATER_S)
        if error.code == "dialing_limit" and error.field in DAILY:
            due = next_moment(dial.number, self._day_of(section) + timedelta(days=1), section)
        log.info("scheduled_call_waits", dial_id=dial.id, code=error.code, field=error.field)
        await asyncio.to_thread(self.book.defer, dial.id, due.timestamp())

    def _limits(
        self, section: DialingSection
    ) -> tuple[float, float, float, Callable[[DialCounts], None]]:
        """What ``DialBook.reserve`` is told of a tenant's caps."""

        def check(counts: DialCounts) -> None:
            with self._counted():
                check_counts(counts, section)

        return self._day_of(section).timestamp(), section.ring_s, section.max_s, check

    def _day_of(self, section: DialingSection) -> datetime:
        """When the tenant's day began."""
        local = self._now().astimezone(ZoneInfo(section.timezone))
        return local.replace(hour=0, minute=0, second=0, microsecond=0)

    def _placer(self) -> Placer:
        if self.placer is None:
            raise PennyError(
                "no carrier places calls here; set telephony.twilio or telephony.asterisk.ari",
                code="no_carrier",
            )
        return self.placer

    async def _hand_to_carrier(self, dial: Dial, section: DialingSection, placer: Placer) -> None:
        try:
            call_sid = await placer.place(dial, section)
        except PennyError as error:
            # Without an answer it may ring all the same: its answer is taken, the clock ends it.
            if not getattr(error, "is_open", False):
                await self.end(dial, "failed")
            raise
        await asyncio.to_thread(self.book.note, dial.id, call_sid)
        log.info("call_placed", dial_id=dial.id, tenant=dial.tenant, attempt=dial.attempt)

    async def _never(self, tenant: str, section: DialingSection) -> frozenset[str]:
        opted_out = await asyncio.to_thread(self.book.opted_out, tenant)
        if section.do_not_call is None:
            return opted_out
        path = self.config.resolve(section.do_not_call)
        try:
            text = await asyncio.to_thread(path.read_text, "utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            log.error("do_not_call_unreadable", reason=reason)  # noqa: TRY400
            raise DialRefused(
                "the do-not-call list cannot be read: nothing is dialled", code="do_not_call"
            ) from error
        return opted_out | read_list(text)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._wall_clock(), UTC)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """What is refused here is counted."""
        try:
            yield
        except DialRefused as error:
            self.refused[error.code] = self.refused.get(error.code, 0) + 1
            raise

    # -- the carrier's word -------------------------------------------------------------------

    async def find(self, dial_id: str) -> PhoneCall | None:
        """The call that has been answered; None where there is none, or it is over."""
        dial = await asyncio.to_thread(self.book.find, dial_id)
        if dial is None or dial.outcome is not None:
            return None
        await asyncio.to_thread(self.book.note, dial.id, dial.call_sid, "answered")
        return as_call(dial)

    async def of_sid(self, call_sid: str) -> PhoneCall | None:
        """The call that the carrier names so, its dial in the context; None where it is over."""
        dial = await asyncio.to_thread(self.book.of_sid, call_sid)
        if dial is None or dial.outcome is not None:
            return None
        call = as_call(dial)
        return replace(call, context={**call.context, "dial": dial.id})

    async def told(self, dial_id: str, call_sid: str, status: str) -> None:
        """What the carrier says of a call. What is no word of its own changes nothing."""
        dial = await asyncio.to_thread(self.book.find, dial_id)
        if dial is None or dial.call_sid not in (None, call_sid):
            return
        if status in ENDS:
            # Who tells may be a process that did not see it answered.
            was_answered = status == "no-answer" and dial.answered_s is not None
            await self.end(dial, "completed" if was_answered else ENDS[status])
        else:
            await asyncio.to_thread(self.book.note, dial.id, call_sid, MOMENTS.get(status, ""))

    async def answered_by(self, session_id: str, kind: str) -> None:
        """Who answered it."""
        await asyncio.to_thread(self.book.note_answerer, session_id, kind)

    async def began(self, session_id: str) -> None:
        """Its session begins now: from here on the call is kept as every other."""
        await asyncio.to_thread(self.book.note_talk, session_id)

    async def ended(self, session_id: str, reason: str) -> None:
        """The session of a call is over, and so is the call, unless a person has it now."""
        dial = await asyncio.to_thread(self.book.of_session, session_id)
        if dial is not None and reason != "handoff":
            has_talked = await asyncio.to_thread(self.book.has_talked, session_id)
            await self.end(dial, "completed" if has_talked else "failed")

    async def end(self, dial: Dial, outcome: str) -> bool:
        """Write down how a call ended, and keep it where no session did; False where that is known
        already."""
        again = self._next_attempt(dial, outcome)
        call = replace(as_call(dial), is_last_attempt=again is None)
        # Answered and nobody talked: to its person that call failed, whatever a carrier says.
        reason = "failed" if outcome == "completed" else outcome
        has_talked = await asyncio.to_thread(self.book.has_talked, dial.session_id)
        if not has_talked:  # first, so that a process killed from here on leaves it to be kept
            await asyncio.to_thread(self.owed.owe, as_owed(call), KEPT_BY_S, reason)
        if not await asyncio.to_thread(self.book.end, dial.id, outcome, again):
            return False
        log.info("call_over", dial_id=dial.id, tenant=dial.tenant, outcome=outcome)
        if not has_talked:
            self._keep(call, reason)
        return True

    def _next_attempt(self, dial: Dial, outcome: str) -> Dial | None:
        section = self.config.telephony.dialing_of(dial.tenant)
        gap_s = retry_after_s(outcome, dial.attempt, dial.attempts, section)
        if gap_s is None:
            return None
        try:
            due = next_moment(dial.number, self._now() + timedelta(seconds=gap_s), section)
        except DialRefused:
            return None
        fresh = replace(dial, id=new_id("dial"), session_id=new_id("sess"), call_sid=None)
        return replace(fresh, attempt=dial.attempt + 1, due_s=due.timestamp())
