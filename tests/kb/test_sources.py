"""Every kind of file gives its passages; a broken one says why."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import docx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.passage import Passage
from kb.sections import cut_passages
from kb.sources.blocks import Block, FileContent
from kb.sources.front_matter import FrontMatter, UnreadableFile, parse_front_matter
from kb.sources.html import read_html
from kb.sources.mail import read_mail
from kb.sources.markdown import read_markdown
from kb.sources.office import read_office
from kb.sources.pdf import read_pdf
from kb.sources.records import read_csv, read_json
from kb.sources.text import read_text
from kb.sources.xml import read_xml


pytestmark = pytest.mark.pure


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
    assert passages[0].text == "Texto útil.\na | b\n1 | 2"


def test_docx_keeps_headings_and_tables() -> None:
    document = docx.Document()
    document.add_heading("Bajas", 1)
    document.add_paragraph("La baja es gratis.")
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "a", "b"
    file = io.BytesIO()
    document.save(file)

    passages = cut(read_office(file.getvalue(), FrontMatter()))

    assert [(p.heading, p.text) for p in passages] == [(("Bajas",), "La baja es gratis.\na | b")]


OFFICE = Path(__file__).parent / "office"
"""Written by LibreOffice 7.4 from one document, one sheet and one slide."""


@pytest.mark.parametrize("kind", ["odt", "rtf", "doc", "epub"])
def test_every_word_processor_keeps_headings_lists_and_nested_tables(kind: str) -> None:
    content = read_office((OFFICE / f"bajas.{kind}").read_bytes(), FrontMatter())
    passages = cut(content)

    assert [passage.text.split("\n")[0] for passage in passages][-2:] == [
        "La baja es gratis.",
        "Son quince días.",
    ]
    assert passages[-1].heading[-1] == "Plazo de baja"
    assert "Última factura" in passages[-1].text
    assert passages[-1].text.endswith("Concepto | Precio\nAlta | 45,50 €\nCorte | 30 € más IVA")


@pytest.mark.parametrize("kind", ["xlsx", "ods"])
def test_a_sheet_is_a_table(kind: str) -> None:
    content = read_office((OFFICE / f"precios.{kind}").read_bytes(), FrontMatter())

    assert [block.text for block in content.blocks] == [
        "Concepto | Precio | Descuento\nAlta | 499.5 | 0.15\nBaja | 0 | 0"
    ]


@pytest.mark.parametrize("kind", ["pptx", "odp"])
def test_slides_are_read_in_order(kind: str) -> None:
    content = read_office((OFFICE / f"aviso.{kind}").read_bytes(), FrontMatter())

    assert [block.text for block in content.blocks] == ["Cita previa", "Se pide por teléfono."]


def test_html_within_markdown_is_text() -> None:
    content = read_markdown(
        "## Pagos\n\n<details><summary>¿Cómo pago?</summary>\n\nPor **banco**.\n\n</details>\n\n"
        '<div class="nota">{% include aviso.html %}\n<p>Sin comisión.</p></div>\n\n'
        "<table><tr><td>Alta</td><td>45 €</td></tr></table>\n\nFin.{: .corto}\n"
    )

    assert [(b.kind, b.text, b.position) for b in content.blocks] == [
        ("heading", "Pagos", "line 1"),
        ("heading", "¿Cómo pago?", "line 1"),
        ("paragraph", "Por banco.", "line 5"),
        ("paragraph", "Sin comisión.", "line 5"),
        ("table", "Alta | 45 €", "line 5"),
        ("paragraph", "Fin.", "line 14"),
    ]


def test_a_heading_with_nothing_under_it_is_text() -> None:
    content = read_html(
        "<h2>Garantía</h2><h3>Motor</h3><h3>5 años</h3><h3>Filtro</h3><p>Un año.</p><h2>Fin</h2>",
        FrontMatter(),
    )

    assert [(p.heading, p.text) for p in cut(content)] == [
        (("Garantía",), "Motor\n5 años"),
        (("Garantía", "Filtro"), "Un año.\nFin"),
    ]


def test_nested_lists_and_tables_are_told_once() -> None:
    content = read_html(
        "<ul><li>uno<ul><li>dos</li></ul></li><li>tres</li></ul>"
        "<table><tr><td>a</td><td><table><tr><td>b</td><td>c</td></tr></table></td></tr></table>"
        "<dl><dt>Plazo</dt><dd>un mes</dd></dl>",
        FrontMatter(),
    )

    assert [block.text for block in content.blocks] == [
        "- uno\n- dos\n- tres",
        "a | b c",
        "- Plazo: un mes",
    ]


def test_a_long_table_is_cut_between_rows_under_its_first() -> None:
    rows = "\n".join(f"Tasa {n} | {n} €" for n in range(40))
    content = FileContent("t", "es", (Block("table", f"Tasa | Precio\n{rows}", "block 1"),))

    passages = cut(content, max_chars=120)

    assert len(passages) > 4
    assert {passage.text.split("\n")[0] for passage in passages} == {"Tasa | Precio"}
    assert all(any(f"Tasa {n} | {n} €" in p.text for p in passages) for n in range(40))


def test_marks_of_fonts_are_not_spoken() -> None:
    assert read_text("la \ufb01cha \uf0b7 de\u00admás\n").blocks[0].text == "la ficha - demás"


def test_mail_and_xml_are_read() -> None:
    mail = read_mail(
        b"Subject: Cambio de horario\nFrom: a@b.c\n\nAbrimos a las nueve.\n", FrontMatter()
    )
    xml = read_xml(b"<p><o><nombre>Vigo</nombre><tel>986</tel></o></p>", FrontMatter())

    assert [block.text for block in mail.blocks] == ["Cambio de horario", "Abrimos a las nueve."]
    assert [block.text for block in xml.blocks] == ["nombre: Vigo. tel: 986"]


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


def test_a_bad_row_or_line_loses_itself_alone() -> None:
    table = read_csv("a,b\n1,2\n3,4,5\n6,7\n", FrontMatter())
    lines = read_json(b'{"a": 1}\n{oops\n{"a": 3}\n', FrontMatter())

    assert [record.fields["a"] for record in table.records] == [1, 6]
    assert table.lacking == "row 3 has more cells than the header; quote the separator"
    assert [record.fields["a"] for record in lines.records] == [1, 3]
    assert lines.lacking.startswith("line 2 is not valid JSON")


def test_a_table_without_header_keeps_its_first_row() -> None:
    table = read_csv("Vigo,986 11 22 33\nLugo,982 11 22 33\n", FrontMatter())

    assert [record.fields["columna 1"] for record in table.records] == ["Vigo", "Lugo"]
    assert "names no columns" in table.lacking


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
        (lambda: read_office(b"PK rubbish", FrontMatter()), "cannot be read"),
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
def test_cutting_loses_no_letter(parts: list[tuple[str, str]], max_chars: int) -> None:
    blocks = tuple(Block(kind, text, "line 1") for kind, text in parts)  # type: ignore[arg-type]
    passages = cut(FileContent("t", "es", blocks), max_chars)

    told = Counter("".join(passage.text for passage in passages))
    given = Counter("".join(text for _, text in parts))
    assert {letter for letter in "ab." if told[letter] < given[letter]} == set()
    if all(kind != "table" for kind, _ in parts):  # a cut table's first row heads each part
        assert {letter for letter in "ab." if told[letter] != given[letter]} == set()
    assert len({passage.id for passage in passages}) == len(passages)
