"""Telephone calls, whatever carries them: who may be answered, by what, and the call itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import structlog

from config.schema import Config
from config.telephony import NumberSection
from penny.aio.tasks import TaskOwner
from penny.edges.telephone.edge import HANDOFF, NO_SOUND, PhoneEdge
from penny.edges.telephone.ticker import Ticker
from penny.edges.telephone.wire import Wire
from penny.errors import PennyError, SessionRefused
from penny.gateway.answer_watch import AnswerPlan, AnswerWatch, listening
from penny.gateway.busy_line import BusyLine
from penny.gateway.gate import Gate
from penny.gateway.opening import Notice, Opener, say_exactly
from penny.gateway.phone_wishes import PhoneWishes
from penny.ids import new_id
from penny.session.broker import Broker
from penny.session.mode import SessionSpec, Speaker
from penny.session.observers import Observer
from penny.telephony.e164 import country_of, of_line
from penny.telephony.opening import Opening, open_call, open_to_screener
from penny.trust.identity import Identity


log = structlog.get_logger()

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PhoneCall:
    """One telephone call as its carrier or who placed it tells. Numbers are as received.

    ``mode``, ``language``, ``greeting`` and ``instructions`` are the house's own where they are
    empty or None; ``session_id`` names the session, and so the kept call.
    """

    tenant: str
    caller: str
    callee: str
    direction: Literal["inbound", "outbound"] = "inbound"
    mode: str | None = None
    language: str = ""
    greeting: str | None = None
    instructions: str = ""
    actions: tuple[str, ...] = ()
    context: Json = field(default_factory=dict)
    is_commercial: bool = False
    on_machine: str = "talk"
    message: str | None = None
    reason: str = ""
    attempt: int = 1
    is_last_attempt: bool = True
    analogue: str | None = None
    """The country of a line that sounds busy where others signal a hang-up; None for any other."""
    whisper: str = ""
    """All that is said, to the one who is called; then they are joined to somebody."""
    caller_e164: str = ""
    callee_e164: str = ""
    """The same numbers in E.164, by the line's country; '' where one is none."""
    session_id: str = field(default_factory=lambda: new_id("sess"))

    @property
    def own_number(self) -> str:
        """The house's side of it."""
        return self.callee if self.direction == "inbound" else self.caller


def incoming_call(number: NumberSection, caller: str, callee: str) -> PhoneCall:
    """A call to a number of the house, as its section has it answered."""
    return PhoneCall(
        tenant=number.tenant,
        caller=caller,
        callee=callee,
        mode=number.mode,
        language=number.language or "",
        greeting=number.greeting,
        actions=number.actions,
    )


def with_e164(call: PhoneCall, country: str) -> PhoneCall:
    """A call with both its numbers read by ``country``, '' for that of the house's own number."""
    country = country or country_of(call.own_number)
    return replace(
        call,
        caller_e164=call.caller_e164 or of_line(call.caller, country),
        callee_e164=call.callee_e164 or of_line(call.callee, country),
    )


class Phones:
    """Opens and carries the sessions of telephone calls.

    Args:
        clock: the loop's, seconds.
        notice: what a tenant's callers are told first.
        on_late: is told how late each slot of the ticker was, in seconds.
    """

    def __init__(
        self,
        broker: Broker,
        config: Config,
        gate: Gate,
        clock: Callable[[], float],
        notice: Notice = lambda _tenant, _language, _number: "",
        on_late: Callable[[float], object] = lambda _late_s: None,
    ) -> None:
        self._broker = broker
        self._config = config
        self._gate = gate
        self._clock = clock
        self._notice = notice
        self._opener = Opener(broker, config)
        self._ticker = Ticker(clock, on_late)
        self.edges: dict[str, PhoneEdge] = {}
        """The live calls, by session."""
        self.calls: dict[str, PhoneCall] = {}
        """What they are, by session."""
        self._persons: dict[str, str] = {}
        """The action that hands them to a person, by session."""
        self.country_of: Callable[[PhoneCall], Awaitable[str]] | None = None
        """The country of a call's line, for numbers without a code; '' where that is not known."""
        self.never_call: Callable[[str, str], Awaitable[bool]] | None = None
        """Writes down that a tenant never calls a number again; False where it is none."""
        self._tasks = TaskOwner("phone wishes")
        broker.add_observer(lambda session, _turns: self._hear_wishes(session.id))
        self._plans: dict[str, AnswerPlan] = {}
        self._answerers: dict[str, AnswerWatch] = {}
        """What is still to be known of placed calls, by session."""
        self._told: dict[str, str] = {}
        """Calls that are carried, and what the carrier said of who answered: '' for nothing yet."""
        self.answered_by: Callable[[str, str], Coroutine[Any, Any, None]] | None = None
        """Writes down who answered a session's call."""
        broker.add_observer(lambda session, _turns: self._watch_answerer(session.id))
        broker.add_observer(lambda session, _turns: self._hear_busy(session.id))
        self.silent: dict[str, int] = {}
        """Calls of whose caller no sound ever came, by line; '' for one of no page's."""
        self.keep: Callable[[Json, str], None] | None = None
        """Keeps a call that had no session: header, reason."""

    async def aclose(self) -> None:
        await self._tasks.aclose()

    def _hear_wishes(self, session_id: str) -> Observer | None:
        call = self.calls.get(session_id)
        if call is None or call.whisper or self.never_call is None:
            return None
        theirs = call.caller if call.direction == "inbound" else call.callee
        return PhoneWishes(
            self.edges[session_id],
            self._tasks,
            call.language or self._config.session.language,
            partial(self.never_call, call.tenant, theirs),
            self._config.telephony.dialing_of(call.tenant).opt_out_key,
            self._persons[session_id],
        )

    def _hear_busy(self, session_id: str) -> Observer | None:
        call = self.calls.get(session_id)
        if call is None or call.analogue is None:
            return None
        return BusyLine(call.analogue, partial(self._broker.end_session, session_id))

    def _watch_answerer(self, session_id: str) -> Observer | None:
        plan = self._plans.get(session_id)
        if plan is None:
            return None

        def found(kind: str) -> None:
            if self.answered_by is not None:
                self._tasks.spawn(self.answered_by(session_id, kind), name="who answered")

        end = partial(self._broker.end_session, session_id)
        watch = AnswerWatch(self.edges[session_id], plan, end, found, self._clock)
        self._answerers[session_id] = watch
        watch.carrier_told(self._told[session_id])
        return watch

    def carrier_told(self, session_id: str, answered_by: str) -> None:
        """The carrier's own verdict on who answered a call of this process; its session may still
        be opening."""
        if session_id in self._told:
            self._told[session_id] = answered_by
        if (watch := self._answerers.get(session_id)) is not None:
            watch.carrier_told(answered_by)

    def keep_unconnected(self, call: PhoneCall, reason: str) -> None:
        """Keep a call that had no session, where calls are kept."""
        if self.keep is None:
            return
        call = with_e164(call, "")
        header = {
            "id": call.session_id,
            "tenant": call.tenant,
            "edge": PhoneEdge.name,
            "mode": call.mode or self._broker.default_mode,
            "caller": call.caller,
            "callee": call.callee,
            "caller_e164": call.caller_e164,
            "callee_e164": call.callee_e164,
            "direction": call.direction,
            "language": call.language,
            "attempt": call.attempt,
            "is_last_attempt": call.is_last_attempt,
        }
        self.keep(header, reason)

    def edge(self, wire: Wire) -> PhoneEdge:
        """The edge of a call that has been answered; ``carry`` takes it from there."""
        return PhoneEdge(wire, self._ticker, self._clock)

    def check(self, call: PhoneCall) -> None:
        """Raises PennyError where this call could not be answered now."""
        policy = self._gate.policy(Identity(call.tenant))
        policy.check_mode(self._broker.choose(call.mode).name)
        policy.check_actions(call.actions)
        if call.direction == "inbound" and self._broker.draining:
            raise SessionRefused("Penny is shutting down", code="draining")
        if call.direction == "outbound" and not self._broker.has_room:
            raise SessionRefused("there is no room for the call; try again in a moment")
        if call.direction == "outbound" and (call.instructions or call.greeting is not None):
            policy.check_instructions("instructions")

    async def carry(
        self, call: PhoneCall, edge: PhoneEdge, begin: Callable[[], Awaitable[None]] | None = None
    ) -> str:
        """One call from its answer to its end, which hangs up; why it ended.

        Args:
            begin: awaited once what answers is open, before the session runs.

        Raises:
            PennyError: no session was opened; the carrier goes on with what it was told for that.
        """
        country = "" if self.country_of is None else await self.country_of(call)
        call = with_e164(call, country)
        self._told[call.session_id] = ""
        try:
            reason = await self._carry(call, edge, begin)
            if reason == NO_SOUND and "anew" not in call.context:
                line = str(call.context.get("line", ""))
                self.silent[line] = self.silent.get(line, 0) + 1
            return reason
        except BaseException as error:  # whatever it is, no line is left open in silence
            if isinstance(error, PennyError):
                log.warning("phone_call_refused", code=error.code, direction=call.direction)
            if not edge.has_begun and call.direction == "inbound":
                self.keep_unconnected(call, getattr(error, "code", "error"))
            await edge.aclose("error", {})
            raise
        finally:
            del self._told[call.session_id]

    async def _carry(
        self, call: PhoneCall, edge: PhoneEdge, begin: Callable[[], Awaitable[None]] | None
    ) -> str:
        identity = Identity(call.tenant)
        policy = self._gate.policy(identity)
        spec = self._specify(call)
        mode = self._broker.choose(call.mode, spec, policy.check_mode)
        async with (
            self._broker.admit(),
            self._gate.admit(spec.session_id, identity, mode.name, PhoneEdge.name),
        ):
            speaker = await self._opener.open_begun(
                mode, spec, named=call.mode is not None, may_use=policy.check_mode
            )
            async with aclosing(speaker):
                greeting = self._config.session.greeting if call.greeting is None else call.greeting
                told = self._notice(spec.tenant, spec.language, call.own_number)
                opening = self._open(call, spec.language, told, greeting)
                if call.whisper:
                    self._whisper(call, edge, speaker)
                elif call.on_machine == "talk":
                    speaker.send(say_exactly(opening.line))
                    again = say_exactly(opening.identity)["response"]
                    edge.open_with(opening.is_in, opening.line, again)
                else:
                    speaker.send(listening(answers=False))
                if begin is not None:
                    await begin()
                actions = spec.context["available_actions"]
                table = self._config.actions.table
                persons = [name for name in actions if table[name].handoff is not None]
                self._persons[spec.session_id] = persons[0] if persons else ""
                self.edges[spec.session_id], self.calls[spec.session_id] = edge, call
                if call.on_machine != "talk":
                    self._plans[spec.session_id] = self._plan(call, spec.language, told, opening)
                try:
                    limits = self._gate.session_limits(policy)
                    return await self._broker.run(mode, spec, edge, speaker, limits)
                finally:
                    del self.edges[spec.session_id], self.calls[spec.session_id]
                    del self._persons[spec.session_id]
                    self._plans.pop(spec.session_id, None)
                    self._answerers.pop(spec.session_id, None)

    def _whisper(self, call: PhoneCall, edge: PhoneEdge, speaker: Speaker) -> None:
        """Say it, hear nothing, and end once it was heard."""
        said = say_exactly(call.whisper)
        speaker.send(listening(answers=False))
        speaker.send(said)
        edge.only_listens = True
        end = partial(self._broker.end_session, call.session_id, HANDOFF)
        edge.open_with(lambda _heard: True, call.whisper, said["response"], end)

    def _open(self, call: PhoneCall, language: str, notice: str, greeting: str) -> Opening:
        return open_call(
            self._config.telephony.companies.get(call.tenant, ""),
            language,
            notice,
            greeting,
            is_outbound=call.direction == "outbound",
            is_commercial=call.is_commercial,
        )

    def _plan(self, call: PhoneCall, language: str, notice: str, opening: Opening) -> AnswerPlan:
        company = self._config.telephony.companies.get(call.tenant, "")
        return AnswerPlan(
            opening,
            self._open(call, language, notice, ""),
            open_to_screener(company, language, call.reason),
            self._open(call, language, "", call.message) if call.message else None,
        )

    def _specify(self, call: PhoneCall) -> SessionSpec:
        policy = self._gate.policy(Identity(call.tenant))
        known = {
            "caller": call.caller,
            "callee": call.callee,
            "direction": call.direction,
            "caller_e164": call.caller_e164,
            "callee_e164": call.callee_e164,
            "attempt": call.attempt,
        }
        policy.check_actions(call.actions)
        actions = call.actions or policy.actions(self._config.actions.offered)
        return SessionSpec(
            session_id=call.session_id,
            language=call.language or self._config.session.language,
            fixed_language=call.language,
            instructions=call.instructions
            or policy.instructions(None, self._config.session.instructions),
            cerebro={"knowledge_base_ref": policy.collection(self._config.kb.default_ref)},
            context={**call.context, **known, "available_actions": list(actions)},
            tenant=policy.name,
        )
