"""Looks at how calls from each number of the house end, and tells of one that is marked as spam
soon: ``GET /v1/caller-ids``, the metric ``penny_caller_id_alarm``, the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import structlog
from aiohttp import web
from prometheus_client.core import GaugeMetricFamily, Metric
from pydantic import BaseModel

from config.telephony import TelephonySection
from penny.aio.tasks import TaskOwner
from penny.gateway.json_routes import told, whose
from penny.telephony.dial_book import DialBook
from penny.telephony.number_health import SINCE_S, NumberHealth
from penny.writable import dump_json


log = structlog.get_logger()

EVERY_S = 300.0


class CallerIdState(BaseModel):
    """How the calls of the last seven days from one number ended."""

    number: str
    calls: int
    answered: int
    short: int
    answer_rate: float
    short_share: float
    alarms: list[str]


class CallerIdStates(BaseModel):
    """Of each number that calls were placed from."""

    data: list[CallerIdState]


class CallerIds:
    """The numbers that calls are placed from.

    Args:
        wall_clock: Unix time in seconds.
    """

    def __init__(
        self, book: DialBook, config: TelephonySection, wall_clock: Callable[[], float]
    ) -> None:
        self._book, self._config, self._wall_clock = book, config, wall_clock
        self._alarms: dict[tuple[str, str], frozenset[str]] = {}
        """What was told last, by tenant and number."""
        self._tasks = TaskOwner("caller ids")

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/v1/caller-ids", told(self._show))

    def start(self) -> None:
        self._tasks.spawn(self._watch(), name="caller ids")

    async def aclose(self) -> None:
        await self._tasks.aclose()

    def collect(self) -> Iterator[Metric]:
        """Numbers with an alarm, and which."""
        about = "Caller ids few answer, or whose calls are hung up on at once"
        family = GaugeMetricFamily("penny_caller_id_alarm", about, labels=["number", "reason"])
        for (_, number), reasons in self._alarms.items():
            for reason in sorted(reasons):
                family.add_metric([number, reason], 1)
        yield family

    async def look(self) -> None:
        """Tell of each alarm once, and when it is over."""
        found = {}
        for each in await self._all():
            key = (each.tenant, each.number)
            found[key] = frozenset(each.alarms(self._config.dialing_of(each.tenant)))
            for reason in found[key] - self._alarms.get(key, frozenset()):
                log.error(
                    "caller_id_alarm", tenant=each.tenant, number=each.number, reason=reason,
                    answer_rate=round(each.answer_rate, 3), short_share=round(each.short_share, 3),
                )  # fmt: skip
        for (tenant, number), reasons in self._alarms.items():
            for reason in reasons - found.get((tenant, number), frozenset()):
                log.info("caller_id_alarm_over", tenant=tenant, number=number, reason=reason)
        self._alarms = found

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:  # the next look may find the file free
                log.exception("caller_ids_not_looked_at")
            await asyncio.sleep(EVERY_S)

    async def _all(self) -> list[NumberHealth]:
        return await asyncio.to_thread(self._book.health, self._wall_clock() - SINCE_S)

    async def _show(self, request: web.Request) -> web.Response:
        tenant = whose(request)
        numbers = [each for each in await self._all() if tenant in (None, each.tenant)]
        body = dump_json(CallerIdStates(data=list(map(self._describe, numbers))).model_dump())
        return web.Response(body=body, content_type="application/json")

    def _describe(self, each: NumberHealth) -> CallerIdState:
        return CallerIdState(
            number=each.number,
            calls=each.calls,
            answered=each.answered,
            short=each.short,
            answer_rate=round(each.answer_rate, 3),
            short_share=round(each.short_share, 3),
            alarms=list(each.alarms(self._config.dialing_of(each.tenant))),
        )
