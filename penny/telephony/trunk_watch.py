"""What becomes of a trunk that is asked again and again whether it takes us. Pure.

Three refusals of the credentials in a row reject it: a password that was revoked is not tried for
ever, which carriers answer with a ban. Silence is no refusal: it is asked again without end, and
told of once it has lasted for five minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from penny.telephony.probe import Step


Word = Literal["taken", "refused", "silent", "unknown"]
Alert = Literal["trunk_rejected", "trunk_silent", "trunk_back"]

REFUSALS = 3
SILENT_S = 300.0
_WORDS: dict[str, Word] = {
    "credentials_accepted": "taken",
    "credentials_refused": "refused",
    "password_unset": "refused",
    "no_such_host": "silent",
}


def read_word(steps: list[Step]) -> Word:
    """What a test of the connection says of the trunk."""
    last = steps[-1]
    if last.state == "ok" and last.name == "register":
        return "taken"
    if last.name in ("options", "register") and "answering" in last.facts:
        return "silent"
    return _WORDS.get(last.code, "unknown")


@dataclass(slots=True)
class Standing:
    """One trunk. ``refusals`` in a row; moments by the caller's clock, in seconds."""

    refusals: int = 0
    silent_since_s: float | None = None
    alert: Alert | None = None

    @property
    def is_rejected(self) -> bool:
        """It is asked no more: only another password or server changes that."""
        return self.refusals >= REFUSALS

    def take(self, word: Word, now_s: float) -> Alert | None:
        """What it said now; what the operator is to be told, each once."""
        if word == "unknown":
            return None
        if word == "silent":
            since_s = self.silent_since_s
            self.silent_since_s = now_s if since_s is None else since_s
            lasts_s = now_s - self.silent_since_s
            return self._tell("trunk_silent") if lasts_s >= SILENT_S else None
        self.silent_since_s = None
        if word == "refused":
            self.refusals += 1
            return self._tell("trunk_rejected") if self.is_rejected else None
        was_told, self.refusals, self.alert = self.alert, 0, None
        return "trunk_back" if was_told is not None else None

    def _tell(self, alert: Alert) -> Alert | None:
        if self.alert == alert:
            return None
        self.alert = alert
        return alert
