"""What a caller is told while a worker wakes up. Pure."""

from __future__ import annotations

from typing import Any

from modes.self_hosted.runpod.cold_starts import ColdStarts
from modes.self_hosted.runpod.lease import Lease


Json = dict[str, Any]

MESSAGES: dict[str, dict[str, str]] = {
    "leasing_worker": {
        "es": "Buscando un equipo privado libre",
        "en": "Looking for a free private machine",
    },
    "no_machine_free": {
        "es": "Ahora no hay equipos libres; seguimos esperando uno",
        "en": "No machine is free right now; still waiting for one",
    },
    "loading_models": {
        "es": "Cargando los modelos en el equipo privado",
        "en": "Loading the models on the private machine",
    },
    "connecting": {
        "es": "Conectando con el equipo privado",
        "en": "Connecting to the private machine",
    },
}


def describe_wait(
    awaited: Lease | None, cold_starts: ColdStarts, now_s: float, language: str
) -> Json:
    """A ``penny.progress`` event: the stage, a sentence, and what past starts let us expect."""
    stage = awaited.stage if awaited is not None else "connecting"
    messages = MESSAGES[stage]
    eta_ms = None
    if awaited is not None and stage != "no_machine_free":
        eta_ms = cold_starts.remaining_ms(awaited.kind, now_s - awaited.asked_s)
    return {
        "type": "penny.progress",
        "stage": stage,
        "message": messages.get(language[:2], messages["en"]),
        "eta_ms": eta_ms,
    }
