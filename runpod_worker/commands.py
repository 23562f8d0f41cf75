"""What a caller may say in Spanish besides the kb's questions, as the closed-set ears know it.

Written as the kb writes its ``preguntas``: lower case, accents, no punctuation. Pure data: the
grammar takes it at run time, the training of the small Whisper takes it as part of its set, and
the reader knows what each means.
"""

from __future__ import annotations

from typing import Literal


Intent = Literal["greet", "thank", "leave", "repeat", "person", "help", "yes", "no", "wait", "stop"]

SPANISH_COMMANDS: dict[str, Intent] = {
    "hola": "greet",
    "hola buenos días": "greet",
    "buenos días": "greet",
    "buenas tardes": "greet",
    "buenas noches": "greet",
    "gracias": "thank",
    "muchas gracias": "thank",
    "adiós": "leave",
    "hasta luego": "leave",
    "eso es todo gracias": "leave",
    "repite por favor": "repeat",
    "puede repetirlo por favor": "repeat",
    "no te he entendido": "repeat",
    "quiero hablar con una persona": "person",
    "pásame con un agente": "person",
    "necesito ayuda": "help",
    "en qué me puedes ayudar": "help",
    "sí": "yes",
    "sí por favor": "yes",
    "no": "no",
    "no gracias": "no",
    "espera un momento": "wait",
    "para": "stop",
}
