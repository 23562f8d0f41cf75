"""LLM behind any OpenAI-compatible chat server: vLLM, Ollama, llama.cpp, LM Studio, by URL.

Closing the iterator closes the connection, which is how these servers learn that the rest is not
wanted: vLLM and llama.cpp then free the sequence at once. What a server turns out not to take
(tools, a system role, so long a prompt) is written otherwise and asked again at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import structlog

from penny.errors import EngineError
from penny.ids import new_id
from runpod_worker.chat import (
    ToolCallText,
    flatten,
    show,
    write_request,
    write_tool_choice,
    write_tools,
)
from runpod_worker.engines.chat_deltas import ChatDeltas
from runpod_worker.engines.http_server import HttpServer
from runpod_worker.engines.tokens import TokenCounter
from runpod_worker.settings import OpenAiCompatibleSettings
from runpod_worker.stages import EngineInfo, LlmDelta, LlmRequest, LlmText, LlmUsage
from runpod_worker.window import fit


log = structlog.get_logger()

Json = dict[str, Any]

CALIBRATION = (
    "Buenos días. Le atiende Penny, la asistente de la compañía. Su factura de enero vence el "
    "día quince y suma ochenta y cuatro euros con cincuenta céntimos. ¿Desea pagarla ahora?"
)
"""What a server with a tokenizer is asked to count once, so that estimates fit its model."""
WINDOW = 4096
"""Where neither the settings nor the server tell: Ollama's default, which it keeps to itself."""
NARROWER = 0.75
"""After a refusal that names no smaller window: characters taken for a token, or the window."""
TRIES = 6
ONE_WORD = "Contesta solo con la palabra sí."
THOUGHT_TOKENS, THOUGHT_S = 256, 20.0
"""A model that does not think answers in three tokens; one that goes on for so many thinks."""
_WINDOW_KEYS = (
    "max_model_len",  # vLLM
    "n_ctx",  # llama.cpp, in "meta"
    "loaded_context_length",  # LM Studio
    "context_length",
    "context_window",
)


class OpenAiLlm:
    """Llm behind an OpenAI-compatible chat server.

    One server and one model, shared by every connection of a worker.
    """

    def __init__(self, settings: OpenAiCompatibleSettings) -> None:
        """Raises FileNotFoundError for a tokenizer file that is not there."""
        name = f"openai-compatible {settings.model}"
        self.info = EngineInfo(name=name, languages=("*",), reads=True, sees=settings.sees)
        self._settings = settings
        self._server = HttpServer(
            "llm",
            settings.base_url,
            key_variable=settings.api_key_variable,
            connect_s=settings.connect_timeout_s,
        )
        self._chat = self._server.client.chat.completions
        self._counter = TokenCounter(settings.tokenizer)
        self._window = settings.context_tokens
        self._takes_tools = True
        self._takes_system = True
        self._opens_in_thought = False
        """The model's template has opened ``<think>``: its text begins within it."""

    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """Stream an answer.

        Raises:
            EngineError: the server is away, refuses, or ends in the middle.
        """
        for attempt in range(TRIES):
            fitted = self._fit(request)
            is_begun = False
            try:
                async for delta in self._stream(fitted):
                    is_begun = True
                    yield delta
                return
            except EngineError as error:
                if is_begun or attempt == TRIES - 1 or not self._learn(error, fitted):
                    raise
                log.info("llm_asked_otherwise", code=error.code, window=self._window)

    async def _stream(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        deltas = ChatDeltas(lambda: new_id("call"), self._find_calls(request))
        body, extra = self._body(request), self._settings.extra_body
        if self._opens_in_thought:
            yield LlmText("<think>")
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
        with self._server.errors():
            for delta in deltas.finish():
                if isinstance(delta, LlmUsage):
                    self._observe(body, delta)
                yield delta
        if deltas.began_in_thought is not None:
            self._opens_in_thought = deltas.began_in_thought

    def count_tokens(self, text: str) -> int:
        """Exact with a ``tokenizer`` file, else estimated (see ``engines.tokens``)."""
        return self._counter.count(text)

    async def prime(self, request: LlmRequest) -> None:
        """Let the server compute the prompt's head before the first turn needs it.

        A server that cannot is no reason to end a session: the failure is logged, the first
        answer then pays for the head or fails with its own error.
        """
        if self._window is None:
            await self._find_window()
        body = self._body(self._fit(request)) | {"max_tokens": 1}
        try:
            with self._server.errors():
                await self._chat.create(**body, extra_body=self._settings.extra_body, stream=False)
        except EngineError as error:
            self._learn(error, request)
            log.warning("llm_not_primed", code=error.code)

    async def calibrate(self) -> None:
        """Learn the model: its window, whether its text begins within a thought, and of a server
        that has ``/tokenize`` (vLLM, llama.cpp) how it counts; else that is estimated."""
        await self._find_window()
        await self._find_thought()
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

    # -- what the server takes ----------------------------------------------------------------

    async def _find_window(self) -> None:
        if self._window is not None:
            return
        try:
            with self._server.errors():
                listed: Any = await self._server.client.get("/models", cast_to=object)
                models = [each for each in listed.get("data") or () if isinstance(each, dict)]
        except EngineError as error:
            log.info("llm_window_unknown", reason=error.code, taken_for=WINDOW)
            return
        chosen = [each for each in models if each.get("id") == self._settings.model] or models[:1]
        for each in chosen:
            told = {**each, **(each.get("meta") or {})}
            window = next((told[key] for key in _WINDOW_KEYS if isinstance(told.get(key), int)), 0)
            self._window = window or None
        log.info("llm_window", tokens=self._window, taken_for=self._window or WINDOW)

    async def _find_thought(self) -> None:
        deltas, text = ChatDeltas(str), ""
        try:
            async with asyncio.timeout(THOUGHT_S):
                with self._server.errors():
                    stream = await self._chat.create(
                        model=self._settings.model,
                        messages=[{"role": "user", "content": ONE_WORD}],
                        max_tokens=THOUGHT_TOKENS,
                        extra_body=self._settings.extra_body,
                        stream=True,
                    )
                    async with stream:
                        async for chunk in stream:
                            told = [one for one in deltas.feed(chunk) if isinstance(one, LlmText)]
                            text += "".join(one.text for one in told)
                            if deltas.began_in_thought is not None:
                                break
        except (EngineError, TimeoutError) as error:
            log.info("llm_thought_unknown", reason=type(error).__name__)
            return
        begun = deltas.began_in_thought
        self._opens_in_thought = bool(text and deltas.stop == "length") if begun is None else begun

    def _fit(self, request: LlmRequest) -> LlmRequest:
        window = self._window or WINDOW
        most = min(self._settings.max_tokens, window // 3)
        return fit(request, window, min(request.max_output_tokens or most, most), self.count_tokens)

    def _learn(self, error: EngineError, request: LlmRequest) -> bool:
        """Whether the request is to be written otherwise after this refusal."""
        window = self._window or WINDOW
        match error.code:
            case "llm_context_exceeded" if request.truncation != "disabled":
                if 0 < self._server.window < window:
                    self._window = self._server.window
                elif not self._counter.narrow(NARROWER):  # the estimate was too low
                    self._window = int(window * NARROWER)
            case "llm_tools_refused" if self._takes_tools:
                self._takes_tools = False
            case "llm_roles_refused" if self._takes_system or self._takes_tools:
                self._takes_system = self._takes_tools = False
            case _:
                return False
        return True

    def _observe(self, body: Json, usage: LlmUsage) -> None:
        """Lean the estimate towards what the server counted, in both directions."""
        told = [message["content"] for message in body["messages"]]
        written = "".join(content for content in told if isinstance(content, str))
        if "tools" not in body and all(isinstance(content, str) for content in told):
            self._counter.observe(written, usage.input_tokens)

    def _find_calls(self, request: LlmRequest) -> ToolCallText | None:
        names = [str(tool.get("name")) for tool in request.tools]
        return ToolCallText(lambda: new_id("call"), names) if names else None

    def _body(self, request: LlmRequest) -> Json:
        settings = self._settings
        messages = write_request(request)
        offered = request.tools if request.tool_choice != "none" or self._takes_tools else ()
        tools = write_tools(offered)
        if not (self._takes_tools and self._takes_system):
            told = () if self._takes_tools else tools
            messages = flatten(messages, told, system=self._takes_system)
        most = min(settings.max_tokens, (self._window or WINDOW) // 3)
        body: Json = {
            "model": settings.model,
            "messages": show(messages),
            "temperature": settings.temperature,
            "max_tokens": min(request.max_output_tokens or most, most),
        }
        if tools and self._takes_tools:
            body["tools"] = tools
            body["tool_choice"] = write_tool_choice(request.tool_choice)
        return body
