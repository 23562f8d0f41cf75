"""What hostile and foreign files do to the process that reads them, and to nothing else."""

from __future__ import annotations

import io
import os
import signal
import zipfile
import zlib
from pathlib import Path

import psutil
import pytest

from kb import KbSettings, KnowledgeBase
from kb.sources.front_matter import UnreadableFile
from kb.sources.reader import FileReader


pytestmark = pytest.mark.process


@pytest.fixture
def reader() -> FileReader:
    return FileReader()


@pytest.fixture(autouse=True)
def closed(reader: FileReader):  # type: ignore[no-untyped-def]
    yield
    reader.close()


def child_of(reader: FileReader) -> int:
    assert reader._child is not None
    return reader._child.pid


def zip_bomb() -> bytes:
    """A Word document whose text unpacks to 300 MiB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "[Content_Types].xml",
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-'
            'officedocument.wordprocessingml.document.main+xml"/></Types>',
        )
        archive.writestr(
            "_rels/.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            '<Relationship Id="r" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
            'relationships/officeDocument" Target="word/document.xml"/></Relationships>',
        )
        with archive.open("word/document.xml", "w", force_zip64=True) as part:
            part.write(b"<w:document>")
            for _ in range(300):
                part.write(b" " * (1 << 20))
    return file.getvalue()


def layered_pdf() -> bytes:
    """1 GiB of a page's content behind two layers of Flate, in about two kilobytes."""
    inner = zlib.compressobj()
    once = b"".join(inner.compress(b" " * (1 << 20)) for _ in range(1024)) + inner.flush()
    twice = zlib.compress(once)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R >>",
        b"<< /Length %d /Filter [/FlateDecode /FlateDecode] >>\nstream\n%s\nendstream"
        % (len(twice), twice),
    ]
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 5\n0000000000 65535 f \n"
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start
    return bytes(out)


ENTITIES = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">'
    '<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><r>&b;</r>'
)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("bomb.docx", zip_bomb, "unpacks|cannot be read"),
        ("layers.pdf", layered_pdf, "too heavy|pictures of text only|damaged"),
        ("deep.html", lambda: b"<div>" * 200_000 + b"x", "256 deep"),
        ("deep.md", lambda: b"<div>" * 200_000 + b"x", "256 deep"),
        ("entities.xml", lambda: ENTITIES.encode(), "document type"),
        ("empty.pdf", lambda: b"", "damaged"),
        ("cut.docx", lambda: zip_bomb()[:300], "cannot be read"),
        ("notext.txt", lambda: b"\x00\x01\x02\xff", "not a text file"),
    ],
)
def test_a_hostile_file_is_named_and_the_next_is_read(
    tmp_path: Path, reader: FileReader, name: str, data, reason: str
) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / name).write_bytes(data())
    (tmp_path / "good.md").write_text("# Hola\n\nTexto.\n")

    with pytest.raises(UnreadableFile, match=reason):
        reader.read(tmp_path / name)

    assert [block.text for block in reader.read(tmp_path / "good.md").blocks] == ["Hola", "Texto."]


def test_a_file_has_a_limit_of_memory(tmp_path: Path, reader: FileReader) -> None:
    (tmp_path / "big.txt").write_text("a")
    reader.read(tmp_path / "big.txt")

    limit, _ = psutil.Process(child_of(reader)).rlimit(psutil.RLIMIT_AS)

    assert limit == 2 << 30


def test_a_child_killed_in_between_is_replaced(tmp_path: Path, reader: FileReader) -> None:
    (tmp_path / "a.txt").write_text("uno")
    reader.read(tmp_path / "a.txt")
    killed = child_of(reader)

    os.kill(killed, signal.SIGKILL)
    content = reader.read(tmp_path / "a.txt")

    assert content.blocks[0].text == "uno"
    assert child_of(reader) != killed


def test_a_parser_that_hangs_is_ended(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    reader = FileReader(wall_s=0.3)

    with pytest.raises(UnreadableFile, match="too heavy"):
        reader.read(tmp_path / "pipe.txt")

    reader.close()


def test_the_child_has_no_secret_of_the_gateway(
    tmp_path: Path, reader: FileReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-parsers")
    (tmp_path / "a.txt").write_text("uno")
    reader.read(tmp_path / "a.txt")

    assert "OPENAI_API_KEY" not in psutil.Process(child_of(reader)).environ()


def test_every_file_is_served_or_named_with_its_remedy(tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    folder = documents / "Acme" / "Atención al cliente"
    folder.mkdir(parents=True)
    (folder / "HORARIO.MD").write_text("# Horario\n\nDe nueve a dos.\n")
    (folder / "plano.png").write_bytes(b"\x89PNG")
    (folder / "datos.parquet").write_bytes(b"PAR1")
    (folder / "LEEME").write_text("hola")
    (folder / "fuera.txt").symlink_to("/etc/hostname")
    (folder / "carpeta").symlink_to("/etc")
    (folder / "roto.txt").symlink_to(tmp_path / "nada")
    os.mkfifo(folder / "tubo.txt")
    (folder / ".oculto.md").write_text("no")
    (documents / "suelto.pdf").write_bytes(b"%PDF")
    (documents / "Acme" / "suelto.docx").write_bytes(b"PK")

    kb = KnowledgeBase.open(KbSettings(documents=documents, index=tmp_path / "index"))
    found = kb.search("kb://acme/atencion-al-cliente", "qué horario tienen").hits
    problems = {problem.file: problem.reason for problem in kb.problems()}
    kb.close()

    assert [hit.passage.text for hit in found] == ["De nueve a dos."]
    here = "acme/atencion-al-cliente"
    assert {name: reason.partition(";")[2] != "" for name, reason in problems.items()} == {
        f"{here}/plano.png": True,
        f"{here}/datos.parquet": True,
        f"{here}/LEEME": True,
        f"{here}/fuera.txt": True,
        f"{here}/carpeta": True,
        f"{here}/roto.txt": True,
        f"{here}/tubo.txt": True,
        "suelto.pdf": True,
        "Acme/suelto.docx": True,
    }
    assert "leads out of the folder" in problems[f"{here}/fuera.txt"]
