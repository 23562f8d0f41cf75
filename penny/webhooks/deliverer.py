"""Delivers what waits in the outbox: a task for each endpoint, so that none waits for another.

Any number of processes may deliver from one outbox. What is on its way when this one ends is sent
again by another, after the lease.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

import structlog

from penny.aio.breaker import CircuitBreaker
from penny.aio.tasks import TaskOwner
from penny.calls.database import StoreUnavailable
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.events import Event
from penny.webhooks.outbox import Outbox
from penny.webhooks.policy import GONE, Answer, decide
from penny.webhooks.rows import Backlog, Delivery, Outcome, refuse
from penny.webhooks.sender import TIMEOUT_S
from penny.webhooks.signing import sign, write_body


log = structlog.get_logger()

Json = dict[str, Any]

POLL_S = 1.0
"""What other processes wrote, and what becomes due, is looked for this often."""
LEASE_S = 3 * TIMEOUT_S
"""A claimed delivery is another's after this: what begins in its first half is over by then."""
FAULTS = 5
"""In a row, after which an endpoint is left in peace."""
REST_S, LONGEST_REST_S = 5.0, 300.0
TIDY_S = 600.0
LOOK_S = 10.0
GRACE_S = 3.0
AHEAD_MS, MOST_AHEAD = 500, 512
"""What an endpoint takes in so long, at its last pace, is claimed ahead of it: a transaction for
many, and the next one while they are sent."""
GATHER_S = 0.02
"""Results of so long are written in one transaction."""
AGAIN_S = 1.0


class Posts(Protocol):
    """What sends one delivery: ``sender.Sender``."""

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        """What came of it."""


class _Lane:
    """What this process knows of one endpoint while it delivers to it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.breaker = CircuitBreaker(FAULTS, REST_S, LONGEST_REST_S)
        self.under_way = 0
        self.paused_until_s = float("-inf")
        self.queue: deque[tuple[float, Delivery]] = deque()
        """Claimed, and not begun; each with when it was claimed."""
        self.took_ms = float("inf")
        self.is_gone = False
        """It answered 410, which is not written down yet."""
        self.news = asyncio.Event()


class Deliverer:
    """Delivers to every endpoint of an outbox, in this process.

    Args:
        clock: monotonic, seconds.
        wall_clock: Unix time in seconds.
        keep_s: events older than this are removed.
        overdue_s: a call that began so long ago and has no end is lost.
        lease_s: how long a delivery is this process' own.
        chance: from 0 to 1, of the jitter.
    """

    def __init__(
        self,
        outbox: Outbox,
        sender: Posts,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        *,
        keep_s: float,
        overdue_s: float,
        lease_s: float = LEASE_S,
        poll_s: float = POLL_S,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.outbox = outbox
        self._sender = sender
        self._now_s = clock
        self._wall_clock = wall_clock
        self._keep_s = keep_s
        self._overdue_s = overdue_s
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._chance = chance
        self._lanes = {name: _Lane(endpoint) for name, endpoint in outbox.receivers.items()}
        self._done: list[Outcome] = []
        self._is_done = asyncio.Event()
        self._tasks = TaskOwner("webhooks", self._failed)
        self._works: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
        self._is_closing = False
        self._attempts = TaskOwner("webhook attempts")
        self.fault = ""
        """Why nothing can be delivered; '' while it can."""
        self.counts: dict[tuple[str, str], int] = {}
        """Attempts of this process, by endpoint and what came of them."""
        self.backlog: dict[str, Backlog] = {}
        """By endpoint, as it was when last looked at."""
        outbox.on_news = self.wake

    async def start(self) -> None:
        """Begin to deliver."""
        self._works = {"webhook clean-up": self._tidy_on}
        for name, lane in self._lanes.items():
            self._works[f"webhook {name}"] = partial(self._serve, lane)
        if self._lanes:
            self._works |= {"webhook results": self._settle_on, "webhook backlog": self._look_on}
        for name in self._works:
            self._spawn(name)

    def _spawn(self, name: str) -> None:
        if not self._is_closing:
            self._tasks.spawn(self._works[name](), name=name)

    def _failed(self, name: str, error: BaseException) -> None:
        """A task that ended by an error no one foresaw is told of, and goes on after a while."""
        self.fault = f"{name}: {type(error).__name__}; see the log"
        asyncio.get_running_loop().call_later(AGAIN_S, self._spawn, name)

    async def aclose(self) -> None:
        """Stop. What is on its way may still arrive; else the next process sends it again."""
        self._is_closing = True
        await self._tasks.aclose()
        try:
            async with asyncio.timeout(GRACE_S):
                for lane in self._lanes.values():
                    while lane.under_way:
                        lane.news.clear()
                        await lane.news.wait()
        except TimeoutError:
            pass  # their lease ends, and they are sent again
        await self._attempts.aclose()
        try:
            for lane in self._lanes.values():
                await self._give_back(lane)
            if self._done:
                await self.outbox.settle(self._done)
        except StoreUnavailable:
            log.warning("webhook_results_lost", deliveries=len(self._done))

    def wake(self) -> None:
        """Look for what is due now."""
        for lane in self._lanes.values():
            lane.news.set()

    # -- an endpoint ------------------------------------------------------------------------

    async def _serve(self, lane: _Lane) -> None:
        while True:
            lane.news.clear()
            is_more = False
            try:
                if self._is_stale(lane) or (lane.queue and self._is_resting(lane)):
                    await self._give_back(lane)
                elif wanted := self._wanted(lane):
                    is_more = await self._claim(lane, wanted)
            except StoreUnavailable as error:
                self._note_fault(error.message)
            self._begin_some(lane)
            if not (is_more and self._wanted(lane)):
                await _wait(lane.news, self._poll_s)

    def _begin_some(self, lane: _Lane) -> None:
        """Begin what was claimed, as far as there is room; the next claim may be under way."""
        while lane.queue and self._room(lane) and not self._is_stale(lane):
            self._begin(lane, lane.queue.popleft()[1])

    def _wanted(self, lane: _Lane) -> int:
        """How many to claim now; 0 while enough is at hand."""
        places, at_hand = lane.endpoint.concurrency, len(lane.queue)
        ahead = min(MOST_AHEAD, int(places * AHEAD_MS / max(1, lane.took_ms)))
        if at_hand > ahead // 2 or self._is_resting(lane):
            return 0
        return self._room(lane) + ahead - at_hand

    def _room(self, lane: _Lane) -> int:
        """How many attempts may be begun now."""
        free = lane.endpoint.concurrency - lane.under_way
        if free <= 0 or self._is_resting(lane):
            return 0
        if lane.breaker.state(self._now_s()) == "half_open":
            return int(lane.under_way == 0)
        return free

    def _is_resting(self, lane: _Lane) -> bool:
        is_paused = self._now_s() < lane.paused_until_s or lane.endpoint.is_busy()
        return is_paused or lane.is_gone or lane.breaker.state(self._now_s()) == "open"

    def _is_stale(self, lane: _Lane) -> bool:
        """Whether what waits here longest would be sent when its lease may be over."""
        return bool(lane.queue) and self._now_s() - lane.queue[0][0] > self._lease_s / 2

    async def _claim(self, lane: _Lane, limit: int) -> bool:
        """Take so many at most; whether there may be more."""
        now_ms, now_s = round(self._wall_clock() * 1000), self._now_s()
        lease_ms = round(self._lease_s * 1000)
        claimed = await self.outbox.claim(lane.endpoint.name, limit, now_ms, lease_ms)
        self._note_fault("")
        lane.queue += ((now_s, each) for each in claimed)
        return len(claimed) == limit

    async def _give_back(self, lane: _Lane) -> None:
        """What was claimed and not begun is due again."""
        claimed, lane.queue = [each for _, each in lane.queue], deque()
        await self.outbox.release(claimed)

    def _begin(self, lane: _Lane, delivery: Delivery) -> None:
        state = refuse(delivery.event, lane.endpoint)
        if state is not None:
            now_ms = round(self._wall_clock() * 1000)
            self._done.append(Outcome(delivery, lane.endpoint.name, None, state, now_ms, now_ms))
            self._is_done.set()
            return
        lane.breaker.allows(self._now_s())
        lane.under_way += 1
        self._attempts.spawn(self._attempt(lane, delivery), name="webhook attempt")

    async def _attempt(self, lane: _Lane, delivery: Delivery) -> None:
        endpoint = lane.endpoint
        try:
            answer = await self._send(delivery.event, endpoint)
        except asyncio.CancelledError:
            lane.breaker.abandoned()
            raise
        finally:
            lane.under_way -= 1
            lane.news.set()
        lane.took_ms = answer.took_ms if answer.is_success else float("inf")
        self._judge(lane, answer)
        now_ms = round(self._wall_clock() * 1000)
        state, due_ms = decide(answer, delivery.attempts, now_ms, self._chance())
        if state == "dead":
            log.error(
                "webhook_given_up",
                endpoint=endpoint.name,
                event_id=delivery.event.id,
                status=answer.status,
                error=answer.error,
            )
        self._done.append(Outcome(delivery, endpoint.name, answer, state, due_ms, now_ms))
        self._is_done.set()
        if not self._is_closing:
            self._begin_some(lane)

    async def _send(self, event: Event, endpoint: Endpoint) -> Answer:
        try:
            if endpoint.deliver is not None:
                return await endpoint.deliver(event)
            body = write_body(event, endpoint)
            headers = sign(event.id, body, endpoint, self._wall_clock())
            return await self._sender.post(endpoint.url, body, headers)
        except Exception as error:
            # It would fail again: it is tried as often as any, and then given up.
            log.error("webhook_not_sent", event_id=event.id, error=type(error).__name__)  # noqa: TRY400
            return Answer(error="not_sent")

    def _judge(self, lane: _Lane, answer: Answer) -> None:
        name = lane.endpoint.name
        what = "delivered" if answer.is_success else answer.error or str(answer.status)
        self.counts[name, what] = self.counts.get((name, what), 0) + 1
        if answer.is_throttling and answer.retry_after_s is not None:
            lane.paused_until_s = self._now_s() + answer.retry_after_s
        lane.is_gone |= answer.status == GONE
        if not answer.is_fault:
            lane.breaker.succeeded()
        elif lane.breaker.failed(self._now_s()):
            log.warning("webhook_endpoint_rests", endpoint=name, error=answer.error)

    # -- results ----------------------------------------------------------------------------

    async def _settle_on(self) -> None:
        while True:
            await self._is_done.wait()
            await asyncio.sleep(GATHER_S)
            self._is_done.clear()
            batch, self._done = self._done, []
            try:
                disabled = await self.outbox.settle(batch)
            except StoreUnavailable as error:
                self._note_fault(error.message)
                self._done = [*batch, *self._done]
                await asyncio.sleep(AGAIN_S)
                self._is_done.set()
                continue
            for name in {each.endpoint for each in batch}:
                self._lanes[name].is_gone = False
                self._lanes[name].news.set()
            for name in disabled:
                log.error(
                    "webhook_endpoint_disabled",
                    endpoint=name,
                    remedy=f"mend it, then: python -m penny webhooks enable {name}",
                )

    async def _tidy_on(self) -> None:
        while True:
            await asyncio.sleep(TIDY_S)  # first, records that wait in the spool come in
            now_s = self._wall_clock()
            try:
                await self.outbox.close_lost(
                    round((now_s - self._overdue_s) * 1000), round(now_s * 1000)
                )
                await self.outbox.let_go(round((now_s - self._keep_s) * 1000))
            except StoreUnavailable as error:
                self._note_fault(error.message)

    async def _look_on(self) -> None:
        while True:
            try:
                self.backlog = await self.outbox.backlog()
            except StoreUnavailable as error:
                self._note_fault(error.message)
            await asyncio.sleep(LOOK_S)

    def _note_fault(self, reason: str) -> None:
        if reason and not self.fault:
            log.error("webhooks_wait", reason=reason)
        elif self.fault and not reason:
            log.info("webhooks_go_on")
        self.fault = reason


async def _wait(news: asyncio.Event, seconds: float) -> None:
    """Until there is news, for so long at most."""
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        pass
