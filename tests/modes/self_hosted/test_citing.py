"""Which passages an answer rests on."""

from __future__ import annotations

import pytest

from brain.analysis import Excerpt
from modes.self_hosted.house import cite


pytestmark = pytest.mark.pure

FEE = Excerpt("fee", "Tarifas / Cuota", "La cuota es de 7,35 euros al mes. Baja: gratis.")
LEAVE = Excerpt("leave", "Tarifas / Baja", "La baja es gratis. Cuota: La cuota es de 7,35 euros.")
OFFICE = Excerpt("office", "Oficinas / Riofrío", "La oficina de Riofrío abre de nueve a dos.")


@pytest.mark.parametrize(
    ("answer", "cited"),
    [
        ("La cuota es de siete con treinta y cinco euros.", ["fee"]),
        ("Darse de baja es gratis.", ["leave"]),
        ("La cuota son 7,35 euros y la oficina de Riofrío abre de 9 a 2.", ["fee", "office"]),
        ("Buenos días, dígame.", []),
        ("Eso no consta.", []),
        ("", []),
    ],
)
def test_an_answer_is_cited_by_the_passage_whose_subject_it_is(
    answer: str, cited: list[str]
) -> None:
    for found in ((FEE, LEAVE, OFFICE), (OFFICE, LEAVE, FEE)):
        assert sorted(each.id for each in cite(answer, found, "es")) == sorted(cited)
