"""``python -m penny kb`` asks what ``penny.yaml`` says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from penny.cli.main import main


pytestmark = pytest.mark.socket


BAJA = "---\nidioma: es\n---\n## Baja\n\nLa baja del contrato es gratuita.\n"
QUESTION = "cómo doy de baja el contrato"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "documents" / "taller" / "manual"
    folder.mkdir(parents=True)
    (folder / "baja.md").write_text(BAJA, encoding="utf-8")
    path = tmp_path / "penny.yaml"
    path.write_text(
        "kb: {documents: documents, index: var/kb, default_ref: 'kb://taller/manual'}\n"
    )
    return path


def test_search_and_eval_take_folders_and_collection_from_the_file(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kb", "search", *QUESTION.split(), "--config", str(config)]) == 0
    assert "La baja del contrato es gratuita." in capsys.readouterr().out
    assert (config.parent / "var" / "kb").is_dir()

    asked = config.parent / "asked.jsonl"
    asked.write_text(json.dumps({"question": QUESTION, "answers": ["baja.md#baja"]}) + "\n")
    assert main(["kb", "eval", str(asked), "--config", str(config)]) == 0
    assert "1.000" in capsys.readouterr().out


def test_a_server_that_gives_no_vectors_is_told_beside_what_words_find(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = config.read_text().replace(
        "kb: {",
        "kb: {embedding: openai-compatible, embedding_server: {url: 'http://127.0.0.1:1'}, ",
    )
    config.write_text(text)

    assert main(["kb", "search", QUESTION, "--config", str(config)]) == 0

    told = capsys.readouterr()
    assert "gratuita" in told.out
    assert "words alone are searched" in " ".join(told.err.split())


def test_a_file_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kb", "index", "--config", str(tmp_path / "no.yaml")]) != 0

    assert "no.yaml is not here" in " ".join(capsys.readouterr().err.split())
