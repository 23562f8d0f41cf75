"""Spanish words written in the phones of pocketsphinx's English model, with vowel variants.

Pure. There is no Spanish acoustic model that installs from a package, but the phones of the two
languages lie close enough for a closed set of phrases: each Spanish sound is given the nearest
ARPAbet phone, and the vowels that lie between two English ones are given both.
"""

from __future__ import annotations

import re
import unicodedata


# A set of variants says which English vowel stands for a, e and o; i and u have one each. One
# variant per word is chosen by the decoder, so all vowels of a word change together.
_VOWEL_SETS = (
    {"a": "AA", "e": "EH", "o": "OW"},
    {"a": "AA", "e": "EH", "o": "AO"},
    {"a": "AA", "e": "EY", "o": "OW"},
    {"a": "AA", "e": "EY", "o": "AO"},
    {"a": "AH", "e": "EH", "o": "OW"},
    {"a": "AH", "e": "EY", "o": "AO"},
)
_SOUNDS = {
    "i": "IY", "u": "UW", "b": "B", "d": "D", "f": "F", "g": "G", "k": "K", "l": "L", "m": "M",
    "n": "N", "p": "P", "r": "R", "s": "S", "t": "T", "w": "W", "y": "Y", "J": "HH", "C": "CH",
    "N": "N Y", "L": "Y",
}  # fmt: skip

# Orthography -> one letter per sound (capitals for the sounds that a Latin letter does not
# name), tried at each place in this order. Latin American: c before e and z are s.
_SPELLINGS = (
    ("ch", "C"), ("ll", "L"), ("rr", "r"), ("ñ", "N"), ("ph", "f"),
    ("que", "ke"), ("qué", "ke"), ("qui", "ki"), ("quí", "ki"),
    ("gue", "ge"), ("gué", "ge"), ("gui", "gi"), ("guí", "gi"),
    ("güe", "gwe"), ("güé", "gwe"), ("güi", "gwi"), ("güí", "gwi"),
    ("ge", "Je"), ("gé", "Je"), ("gi", "Ji"), ("gí", "Ji"),
    ("ce", "se"), ("cé", "se"), ("ci", "si"), ("cí", "si"),
    ("j", "J"), ("z", "s"), ("c", "k"), ("q", "k"), ("h", ""), ("v", "b"), ("x", "ks"),
)  # fmt: skip
_LONGEST = 3


def spell_sounds(word: str) -> str:
    """One letter per sound, accents gone: ``cuánto`` -> ``kwanto``, ``queja`` -> ``keJa``."""
    text = unicodedata.normalize("NFC", word.lower())
    table = dict(_SPELLINGS)
    sounds, at = [], 0
    while at < len(text):
        for size in range(_LONGEST, 0, -1):
            piece = text[at : at + size]
            if len(piece) == size and piece in table:
                sounds.append(table[piece])
                at += size
                break
        else:
            sounds.append(text[at])
            at += 1
    spelt = "".join(sounds)
    spelt = re.sub(r"y(?=[aeiouáéíóú])", "L", spelt).replace("y", "i")
    # An unstressed weak vowel beside another vowel is a glide: kuenta -> kwenta, bien -> byen.
    spelt = re.sub(r"u(?=[aeoáéó])", "w", spelt)
    spelt = re.sub(r"i(?=[aeouáéóú])", "y", spelt)
    plain = unicodedata.normalize("NFD", spelt)
    return "".join(char for char in plain if char.isalpha() and char.isascii())


def pronounce(word: str) -> list[str]:
    """ARPAbet pronunciations of a Spanish word, nearest first: ``sí`` -> ``["S IY"]``.

    Raises:
        ValueError: for a word without a sound that Spanish has.
    """
    spelt = spell_sounds(word)
    found: dict[str, None] = {}
    for vowels in _VOWEL_SETS:
        phones = [vowels.get(sound) or _SOUNDS.get(sound, "") for sound in spelt]
        found[" ".join(phone for phone in phones if phone)] = None
    found.pop("", None)
    if not found:
        raise ValueError(f"{word!r} has no Spanish sound")
    return list(found)


def split_words(phrase: str) -> list[str]:
    """The words of a phrase without punctuation, lower case, accents kept."""
    return re.findall(r"[^\W\d_]+", unicodedata.normalize("NFC", phrase.lower()))


def is_pronounceable(phrase: str) -> bool:
    """Whether a grammar can hold the phrase: words with sounds, and no digits (write them out)."""
    words = split_words(phrase)
    return (
        bool(words) and not any(char.isdigit() for char in phrase) and all(map(spell_sounds, words))
    )
