"""Rules that tell a caller's wish for a person, in five languages; a fit tells more. Pure.

``penny.analysis.person`` asks both. Words are compared as ``fold`` makes them. In the rules a word
of capitals stands for its words (``_PARTS``), so that one line serves several languages.
"""

from __future__ import annotations

import re
from itertools import groupby

from penny.telephony.caller_wishes import clauses_of


_PARTS = {
    "WHO": r"(?:SOMEONE|companer[oa]|companeir[oa]|company|companya|lankide|colleagues?"
    r"|atencion al cliente|atencio al client|atencion ao cliente|customer service|emplead[oa]"
    r"|empleat|empregad[oa]|langile|trabajadora?|treballadora?|traballadora?|gestora?|xestora?"
    r"|kudeatzaile|comercial|tecnic[oa]?|teknikari|technician|engineer|jef[ea]|xef[ea]|cap|nagusi"
    r"|boss|senora|senorita|senyoreta|senyora|chic[oa]|rapaz|rapaza|noia|noi|neska|mutil|lady|guy"
    r"|secretari[oa]|funcionari[oa]|administrativ[oa]|dependient[ae]|muchach[oa]"
    r"|quien sea|quen sexa|qui sigui|cualquiera|qualsevol|calquera|edonor|departamento?|department"
    r"|oficina|bulego|office|centralita|recepcion?|reception|director[a]?|gerente?|xerente"
    r"|zuzendari|enfermer[oa]|infermer[oa]|doctora?|compa|ser vivo|area de|workshop|taller)",
    "SOMEONE": r"(?:personas?|person|persoa|pertsona|human[oa]?|huma|gizaki|ser huma\w*|human being"
    r"|alguien|algu|alguen|norbait|someone|somebody|anyone|anybody|agentes?|agent|axente"
    r"|operador[a]?|operadore|operator|representante|representant|representative|ordezkari"
    r"|asesora?|assessora?|aholkulari|advis[eo]r|ejecutiv[oa]|supervisora?|encargad[oa]"
    r"|encarregad?[at]?|responsable|arduradun|manager|superior|employee)",
    # The caller's own ("con mi jefe") is not asked for.
    "FEW": r"(?:(?!(?:mis?|my|meu|mina|meva|nire|his|her) )\w+ ){0,3}",
    "MINE": r"(?:mis?|my|meu|mina|meva|el meu|la meva|o meu|a mina) (?!gestor|asesor|assessor|agent"
    r"|axent|xestor|comercial|advis|account)",
    "WITH": r"(?:con|amb|co|coa|cun|cunha|ao|a una?)",
    "BOT": r"(?:maquin\w+|robots?|bots?|contestador\w*|makin\w+|machines?|computers?|ordenador\w*"
    r"|graba\w+|gravacio\w*)",
    "PASS": r"(?:pas|pon|pong|pos|comuni|transf|conect|connect|deriv)\w*",
    "TALK": r"(?:hablar|parlar|falar)",
    "MAY": r"(?:pued|podr|podes|podeis|pot|pode|poder)\w*",
    "HELP": r"(?:coj|cog|coll|agaf|contest|atien|atend|ateng|aten|llam|truc|truq|cham|expli|ayud"
    r"|ajud|axud|aclar|resuel|gestion|xestion|mir)\w*",
    "WANT": r"(?:quiero|exijo|busco|solicito|necesito|prefiero|vull|exigeixo|necessito|prefereixo"
    r"|em cal|demano|quero|esixo|preciso|prefiro|dame|deme|dadme|dona m|doni m)",
}

_WISHES = (
    # Whoever is named: nobody else is put through to, nor talked to at one's own request.
    r"\b(?:pas[ae]me|pongame|ponme|poname|comunic[ao]me|comuniqueme|conect[ae]me|conecteme"
    r"|transfi[ae]r[ae]me|transfireme|transfirame|deriv[ae]me"
    r"|(?:passi|passa|posi|posa|connecti) m) (?:usted |vostede )?"
    r"(?:con|amb|co|coa|cun|cunha|al) (?!nombre|nom\b|nome|la lista|la cuenta)",
    r"(?<!no )(?<!non )\b(?:quiero|quisiera|querria|puedo|podria|vull|voldria|puc|podria|quero|podo"
    r"|poderia|dejeme|deixi m|deixeme|gustaria|agradaria) TALK (?:con|amb|co|coa|cun|cunha) "
    r"(?!usted|vostede|voste|vosaltres|MINE)",
    r"(?<!not )(?<!t )\b(?:want to|wanna|like to|let me|can i|could i|may i) (?:just )?"
    r"(?:speak|talk) (?:to|with) (?!you|MINE)",
    r"^(?:no |si |pues )?(?:con|amb|co|coa|cun|cunha|with) (?:la |el |una? |the |an? |l )?WHO"
    r"(?:$| (?:que|qui|who) (?:me|em|m) (?:aten|help)| please| ya| de (?:ayer|antes))",
    r"\bput me through\b|\b(?:put|get) (?:a|an|some) ?SOMEONE on\b",
    r"\b(?:avisa|avise|avisi|avisar|abisatu|fetch) (?:a |al )?FEWWHO",
    r"\b(?:trato|tracte|voz|veu) human?[oa]?\b|\bhuman (?:touch|voice)\b",
    r"\bque me (?:devuelva|devolva|torni) la (?:llamada|chamada|trucada) FEWWHO",
    r"\w+ekin (?:jarri|jar|pasa\w*|konekta\w*|lotu) na(?:zazu|uzu|zakezu)",
    r"\b(?:can|could|will) (?:your|a|an|the|one of your) (?:\w+ )?WHO (?:please )?"
    r"(?:call|ring|phone|help|speak|talk)\b(?! (?:out|round|over))",
    r"\b(?:hold|wait) for (?:a |an )?(?:real |live |human )?SOMEONE",
    r"\binor (?:badago|dago|al dago)\b|\bbadago inor\b",
    r"\b(?:no hay|non hai|no hi ha) (?:nadie|ninguen|ningu)\b.{0,20}\b(?:con quien|con el que"
    r"|con la que|amb qui|con quen)",
    r"\b(?:there s|is there) (?:nobody|no one)\b.{0,20}\b(?:talk|speak) to",
    # "hablar con una persona", not "hablé con" nor "acabo de hablar con"
    r"(?<!sin )(?<!sense )(?<!sen )(?<!vaig )(?<!va )(?<!acabo de )(?<!despues de )"
    r"(?<!despois de )(?<!tras )(?<!pude )"
    r"(?<!tuve que )(?<!logre )(?<!intente )(?<!consegui )(?<!podido )\bTALK "
    r"(?:con|amb|co|coa|cun|cunha) FEWWHO\b",
    r"(?<!without )(?<!had to )(?<!did i )(?<!able to )(?<!used to )"
    r"\b(?:speak|talk|deal|speaking|talking) (?:to|with) FEWWHO"
    r"(?! (?:yesterday|last|before|earlier))",
    r"\b(?:reach|hold of|through to|word with|escalate \w+ to) FEWWHO\b",
    r"\bWHO(?:a?rekin|ekin| batekin)? hitz egi(?:n|tea|ten|ngo)\b(?! nu| zu| ginen)",
    # "páseme con", "que me pase con", "put me through to"
    r"\b(?:pas|pon|pong|pos|comuni|transf|conect)\w* (?:(?:m|me|em) )?(?:con|amb|co|coa|cun|cunha) "
    r"(?:\w+ )?SOMEONE",
    r"(?:\b(?:PASS(?:me| m))|\b(?:me|em) (?:MAY )?PASS) (?:usted |vostede |voste )?WITH FEWWHO\b",
    r"\b(?:MAY) (?:PASS|HELP)(?:me| m)? (?:WITH )?(?:una?|unha|algu\w*|alguien|otr\w) ?FEWWHO\b",
    r"\b(?:transfer|connect|put|pass|switch|hand) (?:me|us) (?:through |on |over )?(?:to|with) "
    r"FEWWHO\b",
    r"\b(?:get|give|find|dame|deme|dadme|dona m|doni m) (?:me )?(?:con |a |amb )?"
    r"(?:an? |una? |unha |the |la |el |your |tu |su )?(?:\w+ )?SOMEONE\b(?! de | s )",
    r"\b(?:put|get) FEWWHO on\b",
    r"\b(?:jarri|pasa|jar|pasatu|konektatu) (?:\w+ )?(?:nazazue?|nauzu\w*|nazakezu\w*) FEWWHO\b",
    r"\bWHO(?:a?rekin|ekin)?(?: batekin)?,? (?:jarri|pasa|jar|konekta)",
    r"\bque (?:se|s hi|es|s) (?:pong|pon|pos)\w* FEWWHO\b",
    # "que me coja el teléfono alguien", "prefiero contárselo a una persona", "que lo vea alguien"
    r"\bque (?:me|em|m|mo|mho) (?:lo |ho |o )?HELP FEWWHO\b",
    r"\b(?:atiendan?|atengui|atenguin|atendan?) FEWWHO\b",
    r"\bser (?:atendid[oa]|ates|atesa) (?:por|per) FEWWHO\b",
    r"\b(?:prefiero|prefiro|prefereixo|mejor|millor|mellor) (?:lo |ho |o )?\w+ (?:\w+ )?"
    r"(?:con|amb|co|coa|cun|cunha|a|a una|a unha) FEWWHO\b",
    r"\bWHO (?:que )?(?:me|em|m) (?:MAY|pueda|pugui|poida)n? (?:atend|ayud|ajud|axud)",
    r"\bWHO (?:who |that )?(?:i|we) can (?:actually )?(?:talk|speak) (?:to|with)\b",
    r"\b(?:want|need|like|prefer|have|let) FEW(?:person|human|agent|supervisor|colleague) "
    r"(?:to )?(?:call|phone|ring|help|look|explain|sort|take|handle)",
    r"\bWHO(?:ren)?(?: batek)? ?(?:ni )?(?:artatzea|artatzeko|laguntzeko|azaltzea|deitzea)\b",
    r"\bWHO(?:ren|en)? bate(?:k|kin)\b.{0,40}\bnahi (?:dut|nuke)",
    r"\bnorbait(?:ek)?\b.{0,20}\b(?:artatu|lagundu|hartu|erantzun)\w*(?: al)? (?:dit|nau|du)\b",
    # "no hay ningún ser humano", "¿hay alguien ahí?"
    r"\b(?:no hay|non hai|no hi ha) (?:nin\w+|cap) (?:ser huma\w+|human[oa]|huma|persona|persoa)\b",
    r"\b(?:hay alguien|hi ha algu|hai alguen) (?:ahi|por ahi|aqui|ai|que (?:me|em|m)|con quien"
    r"|amb qui|con quen|de verdad|de debo|humano|$)",
    r"\b(?:hay|hi ha|hai) FEW(?:persona|persoa|agente?|operador\w*) (?:\w+ )?(?:ahi|que me|que em"
    r"|con la que|amb qui|amb la que|coa que|disponible|libre)",
    r"\b(?:ez al dago|ez dago|badago) (?:inor|norbait)\b(?! etxean)",
    r"\b(?:is there|isn t there|are there) (?:any )?(?:anyone|anybody|someone|somebody|humans?|"
    r"real \w+|live \w+|person) (?:there|real|i can|who|around|available)\b",
    # "quiero una persona"
    r"\bWANT (?:a )?(?:un|una|unha) (?:\w+ )?SOMEONE\b(?! fiscal| en la"
    r"| de (?!carn|verda|debo|verita))",
    r"\b(?:want|need) (?:a|an) (?:real |live |human |actual )?SOMEONE\b(?! (?:to come|number))",
    r"\bWHO bat (?:nahi|behar)\b",
)
_NO_MACHINE = (
    # "con una máquina no hablo", "estoy harto de hablar con robots"
    r"\b(?:no|non)\b.* (?:TALK|hablando|parlant|falando) (?:con |amb )?(?:una? |cunha |cun )?BOT",
    r"\b(?:con|amb|cun|cunha) (?:una? )?BOT (?:no|non) (?:hi )?"
    r"(?:hablo|parlo|falo|quiero|vull|quero)",
    r"\bno (?:hablo|parlo) (?:con|amb) BOT|\bnon falo (?:con|cun|cunha) BOT",
    r"\bez\b.*BOT(?: batekin)? hitz|\bBOT(?: batekin)?(?: ez\b.* hitz| ari naiz .*nazka)",
    r"\bBOT ez dut hitz",
    r"\b(?:no|non|not|t|ez)\b.{0,45}\b(?:a|con|amb|to|with) (?:una?|unha|this|esta|este|cunha|cun)"
    r" (?:maquina|robot|bot|machine)\b",
    r"\b(?:maquina|robot|machine|makina)\w*(?: batek)?(?: s)?\b.{0,12}\b(?:no|non|ez) "
    r"(?:(?:me|em|dit|nau) (?:sirve|serveix|serve|vale|val|balio|entiende|enten|entende)|use)",
    r"\b(?:no|non) (?:me|em) (?:sirve|serveix|serve|vale|val) (?:una?|unha) (?:maquina|robot)",
    r"\b(?:no|non|t|ez)\b.{0,15}\b(?:deje|dejes|deixi|deixis|deixe|deixes|leave me|utzi)\b"
    r".{0,12}BOT",
    r"^no (?:more )?(?:robots|bots|machines)\b",
    r"\b(?:hart[oa]|cansad[oa]|fart|farta|fart[oa]|nazka\w*|aspertu\w*|sick|tired|fed up)\b"
    r".{0,30}BOT",
    r"\b(?:not|t) (?:want to |wanna )?(?:talk|talking|speak|speaking) (?:to|with) (?:a )?BOT",
)
_DENIED = (
    r"(?<!si )(?<!se )\b(?:(?:no|non) (?:quiero|quisiera|necesito|deseo|hace falta|fa falta"
    r"|fai falta|vull|necessito|cal|quero|preciso|(?:me|em) pas\w*)"
    r"|ez (?:dut|nuke|daukat|da beharrezkoa)|no need|(?:t|not) (?:want|need))\b"
    r"(?:(?!\b(?:quiero|necesito|vull|necessito|quero|preciso|pero|sino|want|need|but|let)\b).)*"
    r"\b(?:WHO|nadie|ningu|ninguen|inor(?:ekin|k)?\b)",
)
"""A person who is not wanted; "no quiero esperar quiero una persona" wants one."""
_BARE = (
    r"(?:(?:si|no|yes|que|oiga|pues|hola|hello|kaixo|solo|just|quiero|vull|quero) )*"
    r"(?:(?:con|amb|with|to) )?(?:(?:un|una|cun|cunha|unha|a|an|el|la|the|otr[oa]) )?"
    r"(?:real |live |human )?WHO(?:arekin|rekin)?(?: bat| batekin)?(?: de verdad| de veritat"
    r"| de debo| real| human[oa]?)?"
    r"(?: por favor| si us plau| sisplau| mesedez| please| ya| now| ara| orain| xa)*",
)
"""All that was said: "Operadora", "con una persona, por favor"."""


def _any_of(rules: tuple[str, ...]) -> re.Pattern[str]:
    read = "|".join(rules)
    for name, words in _PARTS.items():
        read = read.replace(name, words)
    return re.compile(read)


_WISHED, _MACHINE_REFUSED, _REFUSED, _ALL_SAID = map(
    _any_of, (_WISHES, _NO_MACHINE, _DENIED, _BARE)
)


def asks_outright(words: str) -> bool:
    """Whether a rule finds a wish for a person (``penny.analysis.person`` asks a fit as well)."""
    said = " ".join(clauses_of(words)).split()
    whole = " ".join(word for word, _ in groupby(said))  # "operadora, operadora"
    return bool(_ALL_SAID.fullmatch(whole)) or any(
        _MACHINE_REFUSED.search(each) or _WISHED.search(each) for each in not_denied(words)
    )


def not_denied(words: str) -> list[str]:
    """The clauses but those that say that no person is wanted."""
    return [
        each
        for each in clauses_of(words)
        if _MACHINE_REFUSED.search(each) or not _REFUSED.search(each)
    ]
