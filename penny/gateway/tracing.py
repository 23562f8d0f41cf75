"""The gateway's traces: a broker that begins one for each session, and what it counts of them.

Imported, and OpenTelemetry with it, only by a gateway that traces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from weakref import WeakValueDictionary

import structlog
from structlog.contextvars import bound_contextvars

from config.schema import Config
from penny.aio.allow_list import AllowList
from penny.session.broker import Broker, BrokerSettings
from penny.session.edge import Edge
from penny.session.mode import Mode, SessionSpec, Speaker
from penny.session.session import Session, SessionLimits
from penny.session.turn_recorder import TurnRecorder
from penny.session.turn_trace import TurnTrace
from penny.tracing.current import span
from penny.tracing.trace import Trace
from penny.tracing.tracing import Tracing


log = structlog.get_logger()


class TracedBroker(Broker):
    """A broker whose sessions each have a trace, begun before the speaker is opened.

    The connection to a worker carries it. Lines logged on a session's behalf have its ``trace_id``.
    """

    def __init__(
        self,
        modes: Mapping[str, Mode],
        settings: BrokerSettings,
        clock: Callable[[], float],
        tracing: Tracing,
    ) -> None:
        super().__init__(modes, settings, (), clock)
        self.tracing = tracing
        # As long as the speaker lives, which holds its spec: a session that never runs leaves none.
        self._traces: WeakValueDictionary[str, Trace] = WeakValueDictionary()
        self.add_observer(self._trace_turns)

    async def open(self, mode: Mode, spec: SessionSpec) -> Speaker:
        begun = self._traces.get(spec.session_id)
        if begun is not None:  # a session that has begun moves to another mode
            begun.root.set({"penny.mode": mode.name})
            with bound_contextvars(trace_id=begun.id), span(begun, "connect", kind="client"):
                return await super().open(mode, replace(spec, trace=begun))
        trace = self.tracing.begin(
            {
                "gen_ai.conversation.id": spec.session_id,
                "penny.mode": mode.name,
                "penny.language": spec.language,
            }
        )
        if trace is None:
            return await super().open(mode, spec)
        try:
            with bound_contextvars(trace_id=trace.id), span(trace, "connect", kind="client"):
                speaker = await super().open(mode, replace(spec, trace=trace))
        except BaseException as error:
            trace.root.end(error=str(getattr(error, "code", "")) or type(error).__name__)
            raise
        self._traces[spec.session_id] = trace
        return speaker

    async def run(
        self,
        mode: Mode,
        spec: SessionSpec,
        edge: Edge,
        speaker: Speaker,
        limits: SessionLimits | None = None,
    ) -> str:
        trace = self._traces.get(spec.session_id)
        if trace is None:
            return await super().run(mode, spec, edge, speaker, limits)
        with bound_contextvars(trace_id=trace.id):
            return await super().run(mode, spec, edge, speaker, limits)

    def _trace_turns(self, session: Session, turns: TurnRecorder) -> None:
        trace = self._traces.get(session.id)
        if trace is not None:  # else the sample left this session out
            turns.add_reader(TurnTrace(trace, turns.started_s))


def open_traced_broker(
    config: Config,
    modes: Mapping[str, Mode],
    settings: BrokerSettings,
    clock: Callable[[], float],
    allowed: AllowList | None,
) -> TracedBroker:
    """A broker that traces as ``tracing`` of the configuration says.

    Args:
        allowed: hosts that private sessions may reach; None where there are none.
    """
    tracing = Tracing(config.tracing, "penny-gateway", allowed, clock)
    log.info("tracing_sessions", sample_ratio=config.tracing.sample_ratio)
    return TracedBroker(modes, settings, clock, tracing)
