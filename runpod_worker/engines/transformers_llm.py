"""LLM in process by transformers: for small machines and small models, no server.

One answer at a time (there is no scheduler); others wait in order. An interrupted answer stops at
its next token.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    StoppingCriteria,
    StoppingCriteriaList,
    TextStreamer,
)

from penny.errors import EngineError
from runpod_worker.chat import write_request, write_tools
from runpod_worker.engines.text_stream import Put, stream_answer
from runpod_worker.settings import TransformersSettings
from runpod_worker.stages import EngineInfo, LlmDelta, LlmRequest
from runpod_worker.window import fit


WINDOW = 4096
"""Of a model that tells none."""


class TransformersLlm:
    """Llm in process with the transformers library.

    Loads a folder of weights; nothing is downloaded.
    """

    def __init__(self, settings: TransformersSettings) -> None:
        """Blocking. Raises EngineError if the folder holds no model."""
        self._settings = settings
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(settings.model, local_files_only=True)
            self._model = AutoModelForCausalLM.from_pretrained(
                settings.model, dtype=getattr(torch, settings.dtype), local_files_only=True
            )
        except (OSError, ValueError) as error:
            raise EngineError(
                f"worker.engines.transformers.model: {settings.model} does not load: {error}",
                stage="llm",
                code="weights_missing",
                retryable=False,
            ) from error
        device = settings.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model.to(device).eval()
        self.info = EngineInfo(
            name=f"transformers {settings.model.name}", languages=("*",), reads=True
        )
        self._window = int(getattr(self._model.config, "max_position_embeddings", 0) or WINDOW)
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="transformers")

    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """Stream an answer. Raises EngineError."""
        limit = min(request.max_output_tokens or 1 << 30, self._settings.max_tokens)
        fitted = fit(request, self._window, limit, self.count_tokens)
        inputs = await asyncio.to_thread(self._encode, fitted)
        prompt_tokens = int(inputs["input_ids"].shape[1])
        answer = stream_answer(
            self._threads,
            lambda put: self._write(inputs, limit, put),
            prompt_tokens=prompt_tokens,
            limit=limit,
        )
        async with aclosing(answer) as deltas:
            async for delta in deltas:
                yield delta

    def count_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False)) if text else 0

    async def prime(self, request: LlmRequest) -> None:
        """Nothing to prime: transformers keeps no cache between answers."""

    async def aclose(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _encode(self, request: LlmRequest) -> Any:
        messages = write_request(request)
        for message in messages:
            for call in message.get("tool_calls") or ():
                # Templates write the arguments as JSON themselves, and would quote a string.
                call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        tools = write_tools(request.tools) if request.tool_choice != "none" else []
        return self._tokenizer.apply_chat_template(
            messages,
            tools=tools or None,
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        ).to(self._model.device)

    def _write(self, inputs: Any, limit: int, put: Put) -> int:
        """In the thread: generate, and tell how many tokens were written."""
        stopping = _Stopping()
        streamer = _Streamer(self._tokenizer, put, stopping)
        sampled = self._settings.temperature > 0
        with torch.inference_mode():
            output = self._model.generate(
                **inputs,
                max_new_tokens=limit,
                do_sample=sampled,
                temperature=self._settings.temperature if sampled else None,
                streamer=streamer,
                stopping_criteria=StoppingCriteriaList([stopping]),
            )
        return int(output.shape[1] - inputs["input_ids"].shape[1])


class _Stopping(StoppingCriteria):  # type: ignore[misc]  # transformers has no types here
    """Ends the generation at the next token once its reader has gone."""

    def __init__(self) -> None:
        self.wanted = False

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        return torch.full((input_ids.shape[0],), self.wanted, device=input_ids.device)


class _Streamer(TextStreamer):  # type: ignore[misc]  # transformers has no types here
    """The library's text streamer, over a handoff to the loop."""

    def __init__(self, tokenizer: Any, put: Put, stopping: _Stopping) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._put = put
        self._stopping = stopping

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        if text and not self._put(text):
            self._stopping.wanted = True
