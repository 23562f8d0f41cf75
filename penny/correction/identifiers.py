"""Identifiers with check digits, as heard: whether one holds, and what it was misheard from.

Nothing is mended in silence: a unique fit is a proposal for the caller to confirm. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Final

from stdnum import iban, luhn
from stdnum.es import dni, nie, postal_code
from stdnum.exceptions import ValidationError


KINDS: Final[dict[str, ModuleType]] = {
    "dni": dni,
    "nie": nie,
    "iban": iban,
    "card-number": luhn,
    "postal-code-es": postal_code,
}
"""``format`` of a JSON schema -> what checks it."""
CARD_DIGITS: Final = range(12, 20)
"""ISO/IEC 7812-1."""
SOUNDS_LIKE: Final = {
    "6": "37",  # seis, tres, siete
    "7": "6",
    "3": "6",
    "2": "0",  # dos, doce: the second digit of a pair
    "5": "9",  # five, nine
    "9": "5",
    **{each: "BCDEGPTV".replace(each, "") for each in "BCDEGPTV"},
    "M": "N",
    "N": "M",
    "F": "S",
    "S": "F",
    "K": "Q",
    "Q": "K",
    "Y": "X",
    "X": "Y",
}
"""What one character is misheard as, in Spanish or English."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What an identifier turned out to be.

    ``value``: its letters and digits alone. ``doubtful``: where one slip of the ear may have made
    this of another that holds, counted from 1; ``proposal``: that other, where there is only one.
    Neither: it has to be said again whole. ``too_short``, ``too_long``: by so many characters.
    """

    value: str
    is_valid: bool
    proposal: str = ""
    doubtful: tuple[int, ...] = ()
    too_short: int = 0
    too_long: int = 0


LENGTHS: Final = {"dni": 9, "nie": 9, "postal-code-es": 5}


def check_identifier(kind: str, said: str) -> Checked:
    """Check an identifier of one of ``KINDS``; spaces, points and hyphens in it do not matter."""
    value = "".join(each for each in said.upper() if each.isalnum())
    if _holds(kind, value):
        return Checked(value, is_valid=True)
    wanted = _length(kind, value)
    if wanted and len(value) != wanted:
        return Checked(
            value,
            is_valid=False,
            too_short=max(0, wanted - len(value)),
            too_long=max(0, len(value) - wanted),
        )
    fits = [
        (at + 1, value[:at] + other + value[at + 1 :])
        for at, each in enumerate(value)
        for other in SOUNDS_LIKE.get(each, "")
        if _holds(kind, value[:at] + other + value[at + 1 :])
    ]
    return Checked(
        value,
        is_valid=False,
        proposal=fits[0][1] if len(fits) == 1 else "",
        doubtful=tuple(dict.fromkeys(at for at, _ in fits)),
    )


def _holds(kind: str, value: str) -> bool:
    if kind == "card-number" and len(value) not in CARD_DIGITS:
        return False
    try:
        KINDS[kind].validate(value)
    except ValidationError:
        return False
    return True


def _length(kind: str, value: str) -> int:
    """How many characters it has when it is whole; 0 where that is not known."""
    if kind != "iban":
        return LENGTHS.get(kind, 0)
    return 24 if value.startswith("ES") else 0
