"""What is read alike in both languages: addresses, telephones, accounts, identity cards, codes."""

from __future__ import annotations

import re
from datetime import date
from functools import partial

from runpod_worker.spoken.counting import (
    Speech,
    decimal,
    digits,
    groups,
    letters,
    ordinal,
    roman,
    words,
    year,
)
from runpod_worker.spoken.scanner import Kind, kind
from runpod_worker.spoken.tables import load_tables


NUMBER = (
    r"(?:\d{1,3}(?:[.\u00a0\u202f '’]\d{3})+(?:,\d+)?|\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?)"
    r"(?!\d)"
)
"""A number as it is written, grouped by points, commas or spaces."""
_SYMBOLS = {
    "es": {"@": "arroba", ".": "punto", "-": "guion", "_": "guion bajo", "+": "más", "/": "barra",
           "*": "asterisco", "#": "almohadilla"},
    "en": {"@": "at", ".": "dot", "-": "dash", "_": "underscore", "+": "plus", "/": "slash",
           "*": "star", "#": "pound"},
}  # fmt: skip
PARTS = {"½": (1, 2), "¼": (1, 4), "¾": (3, 4), "⅓": (1, 3), "⅔": (2, 3)}
_LETTERS = re.compile(r"\b[BCDFGHJKLMNPQRSTVWXYZ]{2,5}(?!\w)")
_COUNTRY = r"[17](?=\D|\d{10})|20|27|3[0-46]|39|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[2-9]\d\d"
"""Country codes of telephones, of which none begins another."""
_EXTENSION = r"(?:\s?x\s?(?P<extension>\d{2,6}))?"
_COPULA = r"(?:\s(?:es|son|será|is|number|número))?(?:\s(?:el|la|the))?:?\s"
_CALLED = re.compile(
    r"\b(?:tel(?:[eé]f)?|tfno?|tlf|tel[eé]fonos?|fax|m[oó]vil|celular|whats?app|llam\w+|marqu\w+)\.?:?"
    r"(?: (?:es|al?|el|n[uú]mero))*\s$",
    re.IGNORECASE,
)
"""What stands before a telephone of seven digits in Spanish."""
_ENDING = {"es": "terminada en", "en": "ending in"}
_NUMBER_WORD = {"es": "número", "en": "number "}
_CENTURY = {"s.": "siglo"}
_FILE = "pdf|docx?|xlsx?|pptx?|odt|jpe?g|png|gif|zip|csv|txt|mp[34]|xml|html?|json"
_TLD = "com|es|org|net|info|eu|cat|gal|eus|mx|ar|co|cl|pe|io|app|ai|gob|gov|edu|uk|tv"


def identifiers(speech: Speech) -> tuple[Kind, ...]:
    """The kinds of this module, the surest first."""
    return (*_addresses(speech), *_persons(speech), *_codes(speech))


def _addresses(speech: Speech) -> tuple[Kind, ...]:
    """On the net, and at a bank."""
    return (
        kind("e-mail", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", lambda m: spell(m[0], speech)),
        kind(
            "web",
            rf"(?:https?://)?(?:www\.)?((?:[\w-]+\.)+(?:{_TLD})(?:\.[a-z]{{2}})?)(?::\d+)?"
            r"((?:/[\w%~.-]*\w)*)/?(?:\?[^\s]*)?(?:#[\w-]*)?(?![\w@])",
            lambda m: spell(m[1] + m[2], speech),
        ),
        kind("web", r"https?://(\S+?)/?(?=[.,;:!?)]*(?:\s|$))", lambda m: spell(m[1], speech)),
        kind(
            "account",
            r"[A-Z]{2}\d{2}(?:[ -]?[A-Z\d]{4}){3,7}(?:[ -]?[A-Z\d]{1,3})?(?!\w)",
            lambda m: _account(m[0], speech),
            cased=True,
        ),
        kind(
            "card",
            r"(?:[*x•·]{2,4}[ -]?){1,3}(\d{4})(?!\w)",
            lambda m: _masked(m, speech),
        ),
        kind(
            "card",
            r"\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?!\w)",
            lambda m: groups(re.findall(r"\d+", m[0]), speech),
        ),
        kind("grouped digits", r"\d{2,}(?:[ -]\d{2,}){2,}(?![\w-])", partial(_long_groups, speech)),
        kind(
            "code after its name",
            rf"((?:{load_tables(speech).codes}){_COPULA})(\d{{3,}})(?![\w.,:/-]\d|\w)",
            lambda m: (
                _LETTERS.sub(lambda name: letters(name[0], speech), m[1]) + digits(m[2], speech)
            ),
        ),
        kind(
            "number of its name",
            rf"({load_tables(speech).numbered}{_COPULA}(?:n\.?[º°]\s?|#)?)"
            r"(\d{5,}(?:[-/]\d+)*)(?![\w.,:]\d|\w|\s?[€$£%])",
            partial(_file_number, speech),
        ),
        kind(
            "bank code",
            r"((?:BIC|SWIFT)(?: es| is)?:?\s)([A-Z]{6}[A-Z0-9]{2,5})(?!\w)",
            lambda m: m[1] + _code(m[2], speech, spelled=True),
        ),
    )


def _persons(speech: Speech) -> tuple[Kind, ...]:
    """Identity cards and telephones."""
    return (
        kind(
            "identity card",
            r"(?:(?:[XYZ]-?\d{7}|\d{2}\.?\d{3}\.?\d{3})-?[A-Z]|[ABCDEFGHJNPQRSUVW]-?\d{7}-?[A-Z0-9])"
            r"(?!\w)",
            lambda m: _identity(m[0], speech),
            cased=True,
        ),
        kind(
            "telephone",
            rf"\(?(?:\+|00(?=\d{{2}}[ .-]))({_COUNTRY})\)?[ .-]?"
            rf"((?:\(?\d{{1,4}}\)?[ .-]?){{1,5}}\d{{2,4}}){_EXTENSION}(?![\w-])",
            lambda m: _international(m, speech),
        ),
        kind(
            "telephone",
            r"(?:\(\d{2,4}\)[ .-]?)?\d{2,4}(?:[ .-]\d{2,4}){1,4}(?![\w-]|[.,]\d)",
            lambda m: _telephone(m[0], speech),
        ),
        kind(
            "telephone",
            rf"((?:1[ .-])?(?:\(\d{{3}}\)\s?|\d{{3}}[ .-])\d{{3}}[ .-]\d{{4}})"
            rf"{_EXTENSION}(?![\w-])",
            lambda m: groups(re.findall(r"\d+", m[1]), speech) + _extension(m, speech),
        ),
        kind("telephone", r"\d{4}-\d{4}(?![\w-])", partial(_two_fours, speech)),
        kind("telephone", r"\d{3}[ -]\d{4}(?![\w-])", partial(_seven_digits, speech)),
        kind("telephone", r"[6789]\d{8}(?!\w)", lambda m: _telephone(m[0], speech)),
    )


def _codes(speech: Speech) -> tuple[Kind, ...]:
    """Versions, keys, codes and what else is read letter by letter."""
    return (
        kind("version", r"v?(\d+(?:\.\d+){2,3})(?![\w.,]\d)", lambda m: _version(m[1], speech)),
        kind(
            "version",
            r"((?:versi[oó]n|art[ií]culo|apartado|secci[oó]n|section|art\.|tabla|table|figur[ae]|ejemplo|"
            r"example|cap[ií]tulo|chapter|cuadro|anexo) |v)"
            r"(\d+(?:\.\d+)+)(?![\w.,]\d)",
            lambda m: f"{_named(m[1], speech)} {_version(m[2], speech, is_named=True)}",
        ),
        kind(
            "label",
            r"((?:listados?|figuras?|tablas?|cuadros?|gr[aá]ficos?|listings?|figures?|tables?|fig\.)\s)"
            r"(\d{1,3})-(\d{1,3})(?![\w-])",
            lambda m: (
                m[1] + f" {_SYMBOLS[speech]['-']} ".join(words(int(m[i]), speech) for i in (2, 3))
            ),
        ),
        kind(
            "path",
            r"(?<!\w)(?=[\w./-]*[a-z])(?:(?:/[\w.-]*\w){2,}/?|(?:[\w-]+/)+[\w-]+\.[a-z]{2,5}(?!\w))",
            lambda m: spell(m[0].rstrip("/"), speech),
        ),
        kind("file", rf"[\w-]+(?:\.[\w-]+)*\.(?:{_FILE})(?!\w)", lambda m: spell(m[0], speech)),
        kind("dialled", r"(?:[*#]{2,}|\*)\d[\d*#]*|#\d+[*#][\d*#]*", lambda m: spell(m[0], speech)),
        kind("key", r"[*#](?=[\s,.;:?!]|$)(?!\s\d)", lambda m: _SYMBOLS[speech][m[0]]),
        kind("slash", r"(?<=\d)/(?=\d)", f" {_SYMBOLS[speech]['/']} "),
        kind("handle", r"@(?=\w)", f"{_SYMBOLS[speech]['@']} "),
        kind(
            "code",
            r"(?=[A-Z0-9/-]*\d)(?=[A-Z0-9/-]*[A-Z])[A-Z0-9]+(?:[-/][A-Z0-9]+)*(?!\w)",
            partial(_bare_code, speech),
            cased=True,
        ),
        *_romans(speech),
        kind("letters", _LETTERS.pattern, lambda m: letters(m[0], speech), cased=True),
    )


def spell(text: str, speech: Speech) -> str:
    """An address: its words as words, its signs by name, its digits one by one."""
    symbols = _SYMBOLS[speech]
    parts = re.findall(r"\d+|[^\W\d_]+|.", text)
    said = [digits(part, speech) if part.isdecimal() else symbols.get(part, part) for part in parts]
    return " ".join(" ".join(said).split())


def _romans(speech: Speech) -> tuple[Kind, ...]:
    """Kings by ordinal, in Spanish up to ten; centuries, chapters and other numerals counted."""
    names = "|".join(load_tables(speech).regnal)
    return (
        kind("king", rf"({names})\s([IVX]+)(?!\w)", partial(_king, speech), cased=True),
        kind(
            "roman",
            r"(siglos?|s\.|cap[ií]tulos?|tomos?|t[ií]tulos?|anexos?|chapters?|volumes?|parts?)\s"
            r"((?-i:[IVXLCDM]+))(?:\s?[-–]\s?((?-i:[IVXLCDM]+)))?(?!\w)",
            partial(_numbered, speech),
        ),
        kind("roman", r"[IVX]{2,}(?!\w)", lambda m: _numeral(m[0], speech), cased=True),
    )


def _numbered(speech: Speech, m: re.Match[str]) -> str | None:
    first, last = _numeral(m[2], speech), _numeral(m[3], speech) if m[3] else ""
    if first is None or last is None:
        return None
    link = {"es": " a ", "en": " to "}[speech] if last else ""
    return f"{_CENTURY.get(m[1], m[1])} {first}{link}{last}"


def _numeral(written: str, speech: Speech) -> str | None:
    number = roman(written)
    return words(number, speech) if number else None


def _masked(m: re.Match[str], speech: Speech) -> str:
    """``**** 1234``: the ending, unless the words before say that already."""
    is_told = re.search(r"\b(?:en|in|with)\s$", m.string[: m.start()], re.IGNORECASE)
    last = digits(m[1], speech)
    return last if is_told else f"{_ENDING[speech]} {last}"


def _king(speech: Speech, m: re.Match[str]) -> str | None:
    number = roman(m[2])
    if not number:
        return None
    if speech == "en":
        return f"{m[1]} the {ordinal(number, 'en')}"
    ending = "a" if m[1].endswith(("a", "bel")) else "o"
    return f"{m[1]} {ordinal(number, 'es', ending) if number <= 10 else words(number, 'es')}"


def _long_groups(speech: Speech, m: re.Match[str]) -> str | None:
    """An account or a serial number; not a number that is grouped by three."""
    written = re.findall(r"\d+", m[0])
    if sum(map(len, written)) < 13 or all(len(each) == 3 for each in written[1:]):
        return None
    return groups(written, speech)


def _account(text: str, speech: Speech) -> str:
    bare = re.sub(r"[ -]", "", text)
    fours = [bare[4:][at : at + 4] for at in range(0, len(bare) - 4, 4)]
    said = ", ".join(_letters_and_digits(four, speech) for four in fours)
    return f"{letters(bare[:2], speech)}, {digits(bare[2:4], speech)}, {said}"


def _letters_and_digits(text: str, speech: Speech) -> str:
    runs = re.findall(r"\d+|[A-Z]+", text)
    return " ".join(
        digits(run, speech) if run.isdecimal() else letters(run, speech) for run in runs
    )


def _identity(text: str, speech: Speech) -> str:
    parts = re.findall(r"\d+|[A-Z]", text.replace(".", ""))
    return ", ".join(_letters_and_digits(part, speech) for part in parts)


def _international(match: re.Match[str], speech: Speech) -> str | None:
    written = re.findall(r"\d+", match[2])
    if not 7 <= sum(map(len, written)) <= 12:
        return None
    plus = _SYMBOLS[speech]["+"]
    told = f"{words(int(match[1]), speech)}, {groups(_split(written), speech)}"
    return f"{plus} {told}{_extension(match, speech)}"


def _extension(match: re.Match[str], speech: Speech) -> str:
    name = {"es": "extensión", "en": "extension"}[speech]
    return f", {name} {digits(match['extension'], speech)}" if match["extension"] else ""


def _telephone(text: str, speech: Speech) -> str | None:
    written = re.findall(r"\d+", text)
    length = sum(map(len, written))
    if not 7 <= length <= 12 or (len(written) == 3 and _is_date(written)):
        return None
    is_grouped = "." in text and all(len(group) == 3 for group in written[1:])
    if is_grouped and (length != 9 or text[0] < "6" or written[-1] == "000"):
        return None  # a number grouped by points
    sizes = [len(group) for group in written]
    is_net = len(sizes) == 4 and text.count(".") == 3 and max(map(int, written)) < 256
    if sizes == [4, 4] or (is_net and sizes != [2, 3, 2, 2]):
        return None  # two years, or an address on the net
    is_told = length in (9, 10) or len(sizes) > 4 or sizes == [3, 2, 2] or text[0] == "0"
    if speech == "es" and len(written) > 1 and not is_told:
        return None
    return groups(_split(written), speech)


def _file_number(speech: Speech, match: re.Match[str]) -> str:
    """The number of an order or a file, digit by digit; a year behind its slash is one."""
    said = [re.sub(r"\bn\.?[º°]|#", _NUMBER_WORD[speech], match[1])]
    for part in re.findall(r"\d+|[-/]", match[2]):
        if part in _SYMBOLS[speech]:
            said.append(f" {_SYMBOLS[speech][part]} ")
        else:
            is_year = len(said) > 1 and re.fullmatch(r"(?:19|20)\d\d", part)
            said.append(year(int(part), speech) if is_year else digits(part, speech))
    return "".join(said)


def _two_fours(speech: Speech, match: re.Match[str]) -> str | None:
    """A telephone of Central and South America; two years are a span."""
    written = match[0].split("-")
    began, ended = map(int, written)
    is_told = match.string[: match.start()].endswith("(")
    is_span = 1000 <= began < ended <= 2100 and (is_told or ended - began <= 150)
    return None if is_span else groups(written, speech)


def _seven_digits(speech: Speech, match: re.Match[str]) -> str | None:
    is_called = _CALLED.search(match.string[: match.start()])
    return groups(re.findall(r"\d+", match[0]), speech) if is_called else None


def _split(written: list[str]) -> list[str]:
    """A number without groups as it is told: three, two, two, two (Spain) or three, three, four."""
    if len(written) > 1:
        return written
    whole = written[0]
    sizes = (3, 2, 2, 2) if len(whole) == 9 else (3, 3, 4) if len(whole) == 10 else (len(whole),)
    at, told = 0, []
    for size in sizes:
        told.append(whole[at : at + size])
        at += size
    return told


def _is_date(written: list[str]) -> bool:
    first, second, third = (int(group) for group in written)
    for a_year, month, day in ((third, second, first), (first, second, third)):
        try:
            date(a_year, month, day)
        except ValueError:
            continue
        return len(written[0]) <= 2 or len(written[0]) == 4
    return False


def _named(name: str, speech: Speech) -> str:
    return "artículo" if speech == "es" and name.lower() == "art. " else name.strip()


def _version(text: str, speech: Speech, *, is_named: bool = False) -> str | None:
    parts = text.split(".")
    if not is_named and all(len(part) == 3 for part in parts[1:]):
        return None  # a number grouped by points
    point = _SYMBOLS[speech]["."] if speech == "es" else "point"
    return f" {point} ".join(decimal(part, speech) for part in parts)


def _bare_code(speech: Speech, m: re.Match[str]) -> str | None:
    """A code, unless it begins as a number with its unit: ``16GB``, ``110-220V``."""
    found = re.match(r"\d+(?:-\d+)?([A-Z]+)(?![A-Z0-9-])", m[0])
    unit = found[1] if found else ""
    is_unit = unit in ("V", "W") or (len(unit) > 1 and unit.lower() in load_tables(speech).units)
    return None if is_unit else _code(m[0], speech)


def _code(text: str, speech: Speech, *, spelled: bool = False) -> str:
    """``F-2024-1234``: letters apart, years whole, other digits in pairs, from zero one by one."""
    said: list[str] = []
    for part in re.findall(r"\d+|[A-Z]+", text):
        if part.isdecimal():
            said.append(_code_digits(part, speech))
        else:
            said.append(letters(part, speech) if len(part) <= 4 or spelled else part)
    return (" " if len(text) <= 3 and "A" not in text else ", ").join(said)


def _code_digits(part: str, speech: Speech) -> str:
    if part.startswith("0") or (len(part) % 2 and len(part) > 3) or len(part) > 6:
        return digits(part, speech)
    if len(part) == 4 and part.startswith(("19", "20")):
        return year(int(part), speech)
    if len(part) <= 3:
        return words(int(part), speech)
    pairs = [part[at : at + 2] for at in range(0, len(part), 2)]
    return ", ".join(
        digits(pair, speech) if pair.startswith("0") else words(int(pair), speech) for pair in pairs
    )
