"""The knowledge base as its callers use it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as configure
from hypothesis import strategies as st

from kb import IndexUnavailable, KbSettings, KnowledgeBase, UnknownCollection, open_warm
from tests.kb.conftest import ROOT, SAMPLE, Write


pytestmark = pytest.mark.process


Open = Callable[[], KnowledgeBase]
BAJA = "---\nidioma: es\n---\n## Baja\n\nLa baja del contrato es gratuita.\n"


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Poll an observable state; how soon it came is asserted by the caller where it matters."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if holds():
            return True
        pause.wait(0.02)
    return holds()


def test_the_specifications_invoice_is_found_by_its_spelled_number(sample: KnowledgeBase) -> None:
    result = sample.search(
        SAMPLE,
        "cuándo vence la factura efe dos mil veinticuatro guion mil doscientos treinta y cuatro",
    )

    passage = result.hits[0].passage
    assert (passage.source, passage.position) == ("facturas.csv", "row 2")
    assert passage.fields["importe"] == 1500.0
    assert passage.fields["vencimiento"] == "2025-01-15"
    assert "15 de enero de 2025" in passage.speakable
    assert 0.5 <= result.hits[0].score <= 1.0


def test_a_quoted_passage_holds_until_the_documents_say_something_else(
    write: Write, open_kb: Open
) -> None:
    write("empresa/documentos/baja.md", BAJA)
    base = open_kb()
    [hit, *_] = base.search(SAMPLE, "baja del contrato").hits
    quoted = hit.passage.text
    assert base.holds(SAMPLE, hit.passage.id, quoted)
    assert base.holds(SAMPLE, hit.passage.id, quoted[:10] + "…"), "cut at its end"
    assert not base.holds(SAMPLE, "baja.md#otra", quoted)
    assert not base.holds("kb://empresa/otra", hit.passage.id, quoted)
    write("empresa/documentos/baja.md", BAJA.replace("gratuita", "de 20 euros"))
    base.refresh()
    assert not base.holds(SAMPLE, hit.passage.id, quoted)


def test_what_stands_beside_a_passage_is_of_the_same_chapter(sample: KnowledgeBase) -> None:
    hours = sample.search(SAMPLE, "horario de atención").hits[0].passage
    beside = sample.beside(hours)
    assert 1 <= len(beside) <= 2
    assert all(each.source == hours.source and each.id != hours.id for each in beside)
    assert {each.heading[0] for each in beside} == {hours.heading[0]}


def test_a_code_that_is_not_there_has_no_answer(sample: KnowledgeBase) -> None:
    result = sample.search(SAMPLE, "qué importe tiene la factura F-2024-9999")

    assert (result.relevant, result.hits) == (False, ())


@pytest.mark.parametrize(
    "said", ["hola buenas tardes", "buenos días", "muy buenas noches", "good evening", "gracias"]
)
def test_a_greeting_is_no_question(sample: KnowledgeBase, said: str) -> None:
    assert sample.search(SAMPLE, said, min_score=0.15).hits == ()


def test_a_greeting_in_front_changes_nothing(sample: KnowledgeBase) -> None:
    plain, greeted = (
        sample.search(SAMPLE, f"{before}qué recargo hay si pago tarde la factura")
        for before in ("", "hola buenas tardes ")
    )
    assert plain.relevant
    assert [each.passage.id for each in greeted.hits] == [each.passage.id for each in plain.hits]


def test_who_judges_for_itself_is_shown_what_is_only_likely(sample: KnowledgeBase) -> None:
    sure = sample.search(SAMPLE, "Su factura vence mañana.")
    likely = sample.search(SAMPLE, "Su factura vence mañana.", min_score=0.2)

    assert (sure.relevant, sure.hits) == (False, ())
    assert not likely.relevant
    assert likely.hits[0].passage.id == "facturas.md#plazo-de-pago"
    assert 0.2 <= likely.hits[0].score < 0.5


@pytest.mark.parametrize("language", ["es", "en"])
def test_every_listed_question_finds_its_own_passage(sample: KnowledgeBase, language: str) -> None:
    asked = sample.questions(SAMPLE, "en" if language == "en" else "es")

    found = {each.text: sample.search(SAMPLE, each.text).hits[0].passage.id for each in asked}

    assert len(asked) >= (10 if language == "en" else 60)
    assert found == {each.text: each.passage_id for each in asked}


@pytest.mark.parametrize(
    ("asked", "listed"),
    [
        ("qué plazo tengo para pagar", "facturas.md#plazo-de-pago"),
        ("Oiga, ¿y qué plazo tengo yo para pagar?", "facturas.md#plazo-de-pago"),
        ("ke plaso tengo para pagar", "facturas.md#plazo-de-pago"),
        ("qué plazo tengo para pagar la factura", "facturas.md#plazo-de-pago"),
    ],
)
def test_a_listed_question_said_a_little_otherwise_is_the_same(
    sample: KnowledgeBase, asked: str, listed: str
) -> None:
    hit = sample.search(SAMPLE, asked).hits[0]

    assert hit.passage.id == listed
    assert hit.score >= 0.9


def test_a_listed_question_is_certain(sample: KnowledgeBase) -> None:
    for each in sample.questions(SAMPLE, "es"):
        assert sample.search(SAMPLE, each.text).hits[0].score >= 0.95


def test_a_phrase_is_searched_and_never_listed(sample: KnowledgeBase) -> None:
    listed = {each.text for each in sample.questions(SAMPLE, "es")}

    hit = sample.search(SAMPLE, "se fue la luz").hits[0]

    assert hit.passage.id == "averias.md#sin-luz"
    assert "se fue la luz" not in listed


def test_the_only_passage_of_a_collection_answers_what_it_tells(
    open_kb: Open, write: Write
) -> None:
    """Its words are in every passage there is, and are no everyday words for that."""
    write("taller/manual/baja.md", "## Baja\n\nLa baja del contrato es gratuita.\n")
    base = open_kb()

    assert base.search("kb://taller/manual", "cómo doy de baja el contrato").relevant
    assert not base.search("kb://taller/manual", "a qué hora abre el museo").relevant
    assert not base.search("kb://taller/manual", "dónde compro un contrato de seguro").relevant


def test_the_sample_is_whole(sample: KnowledgeBase) -> None:
    info = sample.collections()[0]

    assert (info.ref, info.problems) == (SAMPLE, 0)
    assert info.passages >= 300


def test_filters_narrow_by_field_range_and_source(sample: KnowledgeBase) -> None:
    def find(**filters: object) -> list[dict[str, object]]:
        result = sample.search(
            SAMPLE,
            "factura electricidad pendiente importe",
            filters=filters,  # type: ignore[arg-type]
            limit=12,
        )
        return [dict(hit.passage.fields) for hit in result.hits]

    owed = find(estado="pendiente")
    assert owed
    assert {row["estado"] for row in owed} == {"pendiente"}
    dear = find(importe=(1000.0, None))
    assert [row["numero"] for row in dear] == ["F-2024-1234"]
    assert find(source="averias.md") == [] or all(not row for row in find(source="averias.md"))


@pytest.mark.parametrize(
    "ref", ["", "empresa/documentos", "kb://empresa/otra", "kb://empresa/../empresa/documentos"]
)
def test_an_unknown_reference_is_named(sample: KnowledgeBase, ref: str) -> None:
    with pytest.raises(UnknownCollection, match="kb://company/collection"):
        sample.search(ref, "hola")


WORDS = ["zafiro", "jilguero", "membrillo", "paraguas", "trébol", "locomotora", "bisagra", "cometa"]


@configure(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(WORDS), st.integers(0, 3), min_size=2))
def test_one_collection_never_shows_in_another(
    tmp_path_factory: pytest.TempPathFactory, owners: dict[str, int]
) -> None:
    folder = tmp_path_factory.mktemp("tenants")
    refs = [("ana", "uno"), ("ana", "dos"), ("bea", "uno"), ("bea", "dos")]
    for company, name in refs:
        (folder / "d" / company / name).mkdir(parents=True)
    for word, owner in owners.items():
        company, name = refs[owner]
        path = folder / "d" / company / name / f"{word}.md"
        path.write_text(f"---\nidioma: es\n---\n## El {word}\n\nEl {word} está aquí.\n")
    base = KnowledgeBase.open(KbSettings(folder / "d", folder / "i", relevance=0.0))
    try:
        for company, name in refs:
            ref = f"kb://{company}/{name}"
            for word in owners:
                result = base.search(ref, word)
                assert {hit.passage.ref for hit in result.hits} <= {ref}
                if refs[owners[word]] != (company, name):
                    assert all(word not in hit.passage.text for hit in result.hits)
                else:
                    assert result.hits[0].passage.text == f"El {word} está aquí."
    finally:
        base.close()


def test_a_broken_file_is_named_and_the_rest_serves(open_kb: Open, write: Write) -> None:
    write("a/b/rota.pdf", b"%PDF-1.4 nothing")
    write("a/b/baja.md", BAJA)

    base = open_kb()

    assert base.search("kb://a/b", "dar de baja el contrato").relevant
    assert [problem.file for problem in base.problems()] == ["a/b/rota.pdf"]
    assert "damaged" in base.problems()[0].reason


def test_a_file_that_breaks_keeps_serving_what_it_said(open_kb: Open, write: Write) -> None:
    write("a/b/baja.md", BAJA)
    base = open_kb()
    write("a/b/baja.md", "---\nidioma: fr\n---\n## Baja\n\nOtra cosa.\n")

    base.refresh()

    assert base.search("kb://a/b", "baja del contrato").hits[0].passage.text.startswith("La baja")
    assert "es or en" in base.problems()[0].reason


def test_a_changed_file_replaces_its_passages_only(open_kb: Open, write: Write) -> None:
    write("a/b/baja.md", BAJA)
    write("a/b/alta.md", BAJA.replace("baja", "alta").replace("Baja", "Alta"))
    base = open_kb()
    path = write("a/b/baja.md", BAJA.replace("gratuita", "cara"))
    os.utime(path, ns=(1, 1))

    base.refresh()

    assert base.collections()[0].passages == 2
    assert "cara" in base.search("kb://a/b", "baja del contrato").hits[0].passage.text
    path.unlink()
    base.refresh()
    assert base.collections()[0].passages == 1


def test_a_watched_change_is_live_without_pausing_searches(open_kb: Open, write: Write) -> None:
    write("a/b/baja.md", BAJA)
    base = open_kb()
    base.watch()
    assert "kb-watch" in {thread.name for thread in threading.enumerate()}
    slowest = 0.0

    def is_live() -> bool:
        nonlocal slowest
        result = base.search("kb://a/b", "cuánto cuesta la mudanza")
        slowest = max(slowest, result.took_ms)
        return result.relevant

    write("a/b/mudanza.md", "## Mudanza\n\nLa mudanza cuesta diez euros.\n")
    assert wait_until(is_live)
    assert slowest < 500
    base.close()
    assert "kb-watch" not in {thread.name for thread in threading.enumerate()}


def test_a_second_opener_reads_follows_and_takes_over(open_kb: Open, write: Write) -> None:
    write("a/b/baja.md", BAJA)
    writer, reader = open_kb(), open_kb()
    assert (writer.is_writer, reader.is_writer) == (True, False)
    write("a/b/mudanza.md", "## Mudanza\n\nLa mudanza cuesta diez euros.\n")
    reader.refresh()
    assert not reader.search("kb://a/b", "la mudanza cuesta euros").relevant

    writer.refresh()
    reader.refresh()
    assert reader.search("kb://a/b", "cuánto cuesta la mudanza").relevant
    writer.close()
    reader.refresh()
    assert reader.is_writer


KILLED = """
import os, signal, sys
from pathlib import Path
import kb.indexer
from kb import KbSettings, KnowledgeBase
kb.indexer._COMMIT_EVERY = 5
def stop(done, total):
    if done == 12:
        os.kill(os.getpid(), signal.SIGKILL)
KnowledgeBase.open(KbSettings(Path(sys.argv[1]), Path(sys.argv[2])), stop)
"""


def test_an_indexer_killed_half_way_leaves_an_index_that_goes_on(
    open_kb: Open, write: Write, settings: KbSettings
) -> None:
    for number in range(20):
        write(f"a/b/{number:02d}.md", f"---\nidioma: es\n---\n## Tema {number}\n\nTexto zafiro.\n")
    command = [sys.executable, "-c", KILLED, str(settings.documents), str(settings.index)]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert killed.returncode == -9

    base = open_kb()

    assert base.is_writer
    assert base.collections()[0].passages == 20
    assert base.view("kb://a/b").searcher.num_docs == 40


def spoil_everything(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_bytes(b"spoilt")


def spoil_the_list(folder: Path) -> None:
    for path in folder.rglob("meta.json"):
        path.write_text('{"segments": [')


def lose_the_segments(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.suffix in (".store", ".idx", ".term", ".fast"):
            path.unlink()


def put_a_file_in_its_place(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("x")


@pytest.mark.parametrize(
    "spoil", [spoil_everything, spoil_the_list, lose_the_segments, put_a_file_in_its_place]
)
def test_a_spoilt_index_is_built_again_aside_and_said(
    documents: Path, tmp_path: Path, write: Write, spoil: Callable[[Path], None]
) -> None:
    write("a/b/baja.md", BAJA)
    settings = KbSettings(documents, tmp_path / "index")
    KnowledgeBase.open(settings).close()
    spoil(tmp_path / "index")

    base = open_warm(settings, watch=False, ref="kb://a/b")
    try:
        assert base.search("kb://a/b", "cómo es la baja del contrato").relevant
        assert "kb.index" in base.fault()
        assert "built again" in base.fault()
    finally:
        base.close()


def test_a_whole_index_is_opened_where_it_is(documents: Path, tmp_path: Path, write: Write) -> None:
    write("a/b/baja.md", BAJA)
    base = open_warm(KbSettings(documents, tmp_path / "index"), watch=False, ref="kb://a/b")
    assert base.fault() == ""
    base.close()


def test_an_index_folder_that_cannot_be_made_is_said(documents: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(IndexUnavailable, match=r"kb\.index"):
        KnowledgeBase.open(KbSettings(documents, tmp_path / "file" / "index"))
