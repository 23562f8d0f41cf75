"""What a call came to: its outcome, its topics, how good it was, and a summary. Pure.

How a call ended (who hung up) is another thing, and not read here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from kb.normal.stopwords import is_weak
from penny.analysis.dialogue import Said, of_caller, of_penny
from penny.analysis.words import plain
from penny.calls.record import Call


Json = dict[str, Any]
Outcome = Literal[
    "resolved", "callback_scheduled", "transferred", "cancelled", "abandoned", "unresolved"
]

BY_WORDS = ("resolved", "unresolved")
"""Outcomes that rest on words alone; the others on what was done."""

VERSION = 1
KEYWORDS = 8
LEAST_LETTERS = 4
SUMMARY_CHARS = 600
CALLBACKS = ("schedule_callback", "programar_llamada")
CANCELLATIONS = ("cancel_service", "cancelar_servicio")
_SATISFIED = re.compile(
    r"\b(?:gracias|perfecto|estupendo|genial|de acuerdo|vale|muy bien|solucionado|resuelto|thanks"
    r"|thank you|great|perfect)\b"
)
_NOT_SATISFIED = re.compile(
    r"\bno me (?:sirve|ha servido|soluciona|ayuda)|\bsigue (?:igual|sin)"
    r"|\bno (?:lo )?(?:entiendo|es eso)"
    r"|\bvaya solucion|\bstill (?:not|does)|\bnot what i\b"
)
_NO_ANSWER = re.compile(
    r"\bno (?:consta|lo encuentro|puedo ayudar|dispongo)|\bcannot (?:find|help)\b|\bno tengo esa"
)
WEIGHTS = {
    "unresolved": 25,
    "abandoned": 35,
    "mood": 20,
    "asked_again": 6,
    "answered_again": 6,
    "rule_broken": 10,
    "interrupted": 2,
    "slow": 10,
    "no_answer": 5,
}
"""Points that a call loses of 100; see the README."""
MOST = {
    "asked_again": 12,
    "answered_again": 12,
    "rule_broken": 30,
    "interrupted": 8,
    "no_answer": 15,
}
SLOW_MS = 2000
TOPICS = {
    "billing": "factura recibo cobro cobrar importe cargo bill invoice charge",
    "payments": "pagar pago transferencia tarjeta plazo deuda payment pay",
    "technical_support": "internet wifi router averia linea cobertura pantalla error internet",
    "cancellation": "baja cancelar anular rescindir permanencia cancel",
    "complaints": "queja reclamacion denuncia complaint",
    "orders": "pedido paquete envio entrega order delivery",
    "appointments": "cita visita tecnico instalacion hora appointment",
    "contract": "contrato tarifa plan oferta alta fibra contract",
    "personal_data": "direccion correo telefono titular dni address email",
    "documents": "certificado copia duplicado documento justificante",
}
_BY_WORD = {word: topic for topic, words in TOPICS.items() for word in words.split()}


def find_outcome(call: Call, said: Sequence[Said]) -> tuple[Outcome, str, list[int]]:
    """What was reached, why, and the turns it rests on."""
    spoken, heard = of_caller(said), of_penny(said)
    done = [
        (str(mark["fields"].get("name") or mark["fields"].get("action") or ""), turn.number)
        for turn in call.turns
        for mark in turn.marks
        if mark["kind"] == "tool_call" and mark["fields"].get("status") in ("completed",)
    ]
    handed = [t.number for t in call.turns for mark in t.marks if mark["kind"] == "handoff"]
    if handed or any(each.stopped == "transfer" for each in call.recorded):
        return "transferred", "handed over to a person", handed[-1:]
    for names, outcome in ((CALLBACKS, "callback_scheduled"), (CANCELLATIONS, "cancelled")):
        turns = [number for name, number in done if name in names]
        if turns:
            return outcome, f"{names[0]} was done", turns  # type: ignore[return-value]
    if not spoken:
        return "abandoned", "the caller said nothing", []
    last = spoken[-1]
    if not any(each.turn >= last.turn for each in heard):
        return "abandoned", "the caller left before an answer", [last.turn]
    folded = plain(last.text)
    if _NOT_SATISFIED.search(folded):
        return "unresolved", "the caller's last words say so", [last.turn]
    if _NO_ANSWER.search(plain(heard[-1].text)):
        return "unresolved", "the last answer had nothing", [heard[-1].turn]
    if _SATISFIED.search(folded) or done:
        return "resolved", "the caller's last words, or an action that was done", [last.turn]
    return "unresolved", "nothing shows that it was resolved", [last.turn]


def find_topics(said: Sequence[Said], intent: str | None) -> list[str]:
    """Topics that the caller spoke of, the one spoken of most first."""
    counts: Counter[str] = Counter()
    for each in of_caller(said):
        for word in _words(each.text):
            topic = _BY_WORD.get(word) or _BY_WORD.get(word.removesuffix("s"))
            if topic:
                counts[topic] += 1
    return [topic for topic, _ in counts.most_common(4)] or ([intent] if intent else [])


def find_keywords(said: Sequence[Said]) -> list[Json]:
    """The words that the caller used most, with the turns they stand in."""
    turns: dict[str, list[int]] = {}
    for each in of_caller(said):
        for word in _words(each.text):
            if len(word) >= LEAST_LETTERS and not is_weak(word, "es") and word.isalpha():
                turns.setdefault(word, []).append(each.turn)
    most = sorted(turns.items(), key=lambda item: (-len(item[1]), item[1][0]))
    return [{"word": word, "turns": sorted(set(at))} for word, at in most[:KEYWORDS]]


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", plain(text))


def find_quality(call: Call, facts: Json) -> Json:
    """The score (0..100) and what it lost by what.

    Args:
        facts: ``outcome``, ``sentiment`` (-1..1 or None), counts of ``asked_again``,
            ``answered_again``, ``rule_broken`` and ``no_answer``.
    """
    lost: dict[str, float] = {}
    if facts["outcome"] in ("unresolved", "abandoned"):
        lost[facts["outcome"]] = WEIGHTS[facts["outcome"]]
    if (facts["sentiment"] or 0) < 0:
        lost["mood"] = round(WEIGHTS["mood"] * -facts["sentiment"], 1)
    counts = {
        **{name: facts[name] for name in ("asked_again", "answered_again", "rule_broken")},
        "no_answer": facts["no_answer"],
        "interrupted": sum(turn.is_interrupted for turn in call.turns),
    }
    for name, count in counts.items():
        if count:
            lost[name] = min(MOST[name], WEIGHTS[name] * count)
    waits = [ms for t in call.turns if (ms := t.latency_ms.get("first_audio")) is not None]
    if waits and sum(waits) / len(waits) > SLOW_MS:
        lost["slow"] = WEIGHTS["slow"]
    return {"score": max(0.0, round(100 - sum(lost.values()), 1)), "lost": lost}


def count_no_answers(said: Sequence[Said]) -> int:
    """Answers that had nothing to tell."""
    return sum(bool(_NO_ANSWER.search(plain(each.text))) for each in of_penny(said))


def summarise(said: Sequence[Said], intent_turn: int | None) -> Json:
    """The caller's own words of what they wanted, and the last answer they heard."""
    spoken, heard = of_caller(said), of_penny(said)
    wanted = next((each for each in spoken if each.turn == intent_turn), None)
    chosen = [each for each in (wanted or (spoken[0] if spoken else None),) if each is not None]
    chosen += [each for each in heard[-1:] if each not in chosen]
    names = {"caller": "Cliente", "penny": "Penny"}
    text = " ".join(f"{names[each.side]}: «{each.text}»" for each in chosen)
    return {
        "text": text[:SUMMARY_CHARS],
        "turns": sorted({each.turn for each in chosen}),
        "engine": "extractive",
    }
