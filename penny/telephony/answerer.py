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
        |\b(?:persona|particular) a (?:la|el) que (?:llama|esta llamando|intenta)\w*\b.{0,90}
            \b(?:nombre|quien|motivo|para que|por que)\b
        |\b(?:di|diga|digame|grab\w*|say|state|record)\b.{0,15}\b(?:su|tu|your) (?:nombre|name)\b
            .{0,70}\b(?:en contacto|acept\w*|conect\w*|disponible|connect\w*|available|put you)\b
        |\basistente (?:automatic|virtual|digital|inteligente
            |de (?:voz|google|llamadas))\w*\b.{0,90}\b(?:quien (?:eres|es|llama)|motivo de
            |(?:por|para) que (?:llama|es)|tu nombre|su nombre|le digo|le paso
            |que (?:necesita|quiere))
        |\bbixby\b|\ben nombre del? (?:usuario|titular)\b
        |\b(?:espera|espere|permanece|permanezca|mantente|mantengase)\b.{0,30}\bmientras
            .{0,40}\b(?:compr[ou]\w+|consult\w+|aviso|localiz\w+|puede atender\w*)
        |\bassistant\b.{0,70}\b(?:who|why|your name|reason)\b
        |\bllamadas? (?:no deseadas?|desconocidas?|comerciales|spam)\b|\bspam\b
        |\bno (?:acepta|admite|recibe) llamadas (?:de numeros )?(?:ocult|privad|anonim|desconocid)
        |\b(?:demostrar|comprobar|confirmar|confirme|prove) que (?:no )?(?:eres|es|sea)\b
        |\b(?:see|saber|ver) (?:if|si) (?:they|this person|esta persona|puede (?:atender|coger)\w*)
        |\b(?:podra|puede) (?:ver|leer|escuchar) (?:lo que|tu respuesta|su respuesta)\b
        |\b(?:who s calling|who is calling|who you are)\b.{0,30}\b(?:why|what|about|reason)\b
        |\bbefore (?:i|we) (?:try to )?(?:connect|put)\b
    """,
    "menu": r"""
        \b(?:pulse|pulsa|presione|oprima|marque|digite|teclee|press|premi|premeu|prema|prem
            |sakatu|dial)\b.{0,30}\b(?:(?:el|la|en el|tecla|key|zenbakia) )?
            (?:uno?|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|cero|one|two|three|zero|[0-9]
            |u|dous|unha|bat|bi|numero de extension|almohadilla|asterisco|pound|star)\b
        |\b(?:opcion|opcio) (?:uno?|dos|tres|u|[0-9])\b
        |\bnumero de (?:cliente|poliza|documento)\b.{0,30}\btecla\b
        |\b(?:extension|extensio|interno)\b.{0,20}\b(?:marqu|digit|dial|marca)
        |\bmarque\b.{0,20}\bextension|\bdial your party
        |\b(?:agentes|operador[ae]s|asesores|ejecutivos|gestores|lineas)\b.{0,20}\bocupad[oa]s\b
        |\btodos nuestros\b|\ball (?:of )?our (?:agents|lines|operators|representatives|advis)
        |\bagents are (?:currently )?busy\b|\bnext available\b
        |\bpor orden de (?:llegada|entrada)\b
        |\b(?:siguientes|estas|nuestras) opciones\b|\b(?:el )?menu (?:principal|de opciones)\b
        |\b(?:following|menu) options\b|\boptions have changed\b|\blisten carefully\b
        |\bescuche (?:con atencion|atentamente|las opciones)
        |\b(?:seleccione|elija|escoja) (?:una|la|el|su|un)
        |\ben (?:pocas|unas pocas|dos o tres) palabras\b.{0,30}\b(?:motivo|consulta|que|razon)
        |\bin a few words\b|\bbrevemente\b.{0,25}\b(?:motivo|consulta|gestion)\b
        |\bservicio de atencion automatica\b
        |\bintroduzca (?:su|el|los)\b
        |\b(?:tiempo|temps) (?:estimado |medio |aproximado )?de espera\b
        |\bestimated (?:wait|waiting) time\b
        |\b(?:posicion|lugar|turno|posicio) en (?:la cola|la fila|cola)\b
        |\bplace in (?:the )?(?:queue|line)\b
        |\b(?:llamada|conversacion|trucada|chamada)\b.{0,25}
            \b(?:grabada|gravada|enregistrada|monitoreada)\b
        |\bcall (?:may|will|is|could) be(?:ing)? recorded\b
        |\bllamada es (?:muy )?importante|\byour call is important
        |\bpermanezca (?:a la espera|en (?:la )?linea|en espera|al telefono)\b
        |\b(?:en breve|en unos instantes|en unos momentos|en breves (?:momentos|instantes))\b
            .{0,40}\batend\w*\b
        |\bplease (?:stay on the line|hold the line|continue to hold)\b
        |\bestamos atendiendo (?:otras|a otros)\b
        |\bpara (?:espanol|castellano|ingles|catalan)\b.{0,12}
            \b(?:pulse|marque|diga|oprima|presione)\b
        |\bpara (?:\w+ ){1,5}diga (?!me)|\bdiga (?:si o no|facturacion|averias|ventas|comercial)\b
        |\basistente virtual (?:de|del)\b.{0,60}\b(?:ayudar|consulta|gestion)
    """,
    "voicemail": r"""
        \b(?:buzon|contestador|bustia)\b(?!.{0,30}\bno (?:tiene|tengo))
        |\bvoice ?mail\b|\banswering machine\b|\bmailbox\b|\berantzungailu
        |\b(?:correo|casilla|caixa|mensajeria|servei de bustia) de (?:voz|mensajes|veu)\b
        |\bmensajeria (?:de voz|movistar|vocal)
        |(?<!(?<!si )quiere )(?<!(?<!si )quieres )\b(?:dej(?!arle)|grab|registr|deix|utz)\w*\b
            .{0,40}\b(?:mensaje|recado|message|missatge|mensaxe|mezu\w*)\b
            (?!.{0,12}\bno espera)
        |\b(?:dej\w*|grab(?:e|a|en|ad)(?:me|nos)?)\b.{0,25}\b(?:nombre|numero|telefono)\b
            (?!.{0,30}\b(?:motivo|razon)\b)
        |\b(?:leave|record)\b.{0,25}\b(?:message|name|number)\b
        |\b(?:despues|despres|despois|luego|tras|al|after|at|oiga|escuche|oigas) (?:de |d )?
            (?:oir |escuchar |sentir )?
            (?:del |de la |la |el |the |do |o )?
            (?:senal|senyal|sinal|tono|pitido|bip|beep|tone|xiulet)\b
        |\b(?:seinalearen|tonuaren|soinuaren) (?:ondoren|ostean)\b
        |\bmensaje a continuacion\b
        |\bya te llamo yo\b|\b(?:te|os|le) (?:devuelvo|devolvere|devolveremos) la llamada\b
        |\bterminar de grabar\b|(?<=\w )(?:pi+p|bee+p)\b
        |\b(?:has llamado|habeis llamado|ha llamado|you ve reached|you have reached|has trucat)\b
            .{0,60}\b(?:no (?:puedo|podemos|estoy|estamos|puc|som)|can t|cannot|unable|not
            |luego|cerrad[oa]s?|closed|tancat)\b
        |\ben est(?:e|os) momentos? no (?:puedo|podemos|me es posible|nos es posible)\b.{0,60}
            \b(?:whatsapp|wasap|correo|mensaje|sms|lo antes|cuanto antes|en cuanto|devolv
            |llamare|llamaremos)
        |\b(?:can t|cannot|unable to|not able to) (?:come to|take|answer|get to)
            (?:the phone|your call|my phone)\b
        |\bget back to you (?:as soon|asap)|\bas soon as (?:i|we) can\b
        |\bfuera (?:de|del) (?:nuestro )?horario\b|\bhorario de (?:atencion|oficina) es\b
        |\boficinas? (?:esta|estan|permanece\w*|se encuentra\w*) cerrad
        |\b(?:ya sabes|ya sabeis|you know) (?:lo que|que|what) (?:tienes|teneis|hay|to do)\b
    """,
    "network": r"""
        \b(?:numero|telefono|abonado|suscriptor|cliente|linea|terminal|usuario|movil)\b.{0,60}\b
            (?:no existe|apagado|fuera de (?:cobertura|servicio)|fuera del area|restringid\w*
            |ha cambiado|no (?:se encuentra|esta|se halla) (?:disponible|en servicio|operativ\w*
            |activ\w*|asignad\w*|habilitad\w*|dado)|no corresponde|no tiene (?:saldo|credito)
            |dado de baja|desconectado|no acepta|suspendid\w*|no es correcto|incorrecto)
        |\bnumero (?:(?:que )?(?:usted )?(?:marco|ha marcado|has marcado)|marcado|solicitado)\b
        |\bno existe\b.{0,40}\b(?:linea|numero|numeracion)\b
        |\b(?:compruebe|verifique|revise|consulte) (?:el|la) (?:numero|numeracion|guia)\b
        |\bno (?:es|ha sido|resulta) posible (?:establecer|completar|cursar|conectar|realizar)\b
        |\bno (?:puede|podra) ser (?:cursada|completada|establecida|conectada|atendida|realizada)
        |\bno (?:puede|podra|ha podido|pudo) (?:completarse|cursarse|establecerse|realizarse)
        |\bno (?:se puede|se ha podido|podemos|hemos podido)
            (?: establecer| completar| cursar| conectar)\b
        |\bfuera de servicio\b|\binformacion gratuita\b
        |\blineas? (?:esta|estan|se encuentran?) (?:saturad|congestionad)
        |\b(?:sobrecarga|congestion|saturacion|averia)\b.{0,15}\b(?:red|lineas|zona)\b
        |\bred\b.{0,25}\b(?:saturada|ocupada|congestionada)\b
        |\bintentelo (?:de nuevo )?(?:mas tarde|pasad|transcurrid|dentro)|\bvuelva a intentarlo\b
        |\bnot (?:in service|available|reachable|recogni[sz]ed|accepting)\b|\bswitched off\b
        |\bno longer in service\b|\bdisconnected\b
        |\bnumber you (?:have |ve )?(?:dial|called|reached|are)
        |\b(?:cannot|can t|could not) be (?:completed|connected|reached)\b|\bcircuits are busy\b
        |\bnumero (?:que ha |que heu )?marcat\b|\bno existeix\b|\bapagat o fora\b
        |\bnumero marcado non\b|\bapagado ou fora\b|\bmarkatu duzun zenbaki|\bestalduratik kanpo\b
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
