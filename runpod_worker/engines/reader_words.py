"""What the reader says and understands besides the knowledge base, in both languages. Pure."""

from __future__ import annotations

import re
import unicodedata

from runpod_worker.commands import SPANISH_COMMANDS, Intent


ENGLISH_COMMANDS: dict[str, Intent] = {
    "hello": "greet",
    "hi": "greet",
    "good morning": "greet",
    "good afternoon": "greet",
    "good evening": "greet",
    "hello world": "greet",
    "thanks": "thank",
    "thank you": "thank",
    "thank you very much": "thank",
    "goodbye": "leave",
    "bye": "leave",
    "say that again": "repeat",
    "please repeat": "repeat",
    "repeat please": "repeat",
    "can you repeat that": "repeat",
    "could you repeat that please": "repeat",
    "what can you do": "help",
    "help": "help",
    "yes": "yes",
    "yes please": "yes",
    "no": "no",
    "no thanks": "no",
    "no thank you": "no",
    "wait a moment": "wait",
    "stop": "stop",
}

REPLIES: dict[str, dict[Intent, str]] = {
    "es": {
        "greet": "Hola, soy Penny. ¿En qué puedo ayudarle?",
        "thank": "De nada. ¿Necesita algo más?",
        "leave": "Gracias por llamar. Que tenga un buen día.",
        "repeat": "Todavía no le he dicho nada. ¿En qué puedo ayudarle?",
        "help": "Puedo leerle lo que dice nuestra documentación: facturas, pagos, horarios, "
        "contratos, averías y tarifas.",
        "yes": "De acuerdo. Dígame qué quiere saber.",
        "no": "Muy bien. Si necesita algo más, aquí estoy.",
        "wait": "Claro, espero.",
        "stop": "De acuerdo.",
        "person": "Ahora mismo no puedo pasarle con una persona.",
    },
    "en": {
        "greet": "Hello, I am Penny. How can I help you?",
        "thank": "You are welcome. Is there anything else?",
        "leave": "Thank you for calling. Have a good day.",
        "repeat": "I have not said anything yet. How can I help you?",
        "help": "I can read you what our documents say about invoices, payments, opening hours, "
        "contracts, faults and tariffs.",
        "yes": "All right. Tell me what you would like to know.",
        "no": "Very well. If you need anything else, I am here.",
        "wait": "Of course, I will wait.",
        "stop": "All right.",
        "person": "I cannot put you through to a person right now.",
    },
}
UNKNOWN = {
    "es": "Eso no lo encuentro en la documentación. Puedo ayudarle con facturas, pagos, horarios, "
    "contratos, averías y tarifas.",
    "en": "I cannot find that in the documents. I can help with invoices, payments, opening "
    "hours, contracts, faults and tariffs.",
}
NOTHING_HEARD = {"es": "Dígame, le escucho.", "en": "Go ahead, I am listening."}

_INTENTS = {**SPANISH_COMMANDS, **ENGLISH_COMMANDS}


def fold(text: str) -> str:
    """Lower case, no accents but the tilde's n, no punctuation, single spaces."""
    plain = unicodedata.normalize("NFD", text.lower())
    kept = "".join(c for c in plain if not unicodedata.combining(c) or c == "\u0303")
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFC", kept)))


_FOLDED = {fold(text): intent for text, intent in _INTENTS.items()}
_ENGLISH_ONLY = {fold(text) for text in ENGLISH_COMMANDS} - {fold(t) for t in SPANISH_COMMANDS}
_SPANISH_ONLY = {fold(text) for text in SPANISH_COMMANDS} - {fold(t) for t in ENGLISH_COMMANDS}


def find_intent(text: str) -> Intent | None:
    """The command that these words are, whole; a question with a greeting in it is none."""
    return _FOLDED.get(fold(text))


def command_language(text: str) -> str | None:
    """``es`` or ``en`` for a command of one language only."""
    folded = fold(text)
    if folded in _ENGLISH_ONLY:
        return "en"
    return "es" if folded in _SPANISH_ONLY else None
