"""Sound keys: Spanish words that sound alike get one key. Pure.

The key merges what Spanish ears, and recognisers of Spanish speech, cannot tell apart: b/v/w,
ll/y, c/s/z, g/j, k/c/qu, silent h, doubled letters, n/m before a labial, and the alternation of
stem-changing verbs (cuesta/costar, cierra/cerrar).
"""

from __future__ import annotations

from functools import lru_cache


_SOFT = "ei"


@lru_cache(maxsize=65_536)
def sound_of(folded: str, following: str = "") -> str:
    """Return the sound key of a folded word or stem.

    Args:
        folded: lower-case letters without accents (``ñ`` stays).
        following: what the stemmer cut off; its first letter decides a final ``c`` or ``g``.
    """
    text = folded + following[:2]
    size = len(folded)
    out: list[str] = []
    at = 0
    while at < size:
        letter = text[at]
        after = text[at + 1 : at + 2]
        step = 1
        if letter == "c":
            if after == "h":
                sound, step = "x", 2
            else:
                sound = "s" if after and after in _SOFT else "k"
        elif letter == "q":
            # quanto is said as cuanto; before e and i the u is silent.
            silent = after == "u" and text[at + 2 : at + 3] not in ("a", "o")
            sound, step = "k", 2 if silent else 1
        elif letter == "g":
            if after and after in _SOFT:
                sound = "j"
            elif after == "u" and text[at + 2 : at + 3] in ("e", "i"):
                sound, step = "g", 2
            else:
                sound = "g"
        elif letter == "h" or (letter == "y" and at and at + 1 == len(text)):
            sound = "i" if letter == "y" else ""
        elif letter == "l" and after == "l":
            sound, step = "y", 2
        elif letter in "vw":
            sound = "b"
        elif letter == "s" and after == "h":
            sound, step = "x", 2
        elif letter == "z" and after == "z":
            sound, step = "ts", 2
        elif letter in "zx":
            sound = "s"
        elif letter == "u" and after == "e" and out:
            sound, step = "o", 2
        elif letter == "i" and after == "e" and out and at + 2 < size:
            sound, step = "e", 2
        elif letter == "n" and after in ("b", "p", "v"):
            sound = "m"
        else:
            sound = letter
        if sound and (not out or out[-1] != sound):
            out.append(sound)
        at += step
    return "".join(out)
