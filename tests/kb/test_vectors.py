"""Vectors from a server on loopback, and search without it when it fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from kb import KbSettings, KnowledgeBase
from kb.embedder import EmbeddingServer as Server
from kb.embedder import HttpEmbedder
from tests.doubles.embedding_server import EmbeddingServer, running_embeddings
from tests.kb.conftest import Write


pytestmark = pytest.mark.socket


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with running_embeddings() as running:
        yield running


@pytest.fixture
def embedder(server: EmbeddingServer, clock: Clock) -> HttpEmbedder:
    return HttpEmbedder(settings_of(server), {"EMBEDDING_KEY": "secret"}, clock)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def settings_of(server: EmbeddingServer, **more: Any) -> Server:
    return Server(
        url=server.url,
        model="topics",
        api_key_variable="EMBEDDING_KEY",
        **({"timeout_s": 5.0} | more),
    )


def open_two(write: Write, settings: KbSettings) -> KnowledgeBase:
    write("a/b/gato.md", "---\nidioma: es\n---\n## Gato\n\nEl gato duerme.\n")
    write("a/b/barco.md", "---\nidioma: es\n---\n## Barco\n\nEl barco zarpa.\n")
    base = KnowledgeBase.open(settings)
    base.embed()
    return base


def first_of(base: KnowledgeBase, text: str, **how: Any) -> str:
    hits = base.search("kb://a/b", text, **how).hits
    return hits[0].passage.source if hits else ""


def wait_until(true: Callable[[], bool], within_s: float = 60.0) -> None:
    ends = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_vector_finds_what_words_cannot(
    write: Write, settings: KbSettings, embedder: HttpEmbedder, server: EmbeddingServer
) -> None:
    base = open_two(write, replace(settings, embedder=embedder))

    hit = base.search("kb://a/b", "un minino cualquiera", min_score=0.0).hits[0]

    assert hit.passage.source == "gato.md"
    assert hit.vector is not None
    assert hit.vector > 0.5
    assert server.key == "Bearer secret"
    assert base.waits
    assert base.fault() == ""
    assert first_of(base, "un minino cualquiera", vectors=False, min_score=0.0) == ""
    asked = len(server.texts)
    assert first_of(base, "hola, buenas tardes") == ""
    assert len(server.texts) == asked
    base.close()


def test_questions_and_passages_have_the_prefixes_that_a_model_wants(
    write: Write, settings: KbSettings, server: EmbeddingServer
) -> None:
    prefixed = settings_of(server, query_prefix="query: ", passage_prefix="passage: ")
    base = open_two(write, replace(settings, embedder=HttpEmbedder(prefixed, {})))
    assert {"\n" in text for text in server.texts if text.startswith("passage: ")} == {True}
    assert {"\n" in text for text in server.texts if text.startswith("query: ")} == {False}

    first_of(base, "un velero")

    assert server.texts[-1] == "query: un velero"
    assert server.key == ""
    base.close()


def test_vectors_are_made_once(
    write: Write, settings: KbSettings, embedder: HttpEmbedder, server: EmbeddingServer
) -> None:
    with_vectors = replace(settings, embedder=embedder)
    open_two(write, with_vectors).close()
    write("a/b/tren.md", "---\nidioma: es\n---\n## Tren\n\nEl tren sale.\n")

    base = KnowledgeBase.open(with_vectors)
    told: list[tuple[int, int]] = []
    base.embed(lambda done, total: told.append((done, total)))
    base.embed()

    assert len([each for each in server.texts if "\n" in each]) == 3
    assert told == [(1, 1)]
    base.close()


def test_a_watched_change_gets_its_vector_and_a_reader_sees_it(
    write: Write, settings: KbSettings, embedder: HttpEmbedder
) -> None:
    with_vectors = replace(settings, embedder=embedder)
    writer = open_two(write, with_vectors)
    reader = KnowledgeBase.open(with_vectors)
    writer.watch()
    reader.watch()

    write("a/b/perro.md", "---\nidioma: es\n---\n## Velero\n\nZarpa el sábado.\n")

    for base in (writer, reader):
        wait_until(
            lambda base=base: (
                "perro.md"  # type: ignore[misc]
                in {
                    hit.passage.source
                    for hit in base.search("kb://a/b", "un navío", min_score=0.0).hits
                }
            )
        )
    reader.close()
    writer.close()


def test_search_goes_on_with_words_while_the_server_fails(
    write: Write,
    settings: KbSettings,
    embedder: HttpEmbedder,
    server: EmbeddingServer,
    clock: Clock,
) -> None:
    base = open_two(write, replace(settings, embedder=embedder))
    server.status = 500

    hit = base.search("kb://a/b", "dónde duerme el gato").hits[0]

    assert (hit.passage.source, hit.vector) == ("gato.md", None)
    assert base.fault() == "words alone are searched: the embedding server answered 500"
    asked = len(server.texts)
    first_of(base, "dónde duerme el gato")
    assert len(server.texts) == asked, "a server that just failed was asked again"

    server.status = 200
    clock.now_s += 60
    assert first_of(base, "un minino cualquiera", min_score=0.0) == "gato.md"
    assert (base.fault(), embedder.failures) == ("", 1)
    base.close()


def test_a_server_away_at_the_start_leaves_words_and_gives_vectors_later(
    write: Write,
    settings: KbSettings,
    embedder: HttpEmbedder,
    server: EmbeddingServer,
    clock: Clock,
) -> None:
    server.status = 503
    base = open_two(write, replace(settings, embedder=embedder))
    assert first_of(base, "dónde duerme el gato") == "gato.md"
    assert "503" in base.fault()
    server.status = 200
    clock.now_s += 60

    base.embed()

    assert first_of(base, "un minino cualquiera", min_score=0.0) == "gato.md"
    assert base.fault() == ""
    base.close()


def test_a_model_that_changed_under_its_name_is_told_and_words_go_on(
    write: Write, settings: KbSettings, embedder: HttpEmbedder, server: EmbeddingServer
) -> None:
    base = open_two(write, replace(settings, embedder=embedder))
    server.more = (0.2,)
    write("a/b/tren.md", "---\nidioma: es\n---\n## Tren\n\nEl tren sale.\n")
    base.refresh()

    base.embed()

    assert "changed its vectors' length; give it another name" in base.fault()
    assert first_of(base, "dónde duerme el gato") == "gato.md"
    base.close()


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host/v1", "http://me:secret@host/v1"])
def test_an_address_that_cannot_be_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Server(url=url)

    assert "secret" not in str(refused.value)


def test_a_slow_server_is_sent_half_as_many_until_it_keeps_up(server: EmbeddingServer) -> None:
    server.most_at_once = 20
    embedder = HttpEmbedder(settings_of(server, indexing_timeout_s=0.3), {})

    rows = embedder.embed_passages([f"gato {each}" for each in range(70)])

    server.let_go.set()
    assert rows.shape[0] == 70
    assert (embedder.fault, embedder.failures) == ("", 0)
    assert max(len(each) for each in server.answered) == 16


def test_a_passage_of_several_windows_counts_once_by_its_nearest(
    write: Write, settings: KbSettings, embedder: HttpEmbedder
) -> None:
    base = open_two(write, replace(settings, embedder=embedder))
    long = "El velero sale los lunes y los jueves por la tarde. " * 10
    write("a/b/largo.md", f"---\nidioma: es\n---\n## Salidas\n\n{long}\n\nEl gato no viaja.\n")
    base.refresh()
    base.embed()
    index = base.view("kb://a/b").vectors
    assert index is not None

    near = index.nearest(embedder.embed_query("un minino"), "es", 10)

    assert len(index) > len(near) == 3
    assert near[0].beyond > 0.0 > near[-1].cosine
    standings = [each.standing for each in near]
    assert standings == sorted(standings, reverse=True)
    assert standings[0] > 0.0
    base.close()


@pytest.mark.parametrize(("sections", "compared"), [(60, True), (3, False)])
def test_passages_of_other_trades_are_embedded_beside_a_collection_of_some_size(
    write: Write,
    settings: KbSettings,
    embedder: HttpEmbedder,
    server: EmbeddingServer,
    sections: int,
    compared: bool,
) -> None:
    text = "\n\n".join(f"## Gato {each}\n\nEl gato {each} duerme." for each in range(sections))
    write("a/b/gatos.md", f"---\nidioma: es\n---\n{text}\n")
    base = KnowledgeBase.open(replace(settings, embedder=embedder))
    base.embed()

    index = base.view("kb://a/b").vectors

    assert index is not None
    assert (len(index), index.tells) == (sections, compared)
    assert any(each.startswith("Atasco en la calle.") for each in server.texts) is compared
    base.close()


def test_a_callers_phrase_is_embedded_so_one_like_it_in_no_word_finds_the_passage(
    write: Write, settings: KbSettings, embedder: HttpEmbedder
) -> None:
    phrases = "frases:\n  Felinos:\n    - a qué hora sale el velero\n"
    write("a/b/horas.md", f"---\nidioma: es\n{phrases}---\n## Felinos\n\nDuermen de día.\n")
    write("a/b/otras.md", "---\nidioma: es\n---\n## Mesas\n\nHay sitio siempre.\n")
    base = KnowledgeBase.open(replace(settings, embedder=embedder))
    base.embed()

    assert first_of(base, "cuándo zarpa un navío", min_score=0.0) == "horas.md"
    base.close()
