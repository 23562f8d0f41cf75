"""Every kind of file gives its passages; a broken one says why."""

from __future__ import annotations

import io

import docx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.passage import Passage
from kb.sections import cut_passages
from kb.sources.blocks import Block, FileContent, UnreadableFile
from kb.sources.front_matter import FrontMatter, parse_front_matter
from kb.sources.html import read_html
from kb.sources.markdown import read_markdown
from kb.sources.office import read_docx, read_pdf
from kb.sources.records import read_csv, read_json
from kb.sources.text import read_text


def cut(content: FileContent, max_chars: int = 900) -> list[Passage]:
    passages, _ = cut_passages(content, ref="kb://a/b", source="f.md", max_chars=max_chars)
    return passages


def build_pdf(lines: list[str]) -> bytes:
    """A one-page PDF, written by hand."""
    text = " T* ".join(f"({line}) Tj" for line in lines)
    stream = f"BT /F1 12 Tf 14 TL 50 700 Td {text} ET".encode("latin-1")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, io.SEEK_END)
    places = []
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 6\n0000000000 65535 f \n")
    out.writelines(b"%010d 00000 n \n" % place for place in places)
    out.write(b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start)
    return out.getvalue()


def test_markdown_keeps_headings_tables_lists_and_lines() -> None:
    passages = cut(
        read_markdown(
            "---\nidioma: es\n---\n# Guía\n\n## Precios\n\nHay dos.\n\n"
            "| a | b |\n|---|---|\n| 1 | 2 |\n\n- uno\n- dos\n"
        )
    )

    assert [passage.heading for passage in passages] == [("Guía", "Precios")]
    assert passages[0].text == "Hay dos.\na | b\n1 | 2\n- uno\n- dos"
    assert passages[0].position == "line 8"
    assert passages[0].speakable == "Hay dos."


def test_questions_and_words_are_bound_to_their_heading() -> None:
    content = read_markdown(
        "---\npreguntas:\n  Horario:\n    - a qué hora abren\n  Nada: [x]\n"
        "palabras:\n  Horario: abierto cerrado\n"
        "frases:\n  Horario: [hasta qué hora están]\n---\n## Horario\n\nDe nueve a dos.\n"
    )
    passages, missing = cut_passages(content, ref="kb://a/b", source="f.md", max_chars=900)

    assert passages[0].questions == ("a qué hora abren",)
    assert passages[0].words == "abierto cerrado"
    assert passages[0].phrases == ("hasta qué hora están",)
    assert missing == ["Nada"]


def test_html_leaves_navigation_out() -> None:
    passages = cut(
        read_html(
            "<html lang=es><title>T</title><body><nav>Inicio</nav><main><h1>Ayuda</h1>"
            "<p>Texto <b>útil</b>.</p><table><tr><th>a<td>b<tr><td>1<td>2</table></main>"
            "<footer>Pie</footer></body></html>",
            FrontMatter(),
        )
    )

    assert [(p.heading, p.language) for p in passages] == [(("Ayuda",), "es")]
    assert passages[0].text == "Texto útil .\na | b\n1 | 2"


def test_docx_keeps_headings_and_tables() -> None:
    document = docx.Document()
    document.add_heading("Bajas", 1)
    document.add_paragraph("La baja es gratis.")
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "a", "b"
    file = io.BytesIO()
    document.save(file)

    passages = cut(read_docx(file.getvalue(), FrontMatter()))

    assert [(p.heading, p.text) for p in passages] == [(("Bajas",), "La baja es gratis.\na | b")]


def test_pdf_text_comes_with_its_page() -> None:
    content = read_pdf(build_pdf(["La baja del contrato", "es gratis."]), FrontMatter())

    assert [(b.text, b.position) for b in content.blocks] == [
        ("La baja del contrato es gratis.", "page 1")
    ]


def test_plain_text_headings_are_underlined() -> None:
    passages = cut(read_text("Guía\n====\n\nUno\ndos.\n\nTres.\n"))

    assert [(p.heading, p.text, p.position) for p in passages] == [
        (("Guía",), "Uno dos.\nTres.", "line 4")
    ]


def test_a_record_has_typed_fields_and_is_said_as_told() -> None:
    matter = parse_front_matter(
        "identificadores: [numero]\ntipos: {importe: importe_eur, vence: fecha}\n"
        'hablado: "La {numero} es de {importe} y vence el {vence}."\n'
    )
    record = read_csv("numero,importe,vence\nF-1,84.35,2025-01-15\n", matter).records[0]

    assert record.fields == {"numero": "F-1", "importe": 84.35, "vence": "2025-01-15"}
    assert record.speakable == "La F-1 es de 84,35 euros y vence el 15 de enero de 2025."
    assert (record.name, record.position) == ("F-1", "row 2")


def test_json_lines_and_lists_are_records() -> None:
    listed = read_json(b'[{"a": 1, "b": {"c": true}}]', FrontMatter())
    lines = read_json(b'{"a": 1}\n{"a": 2}\n', FrontMatter())

    assert listed.records[0].fields == {"a": 1, "b.c": True}
    assert [record.fields["a"] for record in lines.records] == [1, 2]


@pytest.mark.parametrize(
    ("read", "reason"),
    [
        (lambda: read_markdown("---\ntitulo: x\n"), "never closed"),
        (lambda: read_markdown("---\na: [\n---\nx"), "not valid YAML on line"),
        (lambda: read_markdown("---\nidioma: fr\n---\nx"), "es or en"),
        (lambda: read_csv("a,b\n1,2,3\n", FrontMatter()), "row 2 has more cells"),
        (lambda: read_json(b"{", FrontMatter()), "not valid JSON"),
        (lambda: read_json(b"[1]", FrontMatter()), "list of objects"),
        (lambda: read_pdf(b"%PDF-1.4 rubbish", FrontMatter()), "damaged"),
        (lambda: read_docx(b"PK rubbish", FrontMatter()), "Word document"),
    ],
)
def test_a_broken_file_says_why(read, reason: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UnreadableFile, match=reason):
        read()


@given(
    st.lists(
        st.tuples(st.sampled_from(["paragraph", "list", "table"]), st.text("ab. \n", min_size=1)),
        min_size=1,
        max_size=12,
    ),
    st.integers(10, 60),
)
def test_cutting_loses_no_letter_and_breaks_no_table(
    parts: list[tuple[str, str]], max_chars: int
) -> None:
    blocks = tuple(Block(kind, text, "line 1") for kind, text in parts)  # type: ignore[arg-type]
    passages = cut(FileContent("t", "es", blocks), max_chars)

    letters = "".join(passage.text for passage in passages)
    assert sorted(letters.replace(" ", "").replace("\n", "")) == sorted(
        "".join(text for _, text in parts).replace(" ", "").replace("\n", "")
    )
    for kind, text in parts:
        if kind == "table":
            assert any(text in passage.text for passage in passages)
    assert len({passage.id for passage in passages}) == len(passages)
