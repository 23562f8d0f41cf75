"""Analysis of one configuration put together: what its steps work with, and its jobs."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from uuid import uuid4

from config.schema import Config
from kb.embedder import EmbeddingFailed
from kb.local_embedder import LocalEmbedder
from penny.analysis.batch.ears import Ears
from penny.analysis.batch.graph import Step, name_graph
from penny.analysis.batch.jobs import Also, Jobs
from penny.analysis.batch.steps import Tools
from penny.analysis.classifier import Array
from penny.analysis.heads import read_heads
from penny.calls.shelf import Shelf
from penny.calls.store import CallStore


NO_EARS = "no engine that hears freely is here: python -m penny models pull natural"


def make_tools(config: Config, shelf: Shelf) -> tuple[Tools, Ears | None]:
    """What steps work with, and the ears that are to be closed.

    Args:
        config: with its profile settled.
    """
    settings = config.worker_settings()
    ears = Ears(settings, shelf) if settings.choice.stt == "faster-whisper" else None
    embedder = LocalEmbedder() if config.analysis.vectors else None
    heads = read_heads(embedder.name) if embedder is not None and not embedder.fault else {}

    def embed(texts: Sequence[str]) -> Array:
        assert embedder is not None
        return embedder.embed_queries(texts)

    if heads:
        try:
            embed(["hola"])
        except EmbeddingFailed:  # logged by the embedder
            heads = {}
    tools = Tools(
        rules=lambda tenant: config.tenant_analysis(tenant).rules or (),
        embed=embed if heads else None,
        heads=heads,
        hear=ears.hear if ears is not None else None,
        ears=ears.name if ears is not None else "",
        no_ears=NO_EARS,
        heard_share=lambda tenant: config.tenant_analysis(tenant).retranscribe or 0.0,
    )
    return tools, ears


def open_jobs(store: CallStore, steps: Sequence[Step], also: Also | None) -> Jobs:
    """The jobs of one worker, with a name of its own."""
    owner = f"{socket.gethostname()[:32]}:{os.getpid()}:{uuid4().hex[:8]}"
    return Jobs(store, owner, name_graph(steps), lambda: round(time.time() * 1000), also)
