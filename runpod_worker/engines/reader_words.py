"""What the reader says besides the knowledge base, in both languages. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from kb.passage import Language
from runpod_worker.engines.small_talk import Kind


REPLIES: dict[Language, dict[Kind, str]] = {
    "es": {
        "greet": "Hola, soy Penny. ¿En qué puedo ayudarle?",
        "wellbeing": "Muy bien, gracias. ¿En qué puedo ayudarle?",
        "identity": "Soy Penny, una asistente automática: le leo nuestra documentación.",
        "presence": "Sí, le escucho. ¿En qué puedo ayudarle?",
        "praise": "Hago lo que puedo. ¿En qué puedo ayudarle?",
        "intro": "Encantada. ¿En qué puedo ayudarle?",
        "mistake": "No pasa nada. Si necesita algo, aquí estoy.",
        "open": "Dígame qué quiere saber.",
        "thank": "De nada. ¿Necesita algo más?",
        "leave": "Gracias por llamar. Que tenga un buen día.",
        "repeat": "Todavía no le he dicho nada. ¿En qué puedo ayudarle?",
        "yes": "De acuerdo. Dígame qué quiere saber.",
        "no": "Muy bien. Si necesita algo más, aquí estoy.",
        "wait": "Claro, espero.",
        "stop": "De acuerdo.",
        "person": "Ahora mismo no puedo pasarle con una persona.",
    },
    "en": {
        "greet": "Hello, I am Penny. How can I help you?",
        "wellbeing": "Very well, thank you. How can I help you?",
        "identity": "I am Penny, an automated assistant: I read you our documents.",
        "presence": "Yes, I can hear you. How can I help you?",
        "praise": "I do what I can. How can I help you?",
        "intro": "Nice to meet you. How can I help you?",
        "mistake": "No problem. If you need anything, I am here.",
        "open": "Tell me what you would like to know.",
        "thank": "You are welcome. Is there anything else?",
        "leave": "Thank you for calling. Have a good day.",
        "repeat": "I have not said anything yet. How can I help you?",
        "yes": "All right. Tell me what you would like to know.",
        "no": "Very well. If you need anything else, I am here.",
        "wait": "Of course, I will wait.",
        "stop": "All right.",
        "person": "I cannot put you through to a person right now.",
    },
}
NOTHING_HEARD: dict[Language, str] = {
    "es": "Dígame, le escucho.",
    "en": "Go ahead, I am listening.",
}
OPENING_HOURS: dict[Language, str] = {
    "es": "a qué hora abren",
    "en": "what time do you open",
}
"""How the documents are asked for the hours of a caller who names nothing but a day."""

_HELP: dict[Language, str] = {
    "es": "Le leo lo que dice nuestra documentación.",
    "en": "I read you what our documents say.",
}
_UNKNOWN: dict[Language, str] = {
    "es": "Eso no lo encuentro en la documentación.",
    "en": "I cannot find that in the documents.",
}
_FOR_EXAMPLE: dict[Language, str] = {
    "es": "Puede preguntarme, por ejemplo:",
    "en": "You can ask me, for example:",
}


def write_help(examples: Sequence[str], language: Language) -> str:
    """Return what the reader does, with questions that the loaded documents answer."""
    return _offer(_HELP[language], examples, language)


def write_unknown(examples: Sequence[str], language: Language) -> str:
    """Return that nothing answers, and one question that would be answered."""
    return _offer(_UNKNOWN[language], examples[:1], language)


def _offer(sentence: str, examples: Sequence[str], language: Language) -> str:
    return " ".join((sentence, _FOR_EXAMPLE[language], *examples)) if examples else sentence
