"""LLM in process by CTranslate2: int8 on a CPU, no torch; Qwen2 models in ChatML.

Answers run side by side in ``threads`` copies of the computation; more wait in order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

import ctranslate2
from tokenizers import Tokenizer

from penny.errors import EngineError
from runpod_worker.chat import write_prompt, write_request, write_tools
from runpod_worker.engines.text_stream import Put, stream_answer
from runpod_worker.settings import CTranslate2Settings
from runpod_worker.stages import EngineInfo, LlmDelta, LlmRequest
from runpod_worker.window import fit


END = "<|im_end|>"
UNFINISHED = "\ufffd"
"""Decoding half of a character gives this: the token after it completes it."""


class CTranslate2Llm:
    """Llm in process on CTranslate2, without torch.

    Loads a folder with ``model.bin`` and ``tokenizer.json``; nothing is downloaded.
    """

    def __init__(self, settings: CTranslate2Settings) -> None:
        """Blocking. Raises EngineError if the folder holds no model."""
        self._settings = settings
        folder: Path = settings.model
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._generator = ctranslate2.Generator(
                str(folder),
                device=settings.device,
                compute_type=settings.compute_type,
                inter_threads=settings.threads,
                intra_threads=1 if settings.device == "cpu" else 0,
            )
        except Exception as error:  # tokenizers raises bare Exception
            raise EngineError(
                f"worker.engines.ctranslate2.model: {folder} does not load: {error}",
                stage="llm",
                code="weights_missing",
                retryable=False,
            ) from error
        self.info = EngineInfo(name=f"ctranslate2 {folder.name}", languages=("*",), reads=True)
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="ctranslate2")

    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """Stream an answer. Raises EngineError."""
        limit = min(request.max_output_tokens or 1 << 30, self._settings.max_tokens)
        prompt = self._encode(fit(request, self._settings.context_tokens, limit, self.count_tokens))

        def write(put: Put) -> int:
            written = 0
            for text in self._decode(prompt, limit):
                written += 1
                if text and not put(text):
                    break
            return written

        answer = stream_answer(self._threads, write, prompt_tokens=len(prompt), limit=limit)
        async with aclosing(answer) as deltas:
            async for delta in deltas:
                yield delta

    def count_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids) if text else 0

    async def prime(self, request: LlmRequest) -> None:
        """Nothing to prime: no cache is kept between answers."""

    async def aclose(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _encode(self, request: LlmRequest) -> list[str]:
        tools = write_tools(request.tools) if request.tool_choice != "none" else []
        prompt = write_prompt(write_request(request), tools)
        tokens: list[str] = self._tokenizer.encode(prompt, add_special_tokens=False).tokens
        return tokens

    def _decode(self, prompt: list[str], limit: int) -> Iterator[str]:
        """In a thread: the text that each token adds, '' while a character is not whole."""
        sampled = self._settings.temperature > 0
        steps = self._generator.generate_tokens(
            prompt,
            max_length=limit,
            end_token=END,
            sampling_topk=0 if sampled else 1,
            sampling_temperature=self._settings.temperature if sampled else 1.0,
        )
        ids: list[int] = []
        told = ""
        for step in steps:
            if step.token != END:  # the last step may be the end token itself
                ids.append(step.token_id)
            text = self._tokenizer.decode(ids)
            if text.endswith(UNFINISHED):
                yield ""
                continue
            yield text[len(told) :]
            told = text
