"""The measure of faithfulness tells a true answer from an invented one."""

from __future__ import annotations

import pytest

from tests.bench.faithfulness import check_facts


pytestmark = pytest.mark.pure

SHOWN = (
    "Ahora es lunes 30 de noviembre de 2026. - Cuota: «La cuota es de 7,35 euros al mes, se cobra "
    "el quince de enero y la explica Lucía Ortega en la oficina» (fuente: tarifas.md)"
)


@pytest.mark.parametrize(
    ("answer", "unsupported"),
    [
        ("Son 7,35 euros al mes.", set()),
        ("Son siete con treinta y cinco euros.", set()),
        ("Se cobra el 15 de enero.", set()),
        ("Pregunte por Lucía Ortega.", set()),
        ("Eso no consta en los documentos.", set()),
        ("Son 9,35 euros al mes.", {"9.35"}),
        ("Se cobra el 16 de enero.", {"16ener"}),
        ("Se cobra el 15 de enero de 2022.", {"2022"}),
        ("Pregunte por Marta Ruiz.", {"marta", "ruiz"}),
    ],
)
def test_a_fact_is_supported_when_it_was_shown(answer: str, unsupported: set[str]) -> None:
    assert check_facts(answer, SHOWN, "es").unsupported == unsupported
