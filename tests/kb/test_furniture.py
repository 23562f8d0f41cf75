"""What stands on every page is told by none; what a few pages share is."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb import KbSettings, KnowledgeBase


pytestmark = pytest.mark.pure


def open_kb(tmp_path: Path) -> KnowledgeBase:
    return KnowledgeBase.open(
        KbSettings(documents=tmp_path / "documents", index=tmp_path / "index")
    )


def texts(kb: KnowledgeBase, question: str) -> list[str]:
    hits = kb.search("kb://a/b", question, min_score=0.0, limit=20).hits
    return [hit.passage.text for hit in hits]


def test_a_block_of_thirty_pages_is_furniture_and_comes_back_with_fewer(tmp_path: Path) -> None:
    folder = tmp_path / "documents/a/b"
    folder.mkdir(parents=True)
    for n in range(30):
        own = f"La pieza {n} se cambia con la llave."
        (folder / f"p{n}.html").write_text(
            f"<h1>Pieza {n}</h1><p>{own}</p><p>Valore este contenido con estrellas.</p>"
        )

    kb = open_kb(tmp_path)
    assert len(texts(kb, "pieza llave")) > 1
    assert [text for text in texts(kb, "valore contenido estrellas") if "Valore" in text] == []

    (folder / "p0.html").unlink()
    kb.refresh()
    assert [text for text in texts(kb, "valore contenido estrellas") if "Valore" in text] != []
    kb.close()
