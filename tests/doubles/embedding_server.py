"""An OpenAI-compatible embeddings server whose model knows two topics by a few words each."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


TOPICS = (("gato", "felino", "minino"), ("barco", "navío", "velero"))


class EmbeddingServer(ThreadingHTTPServer):
    """``texts``: all that was asked; ``key``: the last header; ``status``: what it answers;
    ``more``: numbers that its vectors have besides. ``most_at_once``: a request of more texts is
    not answered before ``let_go``; ``answered``: the texts of each that was."""

    status = 200
    key = ""
    more: tuple[float, ...] = ()
    most_at_once = 1000

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.texts: list[str] = []
        self.answered: list[list[str]] = []
        self.let_go = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: EmbeddingServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if len(body["input"]) > self.server.most_at_once:
            self.server.let_go.wait(30.0)
            self.close_connection = True
            return
        self.server.texts += body["input"]
        self.server.answered.append(body["input"])
        self.server.key = self.headers.get("Authorization", "")
        rows = [
            {
                "index": at,
                "embedding": [
                    float(any(word in text.lower() for word in words)) for words in TOPICS
                ]
                + [0.1, *self.server.more],
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


@contextmanager
def running_embeddings() -> Iterator[EmbeddingServer]:
    with EmbeddingServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()
