"""What a telephone call begins with: who speaks, for whom, and that it is a machine. Pure.

The company's name and "asistente virtual" are the first words, whatever greeting a tenant or an
application gives; a greeting whose own first sentence says both is left as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from penny.localized import language_of
from penny.telephony.caller_wishes import fold


MOST_SCREENED = 105
"""Characters: seven seconds of speech at 15 a second."""
_MACHINE = ("asistente virtual", "virtual assistant")
_SENTENCE = re.compile(r"\s*[^.!?…]*[.!?…]*\s*")


@dataclass(frozen=True, slots=True)
class Opening:
    """``line`` is said first; ``identity``, its beginning, must have been heard."""

    identity: str
    line: str
    company: str

    def is_in(self, heard: str) -> bool:
        """Whether what was heard tells both."""
        return _tells(heard, self.company)


def open_call(
    company: str,
    language: str,
    notice: str,
    greeting: str,
    *,
    is_outbound: bool = False,
    is_commercial: bool = False,
) -> Opening:
    """The opening of a call.

    Args:
        company: "" where it is not configured: then the machine alone is told.
        notice: what is told of recording, behind the identity.
        is_commercial: says so, too.
    """
    first = _SENTENCE.match(greeting)
    own = first[0].strip() if first is not None else ""
    if own and _tells(own, company):
        identity, rest = own, greeting[len(first[0]) if first is not None else 0 :].strip()
    else:
        identity, rest = _introduce(company, language_of(language), is_outbound), greeting.strip()
    if is_commercial:
        english = language_of(language) == "en"
        identity += " This is a commercial call." if english else " Es una llamada comercial."
    return Opening(identity, " ".join(filter(None, (identity, notice, rest))), company)


def open_to_screener(company: str, language: str, reason: str) -> Opening:
    """What a call screener hears: company, machine and reason, in eight seconds at most.

    Args:
        reason: cut where it is too long.
    """
    identity = _introduce(company, language_of(language), is_outbound=True)
    room = MOST_SCREENED - len(identity) - 1
    words, said = reason.split(), ""
    while words and len(said) + len(words[0]) < room:
        said = f"{said} {words.pop(0)}".strip()
    return Opening(identity, f"{identity} {said}".strip(), company)


def _tells(words: str, company: str) -> bool:
    said = f" {fold(words)} "
    is_machine = any(f" {each} " in said for each in _MACHINE)
    return is_machine and f" {fold(company)} ".replace("  ", " ") in said


def _introduce(company: str, language: str, is_outbound: bool) -> str:
    if language == "en":
        return (
            f"{company}, the virtual assistant speaking."
            if company
            else ("This is the virtual assistant speaking.")
        )
    verb = "le llama" if is_outbound else "le atiende"
    start = f"{company}, {verb}" if company else verb.capitalize()
    return f"{start} el asistente virtual."
