"""Vectors from a server on loopback, and search without it when it fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kb import KbSettings, KnowledgeBase
from kb.embedder import EmbeddingFailed, HttpEmbedder
from kb.vectors import fuse
from tests.kb.conftest import Write


TOPICS = (("gato", "felino", "minino"), ("barco", "navío", "velero"))


class EmbeddingServer(ThreadingHTTPServer):
    status = 200
    asked = 0
    key = ""


class Handler(BaseHTTPRequestHandler):
    server: EmbeddingServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked += len(body["input"])
        self.server.key = self.headers.get("Authorization", "")
        rows = [
            {
                "index": at,
                "embedding": [
                    float(any(word in text.lower() for word in words)) for words in TOPICS
                ]
                + [0.1],
            }
            for at, text in enumerate(body["input"])
        ]
        reply = json.dumps({"data": rows[::-1]}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def embedder(server: EmbeddingServer) -> HttpEmbedder:
    url = f"http://127.0.0.1:{server.server_port}/v1"
    return HttpEmbedder(url, "topics", key="secret", timeout_s=5)


def open_two(write: Write, settings: KbSettings) -> KnowledgeBase:
    write("a/b/gato.md", "---\nidioma: es\n---\n## Gato\n\nEl gato duerme.\n")
    write("a/b/barco.md", "---\nidioma: es\n---\n## Barco\n\nEl barco zarpa.\n")
    return KnowledgeBase.open(settings)


def test_a_vector_finds_what_words_cannot(
    write: Write, settings: KbSettings, embedder: HttpEmbedder, server: EmbeddingServer
) -> None:
    base = open_two(write, replace(settings, embedder=embedder))

    hit = base.search("kb://a/b", "un minino cualquiera").hits[0]

    assert hit.passage.source == "gato.md"
    assert hit.vector is not None
    assert hit.vector > 0.9
    assert server.key == "Bearer secret"
    base.close()


def test_vectors_are_made_once(
    write: Write, settings: KbSettings, embedder: HttpEmbedder, server: EmbeddingServer
) -> None:
    with_vectors = replace(settings, embedder=embedder)
    open_two(write, with_vectors).close()
    write("a/b/tren.md", "---\nidioma: es\n---\n## Tren\n\nEl tren sale.\n")

    KnowledgeBase.open(with_vectors).close()

    assert server.asked == 3


def test_search_goes_on_with_words_when_the_server_fails(
    write: Write, settings: KbSettings, embedder: HttpEmbedder, server: EmbeddingServer
) -> None:
    base = open_two(write, replace(settings, embedder=embedder))
    server.status = 500

    hit = base.search("kb://a/b", "dónde duerme el gato").hits[0]

    assert (hit.passage.source, hit.vector) == ("gato.md", None)
    with pytest.raises(EmbeddingFailed, match="500"):
        embedder.embed(["x"])
    base.close()


def test_two_witnesses_are_surer_than_one() -> None:
    assert fuse(0.5, 0.5) == 0.75
    assert fuse(0.0, 0.3) == pytest.approx(0.3)
