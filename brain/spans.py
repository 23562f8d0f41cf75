"""What of the brain's work is seen in a trace: its readings, searches, calls. Times and counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from brain.analysis import Analysis, AnalysisRequest, Excerpt, Purpose
from brain.folio import Folio
from config.brain import Depth
from penny.tracing.attributes import Attributes
from penny.tracing.current import span


if TYPE_CHECKING:
    from penny.tracing.trace import Trace

Ask = Callable[[AnalysisRequest, str, Depth], Awaitable[Analysis]]


class BrainSpans:
    """One per session. ``trace``: None where the session is not traced: then it does nothing."""

    def __init__(self, trace: Trace | None) -> None:
        self._trace = trace

    async def reading(
        self, purpose: Purpose, item_id: str, work: Callable[[], Awaitable[None]]
    ) -> None:
        """Do ``work`` as the reading of a turn, or of what was answered to it."""
        about: Attributes = {"penny.brain.purpose": purpose}
        with span(self._trace, "brain", item_id=item_id, attributes=about):
            await work()

    @contextmanager
    def search(self, by: str, item_id: str) -> Iterator[Callable[[tuple[Excerpt, ...]], None]]:
        """A search; call what it gives with what was found."""
        about: Attributes = {"penny.search.by": by}
        with span(self._trace, "search", item_id=item_id, attributes=about) as searching:
            yield (
                lambda found: (
                    searching.set({"penny.passages": len(found)}) if searching is not None else None
                )
            )

    async def ask(self, ask: Ask, request: AnalysisRequest, model: str, depth: Depth) -> Analysis:
        """A call to the model, named as OpenTelemetry names calls to models."""
        about: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": model,
            "gen_ai.output.type": "json",
        }
        name, item_id = f"chat {model}", request.item_id
        with span(self._trace, name, item_id=item_id, kind="client", attributes=about) as asking:
            analysis = await ask(request, model, depth)
            if asking is not None:
                usage = analysis.usage
                asking.set(
                    {
                        "gen_ai.usage.input_tokens": usage.input_tokens,
                        "gen_ai.usage.output_tokens": usage.output_tokens,
                        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
                    }
                )
            return analysis

    def placed(self, folio: Folio, placement: str) -> None:
        """A folio's way from the brain's hand into the speaker's context."""
        if self._trace is not None:
            about: Attributes = {
                "penny.folio.id": folio.id,
                "penny.folio.section": folio.section,
                "penny.folio.placement": placement,
            }
            item_id, began_s = folio.based_on, folio.created_s
            self._trace.start("folio", item_id=item_id, at_s=began_s, attributes=about).end()
