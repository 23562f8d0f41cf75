"""Text to vectors: the seam, and one engine behind it, any OpenAI-compatible embeddings server."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import orjson
import structlog
from numpy.typing import NDArray
from pydantic import Field, field_validator

from penny.errors import PennyError
from penny.section import Section, check_http_address


log = structlog.get_logger()

Vectors = NDArray[np.float32]
_BATCH = 64
_MAX_REPLY_BYTES = 64 << 20
# A server that failed is left alone so long: searches meanwhile do not wait for it in vain.
_REST_S = 5.0


class EmbeddingFailed(PennyError):
    """The embedding server did not give vectors; search goes on with words alone."""

    code = "kb_embedding_failed"
    retryable = True


class EmbeddingTooSlow(EmbeddingFailed):
    """A batch was not embedded in time."""


class EmbeddingServer(Section):
    """Where vectors are made: ``kb.embedding_server`` of ``penny.yaml``."""

    url: str = Field("http://127.0.0.1:8000/v1", description="base address of the server")
    model: str = Field("BAAI/bge-m3", description="model name the server knows")
    api_key_variable: str = Field(
        "", description="environment variable of the server's key; empty sends none"
    )
    query_prefix: str = Field(
        "", description="what its model wants before a question, such as `query: `"
    )
    passage_prefix: str = Field(
        "", description="what it wants before a passage, such as `passage: `"
    )
    timeout_s: float = Field(
        0.5, gt=0, le=10, description="time a search waits; then words alone answer"
    )
    indexing_timeout_s: float = Field(
        60.0,
        gt=0,
        description="time the server has for 64 passages; a slower one is sent fewer at a time",
    )

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        return check_http_address(
            url,
            "http(s)://host:port/v1, where the server listens",
            "name their variable in api_key_variable",
        )


class Embedder(Protocol):
    """Makes vectors of texts.

    Thread-safe. ``name`` tells engine and model: vectors of another name are made anew.

    ``fault`` is why the last request failed, '' when it did not; told in the log by the embedder.
    ``resting``: it failed a moment ago and is not worth asking yet. ``settle_s``: how long a
    process that just began to watch has better to do than to make vectors.
    """

    name: str
    settle_s: float

    @property
    def fault(self) -> str: ...

    @property
    def resting(self) -> bool: ...

    def embed_query(self, text: str) -> Vectors:
        """Return one row of length 1, soon. Raises EmbeddingFailed."""
        ...

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Return one row of length 1 for each, with the time that passages have. Raises
        EmbeddingFailed."""
        ...

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Return one row of length 1 for each text. Raises EmbeddingFailed."""
        ...


class HttpEmbedder:
    """Embedder behind an OpenAI-compatible server.

    Posts ``{"model", "input"}`` to ``<url>/embeddings``, at most 64 texts at a time; a server that
    does not embed so many in time is sent half as many from then on.

    A failure is logged when it begins and when it is over; for five seconds after one, requests
    fail at once.

    Args:
        server: where, which model and how long to wait.
        environment: holds the bearer token under the name that ``server`` gives; never logged.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        server: EmbeddingServer,
        environment: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = f"http:{server.model}:{server.passage_prefix}"
        self.settle_s = 0.0
        self._batch = _BATCH
        self.fault = ""
        self.failures = 0
        self._server = server
        self._url = server.url.rstrip("/") + "/embeddings"
        self._key = environment.get(server.api_key_variable, "") if server.api_key_variable else ""
        self._clock = clock
        self._rests_until = float("-inf")

    @property
    def resting(self) -> bool:
        return self._clock() < self._rests_until

    def embed_query(self, text: str) -> Vectors:
        texts = [self._server.query_prefix + text]
        return np.asarray(self._embed(texts, self._server.timeout_s)[0], dtype=np.float32)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        prefixed = [self._server.query_prefix + text for text in texts]
        return self._embed(prefixed, self._server.indexing_timeout_s)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        prefixed = [self._server.passage_prefix + text for text in texts]
        return self._embed(prefixed, self._server.indexing_timeout_s)

    def _embed(self, texts: list[str], timeout_s: float) -> Vectors:
        if self.resting:
            raise EmbeddingFailed(self.fault)
        try:
            rows: list[list[float]] = []
            while len(rows) < len(texts):
                rows += self._request_some(texts[len(rows) :], timeout_s)
            vectors = _normalise(rows)
        except EmbeddingFailed as error:
            self._failed(error)
            raise
        if self.fault:
            log.info("kb_embedding_recovered", model=self._server.model)
            self.fault = ""
        return vectors

    def _failed(self, error: EmbeddingFailed) -> None:
        if not self.fault:
            self.failures += 1
            log.warning("kb_embedding_failed", model=self._server.model, reason=error.message)
        self.fault = error.message
        self._rests_until = self._clock() + _REST_S

    def _request_some(self, texts: list[str], timeout_s: float) -> list[list[float]]:
        """Vectors of as many of the first texts as the server makes in time, one at least."""
        while True:
            batch = texts[: self._batch]
            try:
                return self._request(batch, timeout_s)
            except EmbeddingTooSlow:
                if len(batch) == 1:
                    raise
                self._batch = max(1, len(batch) // 2)
                log.info("kb_embedding_batch_halved", model=self._server.model, batch=self._batch)

    def _request(self, texts: list[str], timeout_s: float) -> list[list[float]]:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        body = orjson.dumps({"model": self._server.model, "input": texts})
        request = urllib.request.Request(self._url, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as reply:
                data = orjson.loads(reply.read(_MAX_REPLY_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                raise EmbeddingFailed(f"the embedding server answered {error.code}") from error
        except (OSError, http.client.HTTPException, orjson.JSONDecodeError) as error:
            cause = getattr(error, "reason", error)
            kind = EmbeddingTooSlow if isinstance(cause, TimeoutError) else EmbeddingFailed
            name = type(cause).__name__
            raise kind(f"no vectors from the embedding server: {name}") from error
        try:
            rows = sorted(data["data"], key=lambda row: int(row["index"]))
            vectors = [row["embedding"] for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise EmbeddingFailed("the embedding server's reply has no data[].embedding") from error
        if len(vectors) != len(texts):
            raise EmbeddingFailed(f"{len(texts)} texts sent, {len(vectors)} vectors came back")
        return vectors


def _normalise(rows: list[list[float]]) -> Vectors:
    """Raises EmbeddingFailed: they are no vectors of one length."""
    try:
        vectors = np.asarray(rows, dtype=np.float32)
    except (ValueError, TypeError) as error:
        raise EmbeddingFailed("the vectors are not numbers of one length") from error
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise EmbeddingFailed("the vectors are not numbers of one length")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
