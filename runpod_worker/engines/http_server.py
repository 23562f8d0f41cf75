"""What every engine behind an OpenAI-compatible HTTP server shares: client, key, clear errors.

A server's own error text is never passed on: some repeat the request, and a request holds what a
caller said. Its status and its machine code are enough to act on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from openai import APIConnectionError, APIError, APIStatusError, AsyncOpenAI
from openai import DefaultAsyncHttpxClient as HttpClient

from penny.errors import EngineError


_WINDOW = re.compile(
    r"context (?:length|size|window)(?: of| is| only|:)* \(?(\d+)|n_ctx['\"]?: (\d+)"
)
_WORDED = frozenset((400, 413, 422, 500))
_RETRYABLE = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
_CODES = {400: "rejected", 401: "unauthorized", 403: "unauthorized", 404: "not_found"}
_CODES |= {408: "timeout", 413: "too_large", 422: "rejected", 429: "overloaded", 503: "overloaded"}
_WORDINGS = (
    (
        re.compile(r"context[ _](?:length|size|window)|exceed_context|max(?:imum)?_?model_?len"),
        "context_exceeded",
    ),
    (
        re.compile(r"tool.{0,40}(?:support|requires|must be set|--jinja)|support.{0,20}\btools?\b"),
        "tools_refused",
    ),
    (
        re.compile(
            r"system.{0,20}(?:role|message).{0,40}(?:support|only|beginning|first)"
            r"|(?:only|got).{0,60}\bsystem\b|roles? must alternate|only user"
        ),
        "roles_refused",
    ),
)
"""What servers refuse in words only (vLLM, Ollama, llama.cpp, LM Studio), with 400 or with 500 from
the template, as code."""


class HttpServer:
    """An AsyncOpenAI client of one server for one stage, whose errors become EngineError.

    No retries: a stage's own deadline is shorter than the SDK's pauses. Neither proxies nor
    ``OPENAI_*`` of the environment count, so that a vendor's key never reaches another server.

    Args:
        base_url: up to and with ``/v1``.
        key_variable: environment variable of the bearer token; '' sends none.
        connect_s: time to open a connection; the stage's own deadlines bound the rest.
    """

    def __init__(
        self, stage: str, base_url: str, *, key_variable: str = "", connect_s: float = 3.0
    ) -> None:
        self._stage = stage
        self._base_url = base_url.rstrip("/")
        self._key_variable = key_variable
        self.window = 0
        """The model's window in tokens, where a refusal has told it."""
        timeout = httpx2.Timeout(None, connect=connect_s)
        key = os.environ.get(key_variable, "") if key_variable else ""
        # The SDK insists on a key; where there is none, no header leaves.
        hooks: dict[str, list[Any]] = {"request": [] if key else [_send_no_key]}
        self.client = AsyncOpenAI(
            base_url=self._base_url,
            api_key=key or "none",
            default_headers={"Authorization": f"Bearer {key}"},
            max_retries=0,
            timeout=timeout,
            http_client=HttpClient(trust_env=False, timeout=timeout, event_hooks=hooks),
        )
        self.client.organization = self.client.project = None

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what goes wrong inside as an EngineError.

        ``retryable`` tells what may pass from what a person has to mend. ValueError, KeyError,
        TypeError and AttributeError inside mean that the answer had another shape.
        """
        try:
            yield
        except APIConnectionError as error:
            if isinstance(error.__cause__, httpx2.ConnectError | httpx2.TimeoutException):
                raise self.failure("unreachable", f"{self._base_url} cannot be reached") from error
            raise self.failure("cut", f"{self._base_url} broke the connection off") from error
        except APIStatusError as error:
            raise self._refusal(error) from error
        except APIError as error:
            code = _machine_code(error) or "no code"
            raise self.failure("failed", f"it failed in the middle ({code})") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self.failure("malformed", "its answer is not of this API") from error

    def failure(self, code: str, message: str, *, retryable: bool = True) -> EngineError:
        """The error of this stage with ``code`` (``llm_cut``)."""
        return EngineError(
            f"the {self._stage} server: {message}",
            stage=self._stage,
            code=f"{self._stage}_{code}",
            retryable=retryable,
        )

    async def aclose(self) -> None:
        await self.client.close()

    def _refusal(self, error: APIStatusError) -> EngineError:
        status = error.status_code
        code = _CODES.get(status, "failed")
        told = _machine_code(error)
        words = f"{told} {error.message} {error.response.text}".lower()
        if status in _WORDED:
            code = next((named for form, named in _WORDINGS if form.search(words)), code)
        if code == "context_exceeded" and (told_window := _WINDOW.search(words)):
            self.window = int(told_window[1] or told_window[2])
        remedy = {
            "unauthorized": f" (set {self._key_variable or 'api_key_variable and its key'})",
            "not_found": " (check base_url and the model's name)",
        }.get(code, "")
        said = f"{status} {told}".strip()
        return self.failure(code, f"it answered {said}{remedy}", retryable=status in _RETRYABLE)


async def _send_no_key(request: httpx2.Request) -> None:
    request.headers.pop("Authorization", None)


def _machine_code(error: APIError) -> str:
    """The machine code of an error in OpenAI's form, without its free text."""
    return str(error.code or error.type or "")[:64]
