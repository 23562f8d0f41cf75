"""An answer begun while the turn is still being judged, taken by the response if the words held.

The words are known before the silence that ends a turn is over. The language model may use that
time: what it generates is kept here, unheard, until the response asks for exactly this prompt. If
the caller goes on, it is aborted like any interrupted answer. Fulfils ``stages.Llm``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from runpod_worker.chat_messages import write_messages
from runpod_worker.stages import EngineInfo, Llm, LlmDelta, LlmRequest
from runpod_worker.stream_ahead import StreamAhead


KEPT_DELTAS = 64
"""Pieces generated ahead of the turn's end; then the model waits. A second or two of tokens."""


class AnswerAhead:
    """One connection's language model; ``llm`` is shared by all. At most one answer is ahead."""

    def __init__(self, llm: Llm) -> None:
        self.info: EngineInfo = llm.info
        self._llm = llm
        self._ahead: StreamAhead[LlmRequest, LlmDelta] = StreamAhead(
            llm.generate, _is_same, kept=KEPT_DELTAS, stage="llm"
        )

    def begin(self, request: LlmRequest) -> None:
        """Generate for a turn that may be over; the same prompt again changes nothing."""
        self._ahead.begin(request)

    def drop(self) -> None:
        """The caller went on, or the connection ends: abort what is ahead."""
        self._ahead.drop()

    def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """What was begun for this very prompt, else a new answer. Raises EngineError."""
        return self._ahead.take(request)

    def count_tokens(self, text: str) -> int:
        return self._llm.count_tokens(text)

    async def prime(self, request: LlmRequest) -> None:
        await self._llm.prime(request)

    async def aclose(self) -> None:
        """Ends what is ahead; the shared model stays."""
        self.drop()


def _is_same(one: LlmRequest, other: LlmRequest) -> bool:
    """Whether both lead to the same prompt; items may differ in ids."""
    bare = replace(one, items=()), replace(other, items=())
    return bare[0] == bare[1] and write_messages("", one.items) == write_messages("", other.items)
