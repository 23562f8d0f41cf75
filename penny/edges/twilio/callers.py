"""Who calls, as Twilio writes it: a number, a SIP address, or a sign that it is withheld. Pure."""

from __future__ import annotations


KEYPAD = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999", strict=True))
WORDS = ("ANONYMOUS", "RESTRICTED", "BLOCKED", "PRIVATE", "UNKNOWN", "UNAVAILABLE")
WITHHELD = frozenset(
    {word.lower() for word in WORDS}
    | {"+" + "".join(KEYPAD[letter] for letter in word) for word in WORDS}
)
"""The words, and the same as they are keyed: +266696687 is no one's number."""


def read_caller(told: str) -> str:
    """The caller as received; '' where the number is withheld, as every other wire says it."""
    name = told.strip().lower().removeprefix("sip:").partition("@")[0]
    return "" if name in WITHHELD else told
