"""The specification's two examples, word for word, and the rules behind them."""

from __future__ import annotations

import pytest

from brain.folio import ContextUpdate, CorrectionNote
from brain.render import render_correction, render_facts, render_update


SPECIFIED = ContextUpdate.model_validate(
    {
        "timestamp": "2025-12-18T10:30:00Z",
        "user_intent": "Consulta sobre factura pendiente",
        "relevant_data": {
            "factura_id": "F-2024-1234",
            "importe": 1500.00,
            "vencimiento": "2025-01-15",
            "estado": "pendiente",
        },
        "suggested_response_elements": [
            "Confirmar importe de la factura",
            "Mencionar fecha de vencimiento",
            "Ofrecer opciones de pago",
        ],
        "tone_guidance": "profesional pero cercano",
        "warnings": ["Cliente tiene 2 facturas mas pendientes - no mencionar a menos que pregunte"],
    }
)

SPECIFIED_BLOCK = """\
[CONTEXTO ACTUALIZADO - Turno 3]
El usuario pregunta por una factura. Datos relevantes:
- Factura F-2024-1234 por 1500 EUR
- Vence el 15 de enero 2025
- Estado: pendiente

En tu respuesta:
- Confirma el importe
- Menciona la fecha de vencimiento
- Ofrece opciones de pago

Tono: profesional pero cercano
Nota: El cliente tiene otras facturas pendientes, no las menciones a menos que pregunte."""

SPECIFIED_CORRECTION = """\
[CORRECCION NECESARIA]
En tu respuesta anterior mencionaste que la factura vence manana.
La fecha correcta es el 15 de enero.
Corrige esto de forma natural en tu proxima respuesta, sin disculparte excesivamente."""


def test_the_specifications_folio_renders_word_for_word() -> None:
    assert render_update(SPECIFIED, 3, "es") == SPECIFIED_BLOCK


def test_the_specifications_correction_renders_word_for_word() -> None:
    note = CorrectionNote(
        what_gpt_said="La factura vence manana", correct_info="La factura vence el 15 de enero"
    )
    assert render_correction(note, "es") == SPECIFIED_CORRECTION


def test_an_english_session_reads_english_blocks() -> None:
    update = ContextUpdate(
        user_intent="Ask about an invoice",
        relevant_data={"invoice_id": "F-2024-1234", "due_date": "2025-01-15", "amount": 1500.0},
        suggested_response_elements=("Confirm the amount",),
        tone_guidance="professional but warm",
        warnings=("Do not mention the other invoices",),
    )
    assert (
        render_update(update, 2, "en-GB")
        == """\
[UPDATED CONTEXT - Turn 2]
The caller wants: ask about an invoice. Relevant data:
- Invoice id: F-2024-1234
- Due date: 15 January 2025
- Amount: 1500

In your answer:
- Confirm the amount

Tone: professional but warm
Note: Do not mention the other invoices."""
    )


def test_an_english_correction_says_what_holds() -> None:
    note = CorrectionNote(
        what_gpt_said="The invoice is due tomorrow", correct_info="It is due on 15 January"
    )
    block = render_correction(note, "en")
    assert "you said that the invoice is due tomorrow." in block
    assert "What holds: It is due on 15 January." in block


@pytest.mark.parametrize(
    ("said", "correct", "line"),
    [
        ("Son 100 euros", "Son 1500 euros", "El importe correcto es 1500 euros."),
        ("Abrimos los domingos", "Cerramos los domingos", "Lo correcto es: Cerramos los domingos."),
        (
            "F-2024 está pagada",
            "F-2024 vence el 2 de mayo",
            "La fecha correcta es vence el 2 de mayo.",
        ),
    ],
)
def test_a_correction_names_what_was_wrong(said: str, correct: str, line: str) -> None:
    note = CorrectionNote(what_gpt_said=said, correct_info=correct)
    assert render_correction(note, "es").splitlines()[2] == line


def test_an_intent_that_fits_no_rule_stays_as_the_brain_wrote_it() -> None:
    update = ContextUpdate(user_intent="Quiere aplazar el pago dos semanas")
    assert render_update(update, 1, "es").splitlines()[1] == "Quiere aplazar el pago dos semanas."


def test_elements_that_are_no_infinitives_stay_as_they_are() -> None:
    update = ContextUpdate(
        user_intent="Consulta sobre contratos",
        suggested_response_elements=(
            "Pídele su DNI.",
            "Decir el plazo de entrega",
            "Ofrecer ayuda",
        ),
    )
    lines = render_update(update, 1, "es").splitlines()
    assert lines[1] == "El usuario pregunta por contratos."
    assert lines[-3:] == ["- Pídele su DNI", "- Di el plazo de entrega", "- Ofrece la ayuda"]


def test_nested_and_long_values_are_readable() -> None:
    update = ContextUpdate(
        user_intent="Consulta sobre pagos",
        relevant_data={"plazos": [{"fecha": "2025-02-01", "importe": 750.0}], "texto": "a" * 1000},
    )
    lines = render_update(update, 1, "es").splitlines()
    assert lines[2] == "- Plazos: Fecha 1 de febrero 2025; Importe 750"
    assert len(lines[3]) < 420


def test_facts_are_listed_with_their_heading() -> None:
    block = render_facts([("Facturas", "Vence el 15."), ("", "Son 1500 euros.")], 1, "es")
    assert block == "[DATOS COMPROBADOS - Turno 1]\n- Facturas: Vence el 15.\n- Son 1500 euros."
