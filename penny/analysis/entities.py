"""Entities in what was said, written or spoken, each with its value: Spanish and English. Pure.

An identity number and an account number are only taken where their check digits hold, a telephone
number where its country has such numbers. Numbers are read by ``penny.calls.numbers``, the reader
of the numbers that are never kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import phonenumbers
from stdnum import iban
from stdnum.es import dni, nie

from penny.analysis.said_dates import read_dates
from penny.analysis.said_names import read_names
from penny.analysis.said_times import read_times
from penny.analysis.words import plain
from penny.calls.numbers import Number, read_numbers


Kind = Literal["phone", "id", "iban", "email", "money", "date", "time", "name", "number"]

LEAST_DIGITS = 4
"""Of a contract's, an order's or a case's number; one less where it is named so."""
MOST_DIGITS = 12
"""Of such a number: longer ones are cards, which are masked, or nothing that is known."""
_LETTERS = {
    "a": "a", "be": "b", "ce": "c", "de": "d", "e": "e", "efe": "f", "ge": "g", "hache": "h",
    "i": "i", "jota": "j", "ka": "k", "ca": "k", "ele": "l", "eme": "m", "ene": "n", "o": "o",
    "pe": "p", "cu": "q", "erre": "r", "ere": "r", "ese": "s", "te": "t", "u": "u", "uve": "v",
    "ve": "v", "uve doble": "w", "doble uve": "w", "equis": "x", "i griega": "y", "y griega": "y",
    "ye": "y", "zeta": "z", "ceta": "z",
}  # fmt: skip
_LETTER = "|".join(sorted(_LETTERS, key=len, reverse=True))
_BEFORE_ID = re.compile(rf"\b({_LETTER}|[xyz])[\s,-]*$")
_AFTER_ID = re.compile(rf"^[\s,-]*(?:(?:con|y)\s+)?(?:la\s+)?(?:letra\s+)?({_LETTER}|[a-z])\b")
_COUNTRY = re.compile(r"\b(?:es|(?:e|es)\s+ese|ese|espa[nñ]a)[\s,-]*$")
_APART = re.compile(r"[\s,.-]*")
_WRITTEN_ID = re.compile(r"\b[XYZxyz]?-?\d{7,8}-?[A-Za-z]\b")
_WRITTEN_IBAN = re.compile(r"\b[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]{2,4}){3,8}\b")
_WRITTEN_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_COINS = r"euros?|€|pesos?|soles|sol|d[oó]lar(?:es)?|\$|libras?|dollars?|pounds?"
_WRITTEN_MONEY = re.compile(
    rf"(?<![\d.,])(\d{{1,3}}(?:\.\d{{3}})+(?:,\d{{1,2}})?|\d+(?:[.,]\d{{1,2}})?)\s*(?:{_COINS})(?!\w)",
    re.IGNORECASE,
)
_COIN = re.compile(rf"^\s+(?:de\s+)?(?:{_COINS})(?!\w)", re.IGNORECASE)
_CENTS = re.compile(r"^\s+(?:c[eé]ntimos?|centavos?|cents?)\b", re.IGNORECASE)
_WITH = re.compile(r"\s*(?:con|y|coma|and|point)\s+", re.IGNORECASE)
_HALF = re.compile(rf"\bmedio\s+(?:{_COINS})(?!\w)", re.IGNORECASE)
_AND_HALF = re.compile(r"^\s+y\s+medio\b", re.IGNORECASE)
_AT = re.compile(r"\b(?:arroba|at)\b", re.IGNORECASE)
_SIGNS = {"punto": ".", "dot": ".", "guion": "-", "underscore": "_", "dash": "-"}
_LOW_LINE = re.compile(r"\b(?:guion|barra)\s+baj[oa]\b|\bsubguion\b")
_PRICE = re.compile(
    r"\b(?:cobra(?:do|ron|n)?|cuestan?|costaba|pago|pague|pagar|pagando|precio|importe|cuota"
    r"|vale|sale|debo|recibo|total|son)(?:\s+(?:es|por|de|a|en|unos|la|el|me|que|eran?))*\s+$"
)
_NAMED = re.compile(
    r"\b(?:contador|lectura|expediente|contrato|pedido|referencia|incidencia|caso|siniestro"
    r"|poliza|cliente|reserva|codigo|ticket|albaran|abonado|solicitud|numero)"
    r"(?:\s+(?:numero|marca|es|el|la|de|son|pone|dice))*[\s,:]+$"
)
_NO_LOCAL_WORDS = (
    "a al apunte apuntar correo correos cuenta de deletreo dejo del direccion e el"
    " anota anote apunta electronico email en enviemelo envie es esta la le lo mail mandan"
    " mandalo mandelo manden me mi pon ponga"
    " mis nuevo nueva para por que siempre sigue su un una y is my the to jefe email: mail:"
)
_NO_LOCAL = frozenset(_NO_LOCAL_WORDS.split())


@dataclass(frozen=True, slots=True)
class Entity:
    """A value that was said, and where in the text: ``start`` and ``end`` are offsets.

    ``value`` is canonical: E.164 for a telephone number, two decimals for an amount, an ISO date or
    what it is relative to (``+1d``, ``wd4``) for a date.
    """

    kind: Kind
    value: str
    start: int
    end: int


def find_entities(text: str, country: str = "ES") -> list[Entity]:
    """The entities of a text in order, none within another.

    Args:
        country: ISO 3166 code, of telephone numbers without one.
    """
    found: list[Entity] = []
    runs = list(_runs(text))
    wrong = list(_wrong_identities(text, runs))
    for finder in (
        lambda: _emails(text),
        lambda: _identities(text, runs),
        lambda: _phones(text, runs, country),
        lambda: _money(text),
        lambda: [Entity("date", *each) for each in read_dates(text)],
        lambda: [Entity("time", *each) for each in read_times(text)],
        lambda: _numbers(text, runs),
        lambda: [Entity("name", *each) for each in read_names(text)],
    ):
        for each in finder():
            spans = [(other.start, other.end) for other in found]
            spans += wrong if each.kind == "number" else []
            if not any(each.start < end and start < each.end for start, end in spans):
                found.append(each)
    return sorted(found, key=lambda each: each.start)


@dataclass(frozen=True, slots=True)
class _Run:
    """Numbers that follow each other with nothing between."""

    parts: tuple[Number, ...]

    @property
    def start(self) -> int:
        return self.parts[0].start

    @property
    def end(self) -> int:
        return self.parts[-1].end

    @property
    def digits(self) -> str:
        return "".join(part.digits for part in self.parts)


def _runs(text: str) -> Iterator[_Run]:
    run: list[Number] = []
    for number in read_numbers(text):
        if run and not _APART.fullmatch(text[run[-1].end : number.start]):
            yield _Run(tuple(run))
            run = []
        run.append(number)
    if run:
        yield _Run(tuple(run))


def _identities(text: str, runs: list[_Run]) -> Iterator[Entity]:
    for found in _WRITTEN_IBAN.finditer(text):
        if iban.is_valid(found.group()):
            yield Entity("iban", iban.compact(found.group()), *found.span())
    for found in _WRITTEN_ID.finditer(text):
        number = found.group().upper().replace("-", "")
        if dni.is_valid(number) or nie.is_valid(number):
            yield Entity("id", number, *found.span())
    folded = plain(text)
    for run in runs:
        before, after = folded[: run.start], folded[run.end :]
        if country := _COUNTRY.search(before):
            account = f"ES{run.digits}"
            if len(run.digits) == 22 and iban.is_valid(account):
                yield Entity("iban", account, country.start(), run.end)
        last = _AFTER_ID.match(after)
        first = _BEFORE_ID.search(before)
        if last is None:
            continue
        letter = _LETTERS.get(last.group(1), last.group(1)).upper()
        if len(run.digits) == 8 and dni.is_valid(run.digits + letter):
            yield Entity("id", run.digits + letter, run.start, run.end + last.end())
        elif len(run.digits) == 7 and first is not None:
            number = _LETTERS.get(first.group(1), first.group(1)).upper() + run.digits + letter
            if nie.is_valid(number):
                yield Entity("id", number, first.start(), run.end + last.end())


_SHORT_WORDS = frozenset("aeoyu")


def _wrong_identities(text: str, runs: list[_Run]) -> Iterator[tuple[int, int]]:
    """Where what is shaped like an identity number stands, right or wrong: a wrong one is none,
    and no contract's number either."""
    for found in _WRITTEN_ID.finditer(text):
        yield found.span()
    folded = plain(text)
    for run in runs:
        last = _AFTER_ID.match(folded[run.end :])
        if last is None or (last.group(1) in _SHORT_WORDS and "letra" not in last.group()):
            continue
        is_foreign = _BEFORE_ID.search(folded[: run.start]) is not None
        if len(run.digits) == 8 or (len(run.digits) == 7 and is_foreign):
            yield run.start, run.end


def _phones(text: str, runs: list[_Run], country: str) -> Iterator[Entity]:
    for run in runs:
        prefix = "+" if text[: run.start].rstrip().endswith(("+", "más", "mas")) else ""
        if not 7 <= len(run.digits) <= 15:
            continue
        try:
            number = phonenumbers.parse(prefix + run.digits, country)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            told = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            yield Entity("phone", told, run.start, run.end)


def _emails(text: str) -> Iterator[Entity]:
    for found in _WRITTEN_EMAIL.finditer(text):
        yield Entity("email", found.group().lower(), *found.span())
    for at in _AT.finditer(text):
        local, start = _local_part(text, at.start())
        domain, end = _domain(text, at.end())
        if local and domain:
            yield Entity("email", f"{local}@{domain}", start, end)


_PIECE = re.compile(r"[^\W_]+|[,:;.?!]")


def _local_part(text: str, until: int) -> tuple[str, int]:
    """What stands before the at sign, and where it begins."""
    pieces: list[re.Match[str]] = []
    for piece in reversed(list(_PIECE.finditer(text, 0, until))):
        word = plain(piece.group())
        if word in _NO_LOCAL and not (word in _LETTERS and pieces and _is_sign(pieces[-1])):
            break
        if not word.isalnum():
            break
        pieces.append(piece)
    if not pieces:
        return "", until
    start = pieces[-1].start()
    return _written(text[start:until]), start


def _is_sign(piece: re.Match[str]) -> bool:
    return plain(piece.group()) in _SIGNS


def _domain(text: str, start: int) -> tuple[str, int]:
    """What stands after the at sign, and where it ends: one word after each point."""
    name: list[str] = []
    end, is_after = start, False
    for piece in _PIECE.finditer(text, start):
        word = plain(piece.group())
        if word in ("punto", "dot"):
            if not name or is_after:
                break
            name.append(".")
            is_after = True
        elif not word.isalnum() or ("." in name and not is_after) or len(name) > 6:
            break
        else:
            name.append(_SIGNS.get(word, word))
            end, is_after = piece.end(), False
    while name and name[-1] == ".":
        name.pop()
    return ("".join(name), end) if "." in name else ("", start)


def _written(spoken: str) -> str:
    """A local part as it is written."""
    text, at = "", 0
    for number in read_numbers(spoken):
        text += f"{spoken[at : number.start]} {number.digits} "
        at = number.end
    words = _LOW_LINE.sub("_", plain(text + spoken[at:])).split()
    letters = sum(word in _LETTERS and len(word) > 1 for word in words)
    is_spelled = letters > 1 or any(w in ("punto", "dot") for w in words)
    told = (
        _SIGNS.get(w, _LETTERS[w] if is_spelled and w in _LETTERS and len(w) > 1 else w)
        for w in words
    )
    return "".join(told)


def _money(text: str) -> Iterator[Entity]:
    for written in _WRITTEN_MONEY.finditer(text):
        amount = written.group(1)
        if "," in amount or re.fullmatch(r"\d{1,3}(\.\d{3})+", amount):
            amount = amount.replace(".", "").replace(",", ".")
        yield Entity("money", f"{float(amount):.2f}", *written.span())
    for half in _HALF.finditer(text):
        yield Entity("money", "0.50", *half.span())
    numbers = list(read_numbers(text))
    for at, number in enumerate(numbers):
        follows = numbers[at + 1] if at + 1 < len(numbers) else None
        rest = text[number.end :]
        if coin := _COIN.match(rest):
            end = number.end + coin.end()
            cents, until = _cents(text, end, follows)
            yield Entity("money", f"{number.value + cents:.2f}", number.start, until)
        elif follows is not None and _WITH.fullmatch(text[number.end : follows.start]):
            coin = _COIN.match(text[follows.end :])
            if coin is not None and follows.value < 100:
                cents = follows.value / (100 if len(follows.digits) > 1 else 10)
                end = follows.end + coin.end()
                yield Entity("money", f"{number.value + cents:.2f}", number.start, end)
        elif alone := _CENTS.match(rest):
            yield Entity(
                "money", f"{number.value / 100:.2f}", number.start, number.end + alone.end()
            )
    yield from _prices(text)


def _prices(text: str) -> Iterator[Entity]:
    """Amounts without their coin: "me han cobrado cuarenta y nueve noventa"."""
    for run in _runs(text):
        if len(run.parts) == 2 and _PRICE.search(plain(text[: run.start])):
            whole, cents = run.parts
            if whole.value < 1000 and len(cents.digits) == 2 and not whole.digits.startswith("0"):
                yield Entity("money", f"{whole.value}.{cents.digits}", run.start, run.end)


def _cents(text: str, end: int, follows: Number | None) -> tuple[float, int]:
    """What is said behind the coin, and where it ends: "con cincuenta", "y medio"."""
    if half := _AND_HALF.match(text[end:]):
        return 0.5, end + half.end()
    if follows is None or not _WITH.fullmatch(text[end : follows.start]) or follows.value >= 100:
        return 0.0, end
    if cents := _CENTS.match(text[follows.end :]):
        return follows.value / 100, follows.end + cents.end()
    if _COIN.match(text[follows.end :]) or text[end : follows.start].strip() == "y":
        return 0.0, end
    return follows.value / 100, follows.end


def _numbers(text: str, runs: list[_Run]) -> Iterator[Entity]:
    folded = plain(text)
    for run in runs:
        is_named = _NAMED.search(folded[: run.start]) is not None
        is_long = LEAST_DIGITS - is_named <= len(run.digits) <= MOST_DIGITS
        is_told = is_named or len(run.parts) > 1 or text[run.start : run.end].isdigit()
        if is_long and is_told and not _COIN.match(text[run.end :]):
            yield Entity("number", run.digits, run.start, run.end)
