"""Text to vectors: the seam, and one engine behind it, any OpenAI-compatible embeddings server."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from penny.errors import PennyError


Vectors = NDArray[np.float32]
_BATCH = 64
_MAX_REPLY_BYTES = 64 << 20


class EmbeddingFailed(PennyError):
    """The embedding server did not give vectors; search goes on with words alone."""

    code = "kb_embedding_failed"
    retryable = True


class Embedder(Protocol):
    """Thread-safe. ``name`` tells engine and model: vectors of another name are made anew."""

    name: str

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row of length 1 for each text. Raises EmbeddingFailed."""
        ...


class HttpEmbedder:
    """Posts ``{"model", "input"}`` to ``<url>/embeddings``, at most 64 texts at a time.

    Args:
        url: base of the server, for example ``http://127.0.0.1:8000/v1``.
        key: bearer token, or empty; never logged.
        timeout_s: for one request; a search waits no longer.
    """

    def __init__(self, url: str, model: str, *, key: str = "", timeout_s: float = 0.5) -> None:
        if not url.startswith(("http://", "https://")):
            raise EmbeddingFailed("the embeddings url must begin with http:// or https://")
        self.name = f"http:{model}"
        self._url = url.rstrip("/") + "/embeddings"
        self._model = model
        self._key = key
        self._timeout_s = timeout_s

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = [
            row
            for first in range(0, len(texts), _BATCH)
            for row in self._request(texts[first : first + _BATCH])
        ]
        try:
            vectors = np.asarray(rows, dtype=np.float32)
        except (ValueError, TypeError) as error:
            raise EmbeddingFailed("the vectors are not numbers of one length") from error
        if vectors.ndim != 2 or not np.isfinite(vectors).all():
            raise EmbeddingFailed("the vectors are not numbers of one length")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)

    def _request(self, texts: Sequence[str]) -> list[list[float]]:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        body = orjson.dumps({"model": self._model, "input": list(texts)})
        request = urllib.request.Request(self._url, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as reply:
                data = orjson.loads(reply.read(_MAX_REPLY_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                raise EmbeddingFailed(f"the server answered {error.code}") from error
        except (OSError, http.client.HTTPException, orjson.JSONDecodeError) as error:
            raise EmbeddingFailed(f"no vectors from the server: {type(error).__name__}") from error
        try:
            rows = sorted(data["data"], key=lambda row: int(row["index"]))
            vectors = [row["embedding"] for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise EmbeddingFailed("the reply has no data[].embedding") from error
        if len(vectors) != len(texts):
            raise EmbeddingFailed(f"{len(texts)} texts sent, {len(vectors)} vectors came back")
        return vectors
