"""LLM behind any OpenAI-compatible chat server: vLLM, Ollama, llama.cpp, LM Studio, by URL.

Closing the iterator closes the connection, which is how these servers learn that the rest is not
wanted: vLLM and llama.cpp then free the sequence at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import structlog

from penny.errors import EngineError
from penny.ids import new_id
from runpod_worker.chat import write_messages, write_tool_choice, write_tools
from runpod_worker.engines.chat_deltas import ChatDeltas
from runpod_worker.engines.http_server import HttpServer
from runpod_worker.engines.tokens import TokenCounter
from runpod_worker.settings import OpenAiCompatibleSettings
from runpod_worker.stages import EngineInfo, LlmDelta, LlmRequest


log = structlog.get_logger()

Json = dict[str, Any]

CALIBRATION = (
    "Buenos días. Le atiende Penny, la asistente de la compañía. Su factura de enero vence el "
    "día quince y suma ochenta y cuatro euros con cincuenta céntimos. ¿Desea pagarla ahora?"
)
"""What a server with a tokenizer is asked to count once, so that estimates fit its model."""


class OpenAiLlm:
    """Llm behind an OpenAI-compatible chat server.

    One server and one model, shared by every connection of a worker.
    """

    def __init__(self, settings: OpenAiCompatibleSettings) -> None:
        """Raises FileNotFoundError for a tokenizer file that is not there."""
        self.info = EngineInfo(name=f"openai-compatible {settings.model}", languages=("*",))
        self._settings = settings
        self._server = HttpServer(
            "llm",
            settings.base_url,
            key_variable=settings.api_key_variable,
            connect_s=settings.connect_timeout_s,
        )
        self._chat = self._server.client.chat.completions
        self._counter = TokenCounter(settings.tokenizer)

    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """Stream an answer.

        Raises:
            EngineError: the server is away, refuses, or ends in the middle.
        """
        deltas = ChatDeltas(lambda: new_id("call"))
        body, extra = self._body(request), self._settings.extra_body
        with self._server.errors():
            stream = await self._chat.create(
                **body, extra_body=extra, stream=True, stream_options={"include_usage": True}
            )
            async with stream:
                async for chunk in stream:
                    for delta in deltas.feed(chunk):
                        yield delta
        if not deltas.stop:
            raise self._server.failure("cut", "the answer ended before it was whole")
        for delta in deltas.finish():
            yield delta

    def count_tokens(self, text: str) -> int:
        """Exact with a ``tokenizer`` file, else estimated (see ``engines.tokens``)."""
        return self._counter.count(text)

    async def prime(self, request: LlmRequest) -> None:
        """Let the server compute the prompt's head before the first turn needs it.

        A server that cannot is no reason to end a session: the failure is logged, the first
        answer then pays for the head or fails with its own error.
        """
        body = self._body(request) | {"max_tokens": 1}
        if not any(message["role"] == "user" for message in body["messages"]):
            # Most chat templates refuse a prompt without a user; the head before it is the same.
            body["messages"].append({"role": "user", "content": "Hola"})
        try:
            with self._server.errors():
                await self._chat.create(**body, extra_body=self._settings.extra_body, stream=False)
        except EngineError as error:
            log.warning("llm_not_primed", code=error.code)

    async def calibrate(self) -> None:
        """Ask a server that has ``/tokenize`` how it counts (vLLM, llama.cpp); else estimate."""
        root = self._settings.base_url.rstrip("/").removesuffix("/v1")
        # vLLM reads "prompt", llama.cpp "content"; each ignores the other's key.
        body = {"model": self._settings.model, "prompt": CALIBRATION, "content": CALIBRATION}
        try:
            with self._server.errors():
                counted: Any = await self._server.client.post(
                    f"{root}/tokenize", body=body, cast_to=object
                )
                tokens = int(counted.get("count") or len(counted.get("tokens") or ()))
                self._counter.observe(CALIBRATION, tokens)
        except EngineError as error:
            log.info("llm_tokenizer_unknown", reason=error.code)

    async def aclose(self) -> None:
        await self._server.aclose()

    def _body(self, request: LlmRequest) -> Json:
        settings = self._settings
        body: Json = {
            "model": settings.model,
            "messages": write_messages(
                request.instructions, request.items, late_system_role=settings.late_system_role
            ),
            "temperature": settings.temperature,
            "max_tokens": min(
                request.max_output_tokens or settings.max_tokens, settings.max_tokens
            ),
        }
        if request.tools:
            body["tools"] = write_tools(request.tools)
            body["tool_choice"] = write_tool_choice(request.tool_choice)
        return body
