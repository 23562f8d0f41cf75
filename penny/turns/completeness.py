"""Whether words look finished, in Spanish and English, by how they end. No model, no grammar."""

from __future__ import annotations

import re
from typing import Final, Literal

from penny.turns.dictation import is_dictating
from penny.turns.wordlist import words_of


Verdict = Literal["finished", "open", "unknown"]


_OPEN_WORDS: Final = words_of(
    # conjunctions
    "y e o u ni pero porque que aunque mientras como cuando donde si sino pues entonces",
    "cuanto cuantos cuantas",
    "and or but because if when while than",
    # prepositions; English "in", "on" and "up" close as many sentences as they leave open
    "a de en con por para sin sobre desde hasta entre hacia según contra tras durante hace",
    "of to from with at for between without into",
    # articles and possessives
    "el la los las un una unos unas del al mi mis tu tus su sus nuestra nuestro",
    "cada algún ningún cualquier muy tan",
    "the an my your his their our every very",
    # pronouns before a verb, and verbs before a participle or an adjective
    "me te se le les nos os lo ha he han has hemos habéis había habían voy",
    "we they she is are was has been i've we're you're there's it's let's i'll",
    # verbs that want more
    "quiero quisiera necesito puedo podría querría debo tengo quería soy estoy gustaría",
    "cambiar saber hacer consultar pedir poner hablar preguntar reservar contratar solicitar",
    "i i'm i'd want need like have change know make ask",
    # fillers
    "eh ehm este er",
)
"""A last word that makes one wait for the next."""

_CLOSING_WORDS: Final = words_of(
    "gracias adiós adios sí vale ok okay okey listo claro exacto correcto perfecto hola ya nada",
    "thanks bye goodbye yes yeah no please hello right sure",
)
"""A word that alone seldom has anything behind it."""

_QUESTION_WORDS: Final = words_of(
    "qué cuánto cuánta cuántos cuántas cuándo dónde cómo quién quiénes cuál cuáles adónde",
    "what when where how who which why whose",
)
"""A first word that makes three words or more a whole question, for recognisers that do not
punctuate. As a last word it leaves open."""

_ENGLISH: Final = words_of(
    "the you your to is i my can could please help call tell with for and of",
)
"""Words beside which "me" is English, and ends sentences."""

_FILLER: Final = re.compile(r"^(e+h+|e+m+|m+|h+m+|u+h+|u+m+|est+e+)$")
"""Fillers as drawn out as they were spoken: "eeeh", "mmmm"."""

_WORD: Final = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_TRAILING_OFF: Final = ("...", "…", ",", ";", ":", "-", "—")
_MIN_QUESTION_WORDS: Final = 3


def judge_text(text: str) -> Verdict:
    """Judge a transcript so far.

    A closing question mark outweighs the last word. A full stop tells nothing: recognisers put it
    behind anything. A whole question or a closing word alone is finished, a dictation is not.
    """
    text = text.rstrip().rstrip("\"'»”)")
    words = [word.lower().replace("’", "'") for word in _WORD.findall(text)]
    if not words:
        return "unknown"
    if text.endswith("?"):
        return "finished"
    if text.endswith(_TRAILING_OFF) or _leaves_open(words) or is_dictating(text):
        return "open"
    if len(words) == 1 and words[0] in _CLOSING_WORDS:
        return "finished"
    if words[0] in _QUESTION_WORDS and len(words) >= _MIN_QUESTION_WORDS:
        return "finished"
    return "unknown"


def lacks_end(text: str) -> bool:
    """Whether a recogniser that punctuates put no mark behind the last of three words or more."""
    text = text.strip()
    return len(text.split()) >= _MIN_QUESTION_WORDS and text[0].isupper() and text[-1].isalnum()


def _leaves_open(words: list[str]) -> bool:
    """Whether the last word wants another behind it."""
    *before, last = words
    if not before and last == "si" or last == "me" and not _ENGLISH.isdisjoint(before):
        # Recognisers that write no accents: alone it is "sí" as often as "if".
        return False
    if before and last in _QUESTION_WORDS:
        return before[-1] != "por"
    if last == "se" and before[-1:] in (["no"], ["lo"]):
        return False  # "no lo sé" without its accent
    if last == "hacer" and "qué" in before:
        return False
    return last in _OPEN_WORDS or _FILLER.match(last) is not None
