"""Words and phrases that tell a mood, with how much: Spanish and English, of our own making.

Without accents and in lower case. A stem ends in ``*``.
"""

from __future__ import annotations


STRONG_NEGATIVE = (
    "estafa* robo ladron* sinverguenza* verguenza vergonzos* indignante indignad* inaceptable"
    " inadmisible intolerable lamentable imperdonable pesim* horrible asco asqueros* odio"
    " inutil* incompetente* mierda joder coño puta* desastre chapuza timo timad* abuso"
    " denuncia* denunciar abogado harto harta hartos desesperante inhuman* barbaridad fatal"
    " maleducad* mentiros* furios* cabread* ridicul* terrible awful furious scam unacceptable"
    " disgusting worst hate lawyer"
)
STRONG_NEGATIVE_PHRASES = (
    "hasta las narices", "hasta el moño", "hasta los cojones", "me cago", "tomadura de pelo",
    "tomando el pelo", "tomeis el pelo", "toman el pelo", "no hay derecho", "no puedo mas",
    "peor compania", "peor empresa", "la peor", "el peor", "lo peor", "nunca mas", "volverse loco",
    "me habeis mentido", "me han mentido", "perdida de tiempo", "hoja de reclamaciones",
    "os vais a enterar", "dejado tirad", "no aguanto", "ya esta bien", "no puede ser que",
    "qué descaro", "arruinado", "fed up", "rip off", "waste of time",
)  # fmt: skip
NEGATIVE = (
    "mal mala malo malos malas molest* enfad* disgust* decepcion* descontent* problema* queja*"
    " reclamacion error errores averia* roto rota rompio rompieron sucio caro cara tarde"
    " preocup* miedo duda* raro raras triste pesado complicad* dificil imposible culpa perdi"
    " fallo falla fallan equivocad* lento lentisimo cortan corta esperando nadie nunca"
    " injust* justo* deuda moros* morosos angusti* nervios* cansad* aburrid* peor"
    " unhappy angry bad wrong broken slow problem disappointed annoyed worried upset never"
)
NEGATIVE_PHRASES = (
    "no funciona", "no me funciona", "no va", "sigue igual", "sigue sin", "otra vez", "no entiendo",
    "no lo entiendo", "dos veces", "sin avisar", "no me aviso", "no me gusta", "no me sirve",
    "no me parece", "no estoy conforme", "no es justo", "no es verdad", "de mas", "no lo pedi",
    "no cumplen", "no contesta", "no ha venido", "no vino", "no ha llamado", "ya se lo he",
    "ya te lo", "se lo he dicho", "se lo he repetido", "lo mismo de siempre", "misma historia",
    "no me lo creo", "no me interesa", "llevo esperando", "no consigo", "no puedo entrar",
    "no me explic", "no me dan", "por su culpa", "me han cobrado", "me cobraron", "ha subido",
    "han subido", "still not", "does not work", "doesn't work", "not working", "not happy",
)  # fmt: skip
POSITIVE = (
    "gracias bien buen buena bueno vale perfecto genial estupend* fenomenal amable* encantad*"
    " content* tranquil* alegr* facil* facilisimo rapid* mejor gusta interesa agradezco"
    " agradecid* alivio convence correcto clar* thanks thank great good nice helpful happy glad"
    " fine"
)
POSITIVE_PHRASES = (
    "me viene bien", "me va bien", "me parece bien", "de acuerdo", "menos mal", "que bien",
    "me quedo mas", "da gusto", "muy bien", "ha ayudado", "me ha servido", "sounds good",
    "helps a lot", "sin problema",
)  # fmt: skip
STRONG_POSITIVE = (
    "fantastic* maravill* excelente* increible* encanta encanto impecable enhorabuena feliz"
    " contentisim* encantadisim* buenisim* ilusion magnific* espectacular* exquisit* genio"
    " amazing wonderful excellent fantastic awesome perfect"
)
STRONG_POSITIVE_PHRASES = (
    "mil gracias", "muchisimas gracias", "no sabe cuanto", "de maravilla", "un diez", "un sol",
    "me ha salvado", "me han salvado", "sois los mejores", "son los mejores", "lo mejor que",
    "peso que me quita", "muchisima ilusion", "que alegria", "me ha alegrado", "no puedo estar mas",
    "thank you so much", "so happy", "mejor imposible", "que gusto",
)  # fmt: skip
NEGATIONS = frozenset(
    ("no", "ni", "nunca", "jamas", "tampoco", "sin", "nada", "not", "never", "isn't", "don't")
)
INTENSIFIERS = frozenset(
    ("muy", "tan", "mucho", "mucha", "muchisimo", "super", "totalmente", "realmente", "demasiado")
    + ("vaya", "menudo", "menuda", "autentica", "autentico", "very", "so", "really", "totally")
)
COMPLAINT_FACTS = (
    "dos veces", "otra vez", "cobrarme", "cobrar de mas", "esperando", "colgarme", "colgar",
    "sin luz", "sin internet", "tres semanas", "dejarme", "perder", "charging me", "making me wait",
)  # fmt: skip
"""Behind thanks or praise they make irony of it, which is left neutral."""
