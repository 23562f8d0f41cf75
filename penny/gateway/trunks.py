"""Asks each SIP trunk that is registered with whether it takes us; tells of one that does not."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric

from penny.aio.tasks import TaskOwner
from penny.errors import PennyError
from penny.gateway.telephony import state_of
from penny.telephony.lines import Trunk
from penny.telephony.probe import Probe
from penny.telephony.store import TelephonyStore
from penny.telephony.trunk_watch import Standing, read_word


log = structlog.get_logger()

EVERY_S = 60.0


class TrunkRounds:
    """The rounds of one gateway; a trunk that was saved anew begins anew.

    Args:
        probe: of its own: a person's tests are not counted with these.
        clock: seconds that never go back.
    """

    def __init__(self, store: TelephonyStore, probe: Probe, clock: Callable[[], float]) -> None:
        self._store = store
        self._probe = probe
        self._clock = clock
        self._known: dict[str, tuple[str, Standing]] = {}
        """What it is asked with, as a digest, and its standing, by line."""
        self._tasks = TaskOwner("trunk rounds")

    def start(self) -> None:
        self._tasks.spawn(self._go_round(), name="trunk rounds")

    async def aclose(self) -> None:
        await self._tasks.aclose()

    def collect(self) -> Iterator[Metric]:
        """Trunks of which the operator was told, and why."""
        told = "SIP trunks that refuse our credentials or do not answer"
        family = GaugeMetricFamily("penny_trunk_alert", told, labels=["line", "reason"])
        for line_id, (_, standing) in self._known.items():
            if standing.alert is not None:
                family.add_metric([line_id, standing.alert], 1)
        yield family

    async def _go_round(self) -> None:
        while True:
            try:
                await self.ask_all()
            except Exception:  # the next round may find them
                log.exception("trunks_not_asked")
            await asyncio.sleep(EVERY_S)

    async def ask_all(self) -> None:
        """One round."""
        try:
            lines = await asyncio.to_thread(self._store.read)
        except PennyError as error:
            log.warning("trunks_not_asked", reason=error.message)
            return
        trunks = [line for line in lines.receiving() if isinstance(line, Trunk)]
        asked = [trunk for trunk in trunks if trunk.auth == "register"]
        self._known = {
            line_id: known
            for line_id, known in self._known.items()
            if line_id in {trunk.id for trunk in asked}
        }
        for trunk in asked:
            await self._ask(trunk)

    async def _ask(self, trunk: Trunk) -> None:
        password = await asyncio.to_thread(self._store.password, trunk)
        shown = hashlib.sha256(f"{trunk.fingerprint()} {password}".encode()).hexdigest()
        before, standing = self._known.get(trunk.id, ("", Standing()))
        if before != shown:
            standing = Standing()
        self._known[trunk.id] = (shown, standing)
        if standing.is_rejected:
            return
        try:
            steps = await self._probe.test(trunk, password)
        except PennyError:
            return  # asked a moment ago
        alert = standing.take(read_word(steps), self._clock())
        state = state_of(steps, trunk.fingerprint())
        await asyncio.to_thread(self._store.write_state, trunk.tenant, state)
        if alert == "trunk_back":
            log.info("trunk_back", line=trunk.id, tenant=trunk.tenant)
        elif alert is not None:
            log.error(alert, line=trunk.id, tenant=trunk.tenant, code=state["code"])
