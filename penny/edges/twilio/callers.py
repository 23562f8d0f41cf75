"""Who calls and who is called, as Twilio writes it: a number or a SIP address. Pure."""

from __future__ import annotations

from urllib.parse import unquote


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


def read_callee(told: str) -> str:
    """The number called: that of a SIP address (a SIP domain's calls, bridges') is its user."""
    if not told.startswith(("sip:", "sips:")):
        return told
    return unquote(told.partition(":")[2].partition("@")[0].partition(";")[0])
