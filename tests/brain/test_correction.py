"""What is corrected, what is not, and how a correction is followed up."""

from __future__ import annotations

import pytest

from brain.claims import Claims, is_backchannel
from brain.correction import CorrectionDesk, Evidence
from brain.folio import CorrectionNote
from config.brain import Corrections


pytestmark = pytest.mark.pure


def note(said: str, correct: str, kind: str = "factual_error", **more: object) -> CorrectionNote:
    return CorrectionNote(correction_type=kind, what_gpt_said=said, correct_info=correct, **more)


DATE = note("La factura vence mañana", "La factura vence el 15 de enero de 2025", "date")
HEARD = "Su factura vence mañana mismo."
KNOWN = Evidence(
    {
        "facturas.md#f1": "Factura F-2024-1234. Vence el 2025-01-15. Importe 1.500,00 €. "
        "Luz 84,35 €.",
        "facturas.md#f2": "Factura F-2024-9999. Vence el 20 de enero de 2025. Importe 90 euros.",
        "pagos.md#formas": "No se admite el pago en efectivo en las oficinas. Puede pagar con "
        "tarjeta o por transferencia. La baja sin penalización es posible si faltan menos de 3 "
        "meses; antes cuesta 150 euros.",
    },
    {},
)


class Desk:
    """A desk and the claims it reads by; what it says of a note, "" when it is to be put right."""

    def __init__(self, **settings: object) -> None:
        self.desk = CorrectionDesk(Corrections.model_validate(settings), Claims("es"))

    def consider(
        self,
        about: CorrectionNote,
        heard: str,
        item: str = "item_1",
        evidence: Evidence = KNOWN,
        later: tuple[str, ...] = (),
    ) -> str:
        return self.desk.reason_against(about, heard, item, evidence, later)

    def place(self, about: CorrectionNote, heard: str, item: str = "item_1") -> str:
        reason = self.consider(about, heard, item)
        if not reason:
            self.desk.placed(about, f"folio_{item}", 1, item)
        return reason


def test_a_heard_mistake_is_placed() -> None:
    assert Desk().consider(DATE, HEARD) == ""


@pytest.mark.parametrize("heard", ["Su factura", "", "Su factura vence"])
def test_words_that_an_interruption_cut_are_not_corrected(heard: str) -> None:
    assert Desk().consider(DATE, heard) == "not_heard"


@pytest.mark.parametrize(
    ("said", "correct", "heard"),
    [
        ("El importe es de 90 euros", "El importe es de 84,35 euros", "El importe es de noventa."),
        (
            "La luz son 48,35 euros",
            "La luz son 84,35 euros",
            "La luz son cuarenta y ocho con treinta y cinco.",
        ),
        (
            "Puede pagar en efectivo en las oficinas",
            "No puede pagar en efectivo en las oficinas",
            "Claro. Puede pagar en efectivo en nuestras oficinas, cuando quiera.",
        ),
        ("Vence el 20 de enero", "Vence el 15 de enero", "Vence el veinte de enero."),
        (
            "La baja sin penalización es siempre posible",
            "La baja sin penalización es posible si faltan menos de 3 meses",
            "La baja sin penalización es siempre posible.",
        ),
    ],
)
def test_mistakes_that_are_heard_in_words(said: str, correct: str, heard: str) -> None:
    assert Desk().consider(note(said, correct), heard) == ""


@pytest.mark.parametrize(
    ("said", "correct"),
    [
        ("Son 1500 euros", "Son mil quinientos euros"),
        ("Son 84,35 €", "Son ochenta y cuatro con treinta y cinco"),
        ("Son 84,35 €", "Son ochenta y cuatro euros con treinta y cinco"),
        ("Vence el 15 de enero", "Vence el 2025-01-15"),
        ("Puede pagar con tarjeta.", "Se puede pagar con la tarjeta"),
    ],
)
def test_the_same_in_other_words_is_no_correction(said: str, correct: str) -> None:
    assert Desk().consider(note(said, correct), said) == "no_difference"


@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        ("Desde las seis de la mañana hasta las once de la noche.", "no_difference"),
        ("Abrimos a las once de la noche.", ""),
    ],
)
def test_a_quotation_has_the_small_words_that_stood_before_it(heard: str, reason: str) -> None:
    known = Evidence({"acceso.md#1": "Se entra de 6:00 a 23:00."}, {})
    about = note("las once de la noche", "hasta las 23:00", evidence="acceso.md#1")
    assert Desk().consider(about, heard, evidence=known) == reason


SAME_CONTRACT = note(
    "con el mismo contrato, sin firmar nada",
    "el contrato no se traspasa: su hermana firma uno nuevo",
    evidence="titular.md#1",
)
TRANSFER = Evidence(
    {"titular.md#1": "El contrato no se puede traspasar: el titular firma un contrato nuevo."}, {}
)


def test_two_sentences_that_deny_different_things_differ() -> None:
    desk, heard = Desk(), "Lo ponemos con el mismo contrato, sin firmar nada."
    assert desk.consider(SAME_CONTRACT, heard, evidence=TRANSFER) == ""
    desk.desk.placed(SAME_CONTRACT, "folio_1", 1, "item_1")
    said = "Corrijo: el contrato no se traspasa: su hermana firma uno nuevo."
    [(progress, _)] = desk.desk.reply_heard(said, "", ["folio_1"])
    assert progress == "confirmed", "its two clauses say together what is right"


@pytest.mark.parametrize(
    ("said", "correct"),
    [
        ("En efectivo no se admite", "No se admite en efectivo"),
        ("Por teléfono no lo damos nunca", "Nunca lo damos por teléfono"),
        ("No se admite, ni en efectivo ni con cheque", "No se admite en efectivo ni con cheque"),
    ],
)
def test_the_same_denial_in_another_order_is_no_correction(said: str, correct: str) -> None:
    assert Desk().consider(note(said, correct), said) == "no_difference"


def test_a_denial_heard_is_not_the_claim_denied() -> None:
    wrong = note("Puede pagar en efectivo", "No puede pagar en efectivo")
    assert Desk().consider(wrong, "No puede pagar en efectivo.") == "not_heard"


def test_several_negations_are_several_corrections() -> None:
    desk = Desk()
    one = note("Puede pagar en efectivo en las oficinas", "No puede pagar en efectivo en oficinas")
    two = note("La baja cuesta 20 euros", "La baja cuesta 150 euros si faltan meses")
    three = note("No puede pagar con tarjeta", "Puede pagar con tarjeta")
    heard = "Puede pagar en efectivo en las oficinas. No puede pagar con tarjeta. Cuesta 20 euros."
    assert [desk.place(each, heard) for each in (one, two, three)] == [""] * 3


def test_the_same_wrong_word_about_another_invoice_is_another_correction() -> None:
    desk = Desk()
    first = note("La F-2024-1234 vence mañana", "La F-2024-1234 vence el 15 de enero")
    other = note("La F-2024-9999 vence mañana", "La F-2024-9999 vence el 20 de enero")
    heard = "La F-2024-1234 vence mañana y la F-2024-9999 vence mañana."
    assert desk.place(first, heard) == ""
    assert desk.place(other, heard) == ""
    assert desk.place(first, heard) == "told_before"


def test_a_mistake_that_is_made_again_after_it_was_put_right_is_raised_again() -> None:
    desk = Desk()
    desk.place(DATE, HEARD)
    assert desk.consider(DATE, HEARD, "item_2") == "told_before", "it is still open"
    desk.desk.reply_heard("Vence el quince de enero.", "", ["folio_item_1"])
    assert desk.consider(DATE, HEARD, "item_1") == "told_before", "the very same reply"
    assert desk.consider(DATE, HEARD, "item_3") == ""


def test_several_in_following_turns_do_not_wait_for_each_other() -> None:
    desk = Desk()
    other = note("No puede pagar con tarjeta", "Puede pagar con tarjeta")
    assert desk.place(other, "No puede pagar con tarjeta.") == ""
    assert desk.place(DATE, HEARD, "item_2") == ""


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        (DATE.model_copy(update={"evidence": "facturas.md#f1"}), ""),
        (DATE.model_copy(update={"evidence": "invented.md#1"}), ""),
        (note("Vence mañana", "Vence el 3 de marzo"), "no_evidence"),
        (note("Vence mañana", "Vence el 3 de marzo", evidence="facturas.md#f1"), "evidence_silent"),
        (note("Su factura vence", "Su perro ladra mucho"), "no_evidence"),
    ],
)
def test_the_evidence_is_looked_at(about: CorrectionNote, reason: str) -> None:
    assert Desk().consider(about, HEARD) == reason


def test_a_result_of_this_call_is_not_corrected_back_to_a_document() -> None:
    ran = Evidence(KNOWN.passages, {"call_1": '{"result": {"importe": 77.1}}'})
    back = note("El importe es de 77,10 euros", "El importe es de 90 euros", "amount")
    assert Desk().consider(back, "El importe es de 77,10 euros.", evidence=ran) == (
        "action_says_so"
    )
    cited = back.model_copy(update={"evidence": "call_1"})
    assert Desk().consider(cited, "El importe es de 77,10 euros.", evidence=ran) == (
        "action_says_so"
    )
    paid = Evidence(KNOWN.passages, {"call_1": '{"result": {"estado": "pagada"}}'})
    state = note("La F-2024-1234 está pagada", "La F-2024-1234 está pendiente")
    assert Desk().consider(state, "La F-2024-1234 está pagada.", evidence=paid) == (
        "action_says_so"
    )
    right = note("El importe es de 90 euros", "El importe es de 77,10 euros", evidence="call_1")
    assert Desk().consider(right, "Son 90 euros.", evidence=ran) == ""


def test_what_a_later_reply_said_right_needs_no_correction() -> None:
    later = ("Perdone: vence el 15 de enero.",)
    assert Desk().consider(DATE, HEARD, later=later) == "already_right"


@pytest.mark.parametrize(
    ("settings", "about", "reason"),
    [
        ({"enabled": False}, DATE, "kill_switch"),
        ({}, DATE.model_copy(update={"correction_type": "style"}), "low_severity"),
        ({}, DATE.model_copy(update={"inject_correction": False}), "not_needed"),
    ],
)
def test_what_stops_a_correction(
    settings: dict[str, object], about: CorrectionNote, reason: str
) -> None:
    assert Desk(**settings).consider(about, HEARD) == reason


def test_the_kill_switch_falls_after_the_sessions_share() -> None:
    desk = Desk(max_per_session=1)
    desk.place(DATE, HEARD)
    assert desk.desk.muted


@pytest.mark.parametrize(
    "reply",
    [
        "Perdone, vence el quince de enero.",
        "Rectifico: es el 15 de enero de 2025.",
        "Ah, el 15 de enero.",
    ],
)
def test_a_reply_that_says_it_confirms(reply: str) -> None:
    desk = Desk()
    desk.place(DATE, HEARD)
    [(progress, placed)] = desk.desk.reply_heard(reply, "", ["folio_item_1"])
    assert (progress, placed.folio_id) == ("confirmed", "folio_item_1")
    assert desk.desk.bodies("confirmed") == (DATE.body,)
    assert desk.desk.reply_heard(reply, "", ["folio_item_1"]) == []


def test_ignored_once_it_is_raised_ignored_twice_it_is_reported() -> None:
    desk = Desk()
    desk.place(DATE, HEARD)
    steps = [
        desk.desk.reply_heard("Puede pagar con tarjeta.", "", ["folio_item_1"])[0][0]
        for _ in range(2)
    ]
    assert steps == ["raise", "reported"]
    assert desk.desk.bodies("open") == ()


@pytest.mark.parametrize(
    ("reply", "whole"),
    [("Un momento, lo estoy consultando.", True), ("", True), ("Perdone, la factura", False)],
)
def test_a_filler_or_a_reply_that_was_cut_spends_nothing(reply: str, whole: bool) -> None:
    desk = Desk()
    desk.place(DATE, HEARD)
    assert desk.desk.reply_heard(reply, "", ["folio_item_1"], whole=whole) == []
    assert desk.desk.bodies("open") == (DATE.body,)


def test_a_reply_that_did_not_have_it_in_force_is_not_judged() -> None:
    desk = Desk()
    desk.place(DATE, HEARD)
    assert desk.desk.reply_heard("Puede pagar con tarjeta.", "", ["other"]) == []


@pytest.mark.parametrize(
    "text",
    [
        "Vence mañana.",
        "Son mil quinientos euros.",
        "Puede pagar en efectivo en nuestras oficinas.",
        "La permanencia es obligatoria.",
        "Sí, admitimos devoluciones.",
        "No cobramos gastos de envío.",
        "Puede cancelar cuando quiera.",
        "La instalación está incluida.",
        "La baja se pide por escrito.",
        "El técnico va a su casa.",
        "Abrimos los sábados.",
        "El router no se devuelve.",
        "Necesita el DNI del titular. ¿Lo tiene?",
    ],
)
def test_every_checkable_statement_is_looked_at(text: str) -> None:
    assert Claims("es").has_claim(text)


@pytest.mark.parametrize(
    "text",
    [
        "Claro, dígame.",
        "Encantada de ayudarle.",
        "Un momento, lo estoy consultando.",
        "¿En qué puedo ayudarle?",
        "Sigo en ello, enseguida se lo digo.",
        "Lo siento, no le he entendido.",
        "Hola, soy Penny. ¿Qué factura necesita?",
        "Sí.",
        "",
    ],
)
def test_courtesy_and_questions_are_not(text: str) -> None:
    assert not Claims("es").has_claim(text)


def test_a_bare_yes_to_a_question_is_a_claim() -> None:
    assert Claims("es").has_claim("Sí.", "¿Puedo pagar en efectivo?")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("Ajá", True), ("vale, sí", True), ("Sí, pero otra cosa", False), ("no", False), ("", False)],
)
def test_a_backchannel(text: str, is_one: bool) -> None:
    assert is_backchannel(text) is is_one


@pytest.mark.parametrize(
    ("language", "said", "correct"),
    [
        *(
            ("es", *pair)
            for pair in [
                ("La factura vence el tres de enero", "La factura vence el trece de enero"),
                ("Son trescientos euros", "Son cuatrocientos euros"),
                ("El IVA es del 10 por ciento", "El IVA es del 21 por ciento"),
                ("Abrimos a las dos", "Abrimos a las tres"),
                ("Abrimos a las nueve y media", "Abrimos a las nueve"),
                ("Abrimos a las nueve", "Abrimos a las nueve y media"),
                ("La cita es el próximo lunes", "La cita es el próximo martes"),
                ("Cuesta veinte euros al mes", "Cuesta veinte euros al año"),
                ("Puede pagar hasta el 15 de enero", "Puede pagar desde el 15 de enero"),
                ("Si faltan más de 3 meses es gratis", "Si faltan menos de 3 meses es gratis"),
                ("Sí, puede cambiarlo", "No, no puede cambiarlo"),
                ("Llame al 900 123 456", "Llame al 900 123 465"),
                ("El plazo es de un mes", "El plazo es de dos meses"),
                ("El plazo es de un mes", "El plazo es de quince días"),
                ("Cuesta medio euro", "Cuesta un euro y medio"),
                ("Abre a las dos de la tarde", "Abre a las tres de la tarde"),
                ("Abre a las nueve de la mañana", "Abre a las nueve de la noche"),
                ("Se lo cobramos en diciembre", "Se lo cobramos en enero"),
                (
                    "El importe es de ciento veinte con cinco",
                    "El importe es de ciento veinte con cincuenta",
                ),
                ("Vence el uno de enero", "Vence el once de enero"),
            ]
        ),
        ("en", "It is due on March 3rd", "It is due on March 13th"),
        ("en", "You can pay in cash", "You can't pay in cash"),
        ("en", "It isn't free", "It is free"),
    ],
)
def test_what_is_something_else_when_it_is_spoken(language: str, said: str, correct: str) -> None:
    claims = Claims(language)
    wrong, right = claims.read(said), claims.read(correct)
    assert wrong.differs_from(right)
    assert claims.was_heard(wrong, right, f"Mire, {said}.")
    assert claims.says(f"Perdone: {correct}.", right, wrong)


@pytest.mark.parametrize(
    ("language", "said", "other"),
    [
        *(
            ("es", *pair)
            for pair in [
                ("Son mil quinientos euros", "Son 1.500,00 €"),
                ("El IVA es del doce por ciento", "El IVA es del 12 %"),
                ("Tiene treinta días", "Tiene 30 días naturales"),
                ("Abre a las 14:00", "Abre a las dos de la tarde"),
                ("Abre a las 9:30", "Abre a las nueve y media"),
                ("Abre a las 14:30", "Abre a las dos y media de la tarde"),
                ("Vence el 1 de enero", "Vence el uno de enero"),
                ("Vence el primero de enero", "Vence el 1 de enero"),
                ("Vence el 15 de enero de 2025", "Vence el quince de enero"),
                ("Son 84 euros con 35", "Son 84,35 euros"),
                ("Llame al 900 123 456", "Llame al 900123456"),
                ("Llame al nueve cero cero uno dos tres cuatro cinco seis", "Llame al 900 123 456"),
                ("La potencia es 3,45 kW", "La potencia es de 3,45 kilovatios"),
                ("Es gratis", "Es gratuito"),
                ("Son cuatro ocho con tres cinco euros", "Son 48,35 euros"),
                ("Son uno cinco cero cero euros", "Son mil quinientos euros"),
            ]
        ),
        ("en", "It costs twenty one euros", "It costs 21 euros"),
        ("en", "It is due on January 15", "It is due on the 15th of January"),
        ("en", "You cannot pay in cash", "You can't pay in cash"),
    ],
)
def test_what_is_the_same_when_it_is_spoken(language: str, said: str, other: str) -> None:
    claims = Claims(language)
    assert not claims.read(said).differs_from(claims.read(other))
