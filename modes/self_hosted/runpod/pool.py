"""The leased workers of several gateways, in Redis: who holds which, who waits, who decides.

Each gateway tells what it holds once a second and reads what the others told. What must be decided
once is one Lua call: whether to ask for another worker (``provide.lua``), whose a worker is that
dials in and whether its token is still good (``claim.lua``), who keeps the floor and sweeps what
dead gateways left (``sync.lua``). A free slot of another gateway is asked for over a channel of
that gateway's.

Redis lost: every method answers None, the gateway decides for itself with what it last knew, and
says so once (``leases_not_shared``).

Keys, all after ``prefix:runpod:<endpoint>:``
    ``leases`` HASH id -> LeaseRecord    ``seen`` ZSET id -> last told
    ``nodes``  HASH node -> who waits    ``node_seen`` ZSET node -> last told
    ``keeper`` the node that decides     ``cold``, ``warm`` LISTs of what starts took, seconds
    ``loans:<node>`` channel of requests for slots
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import orjson
import structlog
from pydantic import ValidationError
from redis.asyncio import Redis

from modes.self_hosted.runpod.cold_starts import KEPT
from modes.self_hosted.runpod.lease import Lease, digest
from modes.self_hosted.runpod.record import LeaseRecord, SlotRequest, adopt, record, write
from penny.aio.tasks import TaskOwner
from penny.ids import new_id
from penny.trust.redis_store import ask_redis, listen_to
from penny.trust.store import StoreLost


log = structlog.get_logger()

T = TypeVar("T")
Verdict = Literal["ask", "wait", "full"]

_FOLDER = Path(__file__).parent


class LeasePool:
    """Args:
    prefix: of its keys, with the endpoint's name.
    url: where workers reach this gateway.
    lease_s: a gateway that told nothing for so long is dead.
    timeout_s: an answer of Redis later than this counts as lost.
    session_max_s: longest session; a lease that would end sooner takes none.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        prefix: str,
        url: str,
        lease_s: float,
        timeout_s: float,
        session_max_s: float,
        usd_per_hour: float,
        clock: Callable[[], float],
    ) -> None:
        self._redis = redis
        self._prefix = prefix
        self._timeout_s = timeout_s
        self._session_max_s = session_max_s
        self._usd_per_hour = usd_per_hour
        self._clock = clock
        self._sync, self._provide, self._claim = (
            redis.register_script((_FOLDER / f"{name}.lua").read_text(encoding="utf-8"))
            for name in ("sync", "provide", "claim")
        )
        self._tasks = TaskOwner("lease pool")
        self._since_s: float | None = None
        self._held: dict[str, Any] = {"waiting": 0, "guests": []}
        self.node = new_id("node")
        self.url = url
        self.lease_s = lease_s
        self.shared = True
        """False while Redis is lost."""
        self.is_keeper = False
        self.others: dict[str, LeaseRecord] = {}
        """Leases that other gateways hold, as last told."""
        self.guests: frozenset[str] = frozenset()
        """Ids of leases on which any gateway has a borrowed slot."""
        self.starts: dict[str, list[float]] = {"cold": [], "warm": []}

    async def start(self, on_request: Callable[[SlotRequest], None]) -> None:
        """Begin to hear who asks for slots of this gateway's workers."""

        def take(message: str) -> None:
            try:
                request = SlotRequest.model_validate_json(message)
            except ValidationError:
                log.warning("slot_request_not_understood")
            else:
                on_request(request)

        self._tasks.spawn(
            listen_to(self._redis, self._key("loans", self.node), take), name="slot requests"
        )

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await self._try(self._leave())
        await self._redis.aclose()

    # -- what is told -------------------------------------------------------------------------

    def note(self, waiting: int, guests: Iterable[str]) -> None:
        """What this gateway's next word says: sessions without a slot, leases it borrows from."""
        self._held = {"waiting": waiting, "guests": sorted(set(guests))}

    async def sync(self, leases: Iterable[Lease]) -> list[str] | None:
        """Tell and learn; the ids of those leases that have become another gateway's."""
        arguments: list[Any] = ["", self.node, self._me(), self.lease_s]
        for lease in leases:
            arguments += [lease.id, self._written(lease)]
        names = ("leases", "seen", "nodes", "node_seen", "keeper", "cold", "warm")
        keys = [self._key(name) for name in names]
        answer = await self._try(self._sync(keys=keys, args=arguments))
        if answer is None:
            return None
        stamp, keeper, lost, told, nodes, *starts = answer
        if self._since_s is None:
            self._since_s = self._clock()
        self.is_keeper = bool(keeper)
        self.others = self._read(told, float(stamp))
        self.guests = frozenset(
            name for node in nodes for name in orjson.loads(node).get("guests", ())
        )
        for kind, seconds in zip(("cold", "warm"), starts, strict=True):
            self.starts[kind] = [float(value) for value in seconds]
        return list(lost)

    def knows_the_dead(self) -> bool:
        """Whether Redis was there for so long that a gateway it has not heard of is dead."""
        return (
            self.shared
            and self._since_s is not None
            and self._clock() - self._since_s > self.lease_s
        )

    async def forget(self, lease_id: str) -> None:
        """A lease is over. If this is not heard, the keeper finds its record silent."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.hdel(self._key("leases"), lease_id)
        pipe.zrem(self._key("seen"), lease_id)
        await self._try(pipe.execute())

    async def record_start(self, kind: str, seconds: Iterable[float]) -> None:
        """Remember what starts took."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.rpush(self._key(kind), *(round(took_s, 2) for took_s in seconds))
        pipe.ltrim(self._key(kind), -KEPT, -1)
        await self._try(pipe.execute())

    # -- what is decided ----------------------------------------------------------------------

    async def provide(self, lease: Lease, most: int, useless: Iterable[str]) -> Verdict | None:
        """Whether this gateway asks for another worker, which would be ``lease``.

        Args:
            most: workers at once, of all gateways.
            useless: leases whose free slots did not come when asked for.
        """
        keys = [self._key(name) for name in ("leases", "seen", "nodes", "node_seen")]
        arguments: list[Any] = ["", self.node, self._me(), self.lease_s, most]
        arguments += [lease.id, self._written(lease), *useless]
        return cast("Verdict | None", await self._try(self._provide(keys=keys, args=arguments)))

    async def claim(
        self, lease_id: str, credential: str, lease: Lease | None
    ) -> Lease | bool | None:
        """Whose worker dials in here.

        Args:
            lease: this gateway's own of that id, if it has one.

        Returns:
            True: it is ``lease``'s. A lease: it was another gateway's and is now this one's.
            False: it is nobody's. None: Redis does not know, this gateway decides alone.
        """
        key = lease.key if lease is not None else secrets.token_urlsafe(24)
        shown = ["", self.node, self.url, lease_id, digest(credential), digest(key)]
        keys = [self._key("leases"), self._key("seen")]
        answer = await self._try(self._claim(keys=keys, args=shown))
        if not answer:
            return None
        if answer[0] == "refused":
            return False
        if lease is not None:
            return True
        how, body, seen, stamp = answer
        now_s = self._clock()
        told = LeaseRecord.model_validate_json(body).placed(float(stamp) - float(seen), now_s)
        waking = how == "token"
        return adopt(
            told,
            key if waking else credential,
            waking=waking,
            usd_per_hour=self._usd_per_hour,
            now_s=now_s,
        )

    # -- loans --------------------------------------------------------------------------------

    def lender(self, useless: Iterable[str]) -> LeaseRecord | None:
        """Another gateway's lease with a free slot that can be dialled here."""
        lenders = [
            lease
            for lease in self.others.values()
            if lease.open
            and lease.free
            and lease.url != self.url
            and lease.id not in useless
            and lease.silent_s < self.lease_s
        ]
        return max(lenders, key=lambda lease: lease.free, default=None)

    def free(self) -> dict[str, int]:
        """Slots that other gateways have free, by lease."""
        return {lease.id: lease.free for lease in self.others.values() if lease.open}

    async def request(self, lease: LeaseRecord, loan: str) -> None:
        """Ask the gateway that holds ``lease`` to send a slot here, with ``loan`` as its key."""
        request = SlotRequest(lease=lease.id, loan=loan, url=self.url)
        channel = self._key("loans", lease.node)
        await self._try(self._redis.publish(channel, request.model_dump_json()))

    # -- inside -------------------------------------------------------------------------------

    def _me(self) -> bytes:
        return orjson.dumps({"node": self.node, "url": self.url, **self._held})

    def _written(self, lease: Lease) -> str:
        now_s = self._clock()
        return write(record(lease, self.node, self.url, now_s, self._session_max_s))

    def _read(self, told: list[str], stamp_s: float) -> dict[str, LeaseRecord]:
        others, now_s = {}, self._clock()
        for name, body, seen in zip(told[::3], told[1::3], told[2::3], strict=True):
            try:
                lease = LeaseRecord.model_validate_json(body)
            except ValidationError:
                log.warning("lease_record_not_understood", lease_id=name)
                continue
            if lease.node != self.node:
                others[name] = lease.placed(stamp_s - float(seen), now_s)
        return others

    async def _leave(self) -> None:
        pipe = self._redis.pipeline(transaction=True)
        pipe.hdel(self._key("nodes"), self.node)
        pipe.zrem(self._key("node_seen"), self.node)
        if self.is_keeper:
            pipe.delete(self._key("keeper"))
        await pipe.execute()

    async def _try(self, question: Awaitable[T]) -> T | None:
        try:
            answer = await ask_redis(question, self._timeout_s)
        except StoreLost as lost:
            self._since_s = None
            self.is_keeper = False
            if self.shared:
                self.shared = False
                log.error(  # noqa: TRY400
                    "leases_not_shared",
                    reason=str(lost),
                    rule="this gateway decides alone, with what it last knew of the others",
                )
            return None
        if not self.shared:
            self.shared = True
            log.info("leases_shared_again")
        return answer

    def _key(self, *parts: str) -> str:
        return ":".join((self._prefix, *parts))
