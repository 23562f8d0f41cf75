"""Who answered a call that was placed: a person, or which machine. Pure: words and times come in.

    human       a person
    voicemail   takes a message, after a beep or after its greeting
    screener    asks who calls and why, for a person who reads or hears it
    menu        offers choices, or a queue
    network     tells that the number cannot be reached
    unknown     told by nothing; it is treated as a person

A machine is told by what it says, in Spanish or English, or by the carrier; never by length alone:
a person who talks at length is a person.
"""

from __future__ import annotations

import re
from typing import Literal

from penny.telephony.caller_wishes import fold


Kind = Literal["human", "voicemail", "screener", "menu", "network", "unknown"]

QUIET_S = 0.9
"""After the last speech: the answerer waits for a word. Greetings pause for less."""
WORDLESS_S = 1.6
"""The words of what was said are not waited for any longer."""
SILENT_S = 4.0
"""Nobody speaks."""
MOST_S = 15.0
"""From the answer on: who has not been told by then stays unknown."""
SHORT_S = 0.25
"""A tone before so much speech belongs to the line."""

_PATTERNS: dict[Kind, str] = {
    "screener": r"""
        (?:filtr|acepta llamadas de desconocidos|screen(?:ing|ed))
        |\b(?:di|diga|digame|indique|registr\w*|grab\w*|state|say)\b.{0,40}
            \b(?:su|tu|your) (?:nombre|name)\b.{0,40}
            \b(?:motivo|razon|para que|asunto|reason|why|preguntar\w*)
        |\b(?:quien (?:le |nos )?llama|de parte de quien|who is calling)\b.{0,40}
            \b(?:motivo|razon|asunto|reason|why)
        |\bidentifiquese\b.{0,60}\b(?:linea|espere|conect)
        |\b(?:indique|diga|dime|di) quien (?:es|llama)\b.{0,40}\b(?:motivo|por que|asunto|para que)
        |\b(?:su|tu) nombre y (?:el motivo|la razon|por que|para que)\b
        |\basistente de llamadas\b
        |\bantes de (?:que )?(?:intentar |le )?(?:conect|pas)\w*
    """,
    "menu": r"""
        \b(?:pulse|presione|oprima|marque|digite|teclee|press)\b.{0,30}\b(?:el )?
            (?:uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|cero|one|two|[0-9]
            |numero de extension|almohadilla)\b
        |\bnumero de (?:cliente|poliza|documento)\b.{0,30}\btecla\b
        |\b(?:extension|interno)\b.{0,20}\b(?:marqu|digit)
        |\bmarque\b.{0,20}\bextension
        |\b(?:agentes|operador[ae]s|asesores|lineas)\b.{0,20}\bocupad[oa]s\b
        |\bpor orden de (?:llegada|entrada)\b
        |\bsiguientes opciones\b|\bmenu principal\b
        |\ben pocas palabras\b.{0,20}\b(?:motivo|consulta)
        |\bservicio de atencion automatica\b
        |\bintroduzca su\b|\btiempo (?:estimado |medio )?de espera\b
        |\b(?:posicion|lugar) en la cola\b
    """,
    "voicemail": r"""
        \b(?:buzon|contestador)\b(?!.{0,30}\bno (?:tiene|tengo))
        |\bvoice ?mail\b|\banswering machine\b
        |\b(?:dej|grab|registr)\w*\b.{0,40}\b(?:mensaje|recado|message)\b
        |\b(?:dej|grab)\w*\b.{0,25}\b(?:nombre|numero|telefono)\b(?!.{0,30}\b(?:motivo|razon)\b)
        |\b(?:despues|luego|tras|al|after) (?:de )?(?:oir |escuchar )?
            (?:del |de la |la |el |the )?(?:senal|tono|pitido|bip|beep|tone)\b
        |\bmensaje a continuacion\b|\bleave (?:me )?a message\b
        |\bya te llamo yo\b|\b(?:te|os|le) (?:devuelvo|devolvere|devolveremos) la llamada\b
        |\bterminar de grabar\b
    """,
    "network": r"""
        \b(?:numero|telefono|abonado|suscriptor|cliente|linea)\b.{0,50}\b
            (?:no existe|apagado|fuera de (?:cobertura|servicio)|fuera del area|restringid\w*
            |ha cambiado|no (?:se encuentra|esta) disponible|no corresponde)
        |\bno existe\b.{0,40}\b(?:linea|numero|numeracion)\b
        |\bno es posible (?:establecer|completar|cursar)\b
        |\bno puede ser (?:cursada|completada)\b
        |\bno se puede (?:establecer|completar|cursar)\b|\bfuera de servicio\b
        |\blineas? (?:esta|estan|se encuentran?) (?:saturad|congestionad)
        |\bsobrecarga\b.{0,10}\bred\b
        |\bnot (?:in service|available|reachable)\b|\bswitched off\b
    """,
}
_READ = {
    kind: re.compile("".join(map(str.strip, pattern.splitlines())))
    for kind, pattern in _PATTERNS.items()
}
ORDER: tuple[Kind, ...] = ("screener", "voicemail", "menu", "network")
"""Several may fit one announcement: "not available, leave a message" is a voicemail."""
CARRIER: dict[str, Kind] = {
    "human": "human",
    "machine_start": "voicemail",
    "machine_end_beep": "voicemail",
    "machine_end_silence": "voicemail",
    "machine_end_other": "voicemail",
    "fax": "network",
}
"""Twilio's ``AnsweredBy``; another word tells nothing."""


def read_kind(words: str) -> Kind | None:
    """The machine that says such words; None where nothing tells one."""
    said = fold(words)
    return next((kind for kind in ORDER if _READ[kind].search(said)), None)


class Answerer:
    """Listens to the first seconds of a call.

    Args:
        now_s: when it was answered.
    """

    def __init__(self, now_s: float) -> None:
        self._since_s = now_s
        self._words = ""
        self._is_speaking = False
        self._stopped_s: float | None = None
        self._spoken_s = 0.0
        self._begun_s = now_s
        self._has_all_words = True
        self._told: Kind | None = None

    def speech(self, now_s: float, *, is_on: bool) -> None:
        """Speech begins, or has ended, at ``now_s``."""
        if is_on and not self._is_speaking:
            self._begun_s = now_s
        elif not is_on and self._is_speaking:
            self._spoken_s += max(0.0, now_s - self._begun_s)
            self._stopped_s, self._has_all_words = now_s, False
        self._is_speaking = is_on

    def words(self, text: str) -> None:
        """What was said last, as recognised."""
        self._words = f"{self._words} {text}"
        self._has_all_words = True

    def tone(self) -> None:
        """A beep has ended."""
        if self._spoken_s >= SHORT_S or self._is_speaking:
            self._told = self._told or "voicemail"

    def carrier_told(self, answered_by: str) -> None:
        """The carrier's own verdict (``CARRIER``)."""
        self._told = self._told or CARRIER.get(answered_by)

    def look(self, now_s: float) -> Kind | None:
        """Who it is; None while that is not known."""
        kind = read_kind(self._words) or self._told
        if kind is not None:
            return kind
        if now_s - self._since_s >= MOST_S:
            return "unknown"
        if self._is_speaking:
            return None
        if self._stopped_s is None:
            return "unknown" if now_s - self._since_s >= SILENT_S else None
        quiet_s = now_s - self._stopped_s
        if self._has_all_words and self._words.strip():
            return "human" if quiet_s >= QUIET_S else None
        return "unknown" if quiet_s >= WORDLESS_S else None
