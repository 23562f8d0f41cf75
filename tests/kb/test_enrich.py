"""Callers' questions by a model: proposed, read by a person, measured, accepted, searched."""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from kb import KbSettings, KnowledgeBase
from kb.cli import add_commands
from kb.enrich import ACCEPTED, PROPOSED, EnrichmentFailed, accept, propose
from tests.kb.conftest import Write


pytestmark = pytest.mark.socket


REF = "kb://taller/manual"
GRUA = "---\nidioma: es\n---\n## Auxilio\n\nLa grúa cuesta ochenta euros.\n"
TIRADO = "me quedé tirado en la carretera"
SAID = f"1. {TIRADO}\n- {TIRADO}\n• vienen a por el coche\n"


class Chat(BaseHTTPRequestHandler):
    """An OpenAI-compatible chat server of one sentence."""

    status = 200

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/chat/completions"
        assert [each["role"] for each in body["messages"]] == ["system", "user"]
        reply = json.dumps({"choices": [{"message": {"content": SAID}}]}).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def model() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Chat) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def run(settings: KbSettings, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers(required=True))
    place = ["--documents", str(settings.documents), "--index", str(settings.index), "--ref", REF]
    parsed = parser.parse_args(["kb", "enrich", *arguments, *place])
    return int(parsed.run(parsed))


def test_proposals_count_only_once_they_are_accepted(
    write: Write, settings: KbSettings, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write("taller/manual/grua.md", GRUA).parent
    asked = settings.documents.parent / "asked.jsonl"
    question = "estoy tirado en la carretera"
    asked.write_text(json.dumps({"question": question, "says": ["ochenta euros"]}) + "\n")

    assert run(settings, "--url", model, "--model", "m") == 0
    proposed = yaml.safe_load((folder / PROPOSED).read_text(encoding="utf-8"))
    assert proposed["frases"] == {"grua.md#auxilio": [TIRADO, "vienen a por el coche"]}
    assert proposed["hecho_por"].startswith("m, prompt 1, ")
    assert not found(settings, question)

    assert run(settings, "--measure", str(asked)) == 0
    told = capsys.readouterr().out
    assert told.index("without the proposals") < told.index("with the proposals")
    assert (folder / PROPOSED).is_file(), "measuring accepts nothing"

    assert run(settings, "--accept") == 0
    assert not (folder / PROPOSED).exists()
    assert found(settings, question)


def found(settings: KbSettings, question: str) -> bool:
    base = KnowledgeBase.open(settings)
    hits = base.search(REF, question, min_score=0.0).hits
    problems = base.problems()
    base.close()
    assert problems == []
    return bool(hits)


def test_an_interrupted_run_goes_on_where_it_was(
    write: Write, settings: KbSettings, tmp_path: Path
) -> None:
    write("taller/manual/dos.md", "## Uno\n\nPrimero.\n\n## Dos\n\nSegundo.\n")
    base = KnowledgeBase.open(settings)
    passages = base.view(REF).read_all()
    base.close()
    asked: list[str] = []

    def ask(_: str, passage: str) -> str:
        if len(asked) == 1:
            asked.append("")
            raise EnrichmentFailed("no answer")
        asked.append(passage)
        return "algo"

    with pytest.raises(EnrichmentFailed):
        propose(passages, ask, tmp_path, "m")
    assert propose(passages, ask, tmp_path, "m") == 2

    assert [each.split("\n")[0] for each in asked if each] == ["Uno", "Dos"]


def test_a_model_that_fails_and_a_file_that_is_none_are_named(
    write: Write, settings: KbSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write("taller/manual/grua.md", GRUA).parent

    assert run(settings, "--url", "http://127.0.0.1:1/v1", "--model", "m") == 1
    assert "no answer from the model's server" in " ".join(capsys.readouterr().err.split())
    assert run(settings, "--accept") == 1
    assert PROPOSED in capsys.readouterr().err

    (folder / PROPOSED).write_text("frases: [uno]\n")
    with pytest.raises(EnrichmentFailed, match="wants 'frases:'"):
        accept(folder)
    (folder / ACCEPTED).write_text("{{{")
    assert not found(settings, "nada de esto")
