"""The language models that kept calls are given to: the brain's and the local one.

A call that was private in any part of it is read by the local model alone, whatever is configured.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from brain.analysis import BrainFailure
from brain.understanding import MAX_TOKENS, SYSTEM, read_told, write_call
from config.credentials import missing_brain_key
from config.prices import PRICES
from config.schema import Config
from penny.analysis.batch.graph import Skipped, Throttled
from penny.analysis.dialogue import Said
from penny.calls.record import Call
from penny.errors import EngineError
from penny.metering.usage import Prices, price_messages, total_usd
from runpod_worker.engines.loaders import Loading, load_openai_llm
from runpod_worker.settings import WorkerSettings
from runpod_worker.stages import Llm, LlmRequest, LlmText, LlmUsage


if TYPE_CHECKING:
    from brain.claude import Claude

Json = dict[str, Any]

REFUSES_FOR_NOW = ("rate_limited", "overloaded")
NO_LOCAL = "no local language model is set up: worker.engines.openai_compatible"


class Models:
    """What ``analysis.model`` allows.

    Args:
        local: settings of the worker, where its answers come from a chat server; None: no model.
        claude: of the brain; None: calls leave this machine for none.
        brain: the name of its model.
    """

    def __init__(
        self,
        local: WorkerSettings | None,
        claude: Claude | None,
        brain: str,
        prices: Prices = PRICES,
    ) -> None:
        self._prices = prices
        self._local = local
        self._claude = claude
        self._brain = brain
        self._llm: Llm | None = None

    def name_for(self, call: Call) -> str:
        if self._claude is not None and call.modes == ["EXTERNAL"]:
            return self._brain
        return self._local.engines.openai_compatible.model if self._local is not None else ""

    async def tell(self, call: Call, said: Sequence[Said]) -> Json:
        """Raises Skipped, Throttled, BrainFailure, EngineError."""
        if self._claude is not None and call.modes == ["EXTERNAL"]:
            try:
                told, usage = await self._claude.understand(said, self._brain)
            except BrainFailure as error:
                if error.code in REFUSES_FOR_NOW:
                    raise Throttled(error.code) from error
                raise
            usd = total_usd(price_messages(usage.as_json(), usage.model, self._prices))
            tokens = {"input": usage.input_tokens, "output": usage.output_tokens}
            return {**told, "usage": {**tokens, "usd": round(usd, 6)}}
        if self._local is None:
            raise Skipped(NO_LOCAL)
        return await self._ask_here(self._local, call, said)

    async def _ask_here(self, settings: WorkerSettings, call: Call, said: Sequence[Said]) -> Json:
        if self._llm is None:
            self._llm = await load_openai_llm(Loading(settings))
        item = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": write_call(said)}],
        }
        request = LlmRequest(
            SYSTEM, (item,), max_output_tokens=MAX_TOKENS, language=call.language[:2] or "es"
        )
        text, usage = "", {}
        async for delta in self._llm.generate(request):
            if isinstance(delta, LlmText):
                text += delta.text
            elif isinstance(delta, LlmUsage):
                usage = {"input": delta.input_tokens, "output": delta.output_tokens}
        try:
            return {**read_told(text), "usage": usage}
        except ValueError as error:
            raise EngineError(
                "the answer is not the JSON asked for", stage="llm", code="broken_json"
            ) from error

    async def aclose(self) -> None:
        """Let go of both."""
        if self._claude is not None:
            await self._claude.aclose()
        if (close := getattr(self._llm, "aclose", None)) is not None:
            await close()


def open_models(config: Config) -> Models | None:
    """As ``analysis.model`` says; None where it is off.

    Args:
        config: with its profile settled.
    """
    allowed = config.analysis.model
    if allowed == "off":
        return None
    worker = config.worker_settings()
    local = worker if worker.choice.llm == "openai-compatible" else None
    external = config.penny.modes.EXTERNAL
    is_set_up = external.enabled and missing_brain_key(external, os.environ) is None
    claude = None
    if allowed == "any" and is_set_up:
        # Here, not above: the vendor's library takes a second to load.
        from brain.claude import Claude

        claude = Claude(external.cerebro_base_url)
    return Models(local, claude, external.cerebro_model, config.models.prices)
