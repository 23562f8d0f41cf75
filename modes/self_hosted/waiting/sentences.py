"""What a waiting caller is told, by language. Each sentence has a recording of the same name."""

from __future__ import annotations

from typing import Literal


Sentence = Literal[
    "preparing",
    "soon",
    "under_a_minute",
    "over_a_minute",
    "patience",
    "no_machine",
    "heard",
    "recovering",
    "moved",
    "sorry",
]

SENTENCES: dict[str, dict[Sentence, str]] = {
    "es": {
        "preparing": "Un momento, estoy preparando la sala privada.",
        "soon": "Sigo aquí, ya casi está.",
        "under_a_minute": "Sigo aquí, queda menos de un minuto.",
        "over_a_minute": "Sigo aquí. Todavía puede tardar más de un minuto.",
        "patience": "Sigo aquí, preparando la sala privada. Gracias por esperar.",
        "no_machine": "Ahora no hay ningún equipo privado libre. Sigo esperando uno.",
        "heard": "Le he oído. Le respondo en cuanto esté lista la sala privada.",
        "recovering": "Sigo con usted, estoy recuperando la conexión.",
        "moved": "La sala privada no está lista y le atiende el servicio externo. "
        "¿En qué puedo ayudarle?",
        "sorry": "Lo siento, la sala privada no está disponible. "
        "Inténtelo de nuevo dentro de unos minutos.",
    },
    "en": {
        "preparing": "One moment, I am preparing the private room.",
        "soon": "Still here, it is almost ready.",
        "under_a_minute": "Still here, less than a minute to go.",
        "over_a_minute": "Still here. It may take more than another minute.",
        "patience": "Still here, preparing the private room. Thank you for waiting.",
        "no_machine": "No private machine is free right now. I am still waiting for one.",
        "heard": "I heard you. I will answer as soon as the private room is ready.",
        "recovering": "I am still with you, the connection is coming back.",
        "moved": "The private room is not ready, so the external service answers. "
        "How can I help you?",
        "sorry": "I am sorry, the private room is not available. "
        "Please try again in a few minutes.",
    },
}


def choose_language(language: str) -> str:
    """``language`` (BCP-47) where there are sentences in it, else Spanish."""
    return language[:2] if language[:2] in SENTENCES else "es"


def choose_estimate(eta_ms: int | None) -> Sentence:
    """The sentence that is true of an estimate; None: nobody knows."""
    if eta_ms is None:
        return "patience"
    if eta_ms <= 15_000:
        return "soon"
    return "under_a_minute" if eta_ms <= 60_000 else "over_a_minute"
