"""What a carrier's door and the dialer ask of each other about calls that are placed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Protocol

from config.telephony import DialingSection
from penny.gateway.phones import PhoneCall
from penny.telephony.dial_book import Dial


Json = dict[str, Any]


ENDS = {
    "completed": "completed",
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "canceled",
    "failed": "failed",
}
"""A carrier's last word -> the outcome."""
KEPT_BY_S = 30.0
"""By then the record of a call that had no session is in the store."""


class Placer(Protocol):
    """What places calls: a carrier."""

    async def place(self, dial: Dial, section: DialingSection) -> str:
        """Place a call; the carrier's name for it. Raises PennyError."""
        ...


class SeenBefore(Protocol):
    """What a carrier told, by name: neither of its signatures holds a time."""

    def take_once(self, name: str) -> bool:
        """Whether it comes for the first time. Waits for the disk."""
        ...

    def forget(self, name: str) -> None:
        """It may come again."""
        ...


class PlacedCalls(Protocol):
    """The calls that were placed, as far as the carrier's door tells of them and asks."""

    async def find(self, dial_id: str) -> PhoneCall | None:
        """The call, when it is answered; None where there is none, or it is over."""
        ...

    async def of_sid(self, call_sid: str) -> PhoneCall | None:
        """The call that the carrier names so, its dial in the context; None where it is over."""
        ...

    async def told(self, dial_id: str, call_sid: str, status: str) -> None:
        """The carrier's word for where the call is."""
        ...

    async def began(self, session_id: str) -> None:
        """Its session begins."""
        ...

    async def ended(self, session_id: str, reason: str) -> None:
        """Its session is over, or none was opened."""
        ...


def as_call(dial: Dial) -> PhoneCall:
    """What is to be answered; of a record that another version wrote, what it tells."""
    asked = dial.asked
    return PhoneCall(
        tenant=dial.tenant,
        caller=dial.caller_id,
        callee=dial.number,
        direction="outbound",
        mode=asked.get("mode"),
        language=asked.get("language") or "",
        greeting=asked.get("greeting"),
        instructions=asked.get("instructions") or "",
        actions=tuple(asked.get("actions", ())),
        context=asked.get("context", {}),
        is_commercial=asked.get("purpose") == "commercial",
        on_machine=asked.get("on_machine", "talk"),
        message=asked.get("message"),
        reason=asked.get("reason", ""),
        attempt=dial.attempt,
        session_id=dial.session_id,
    )


def as_owed(call: PhoneCall) -> Json:
    """What a call's record begins with, where no session wrote one."""
    kept = (
        "session_id", "tenant", "mode", "caller", "callee", "direction", "language", "attempt",
        "is_last_attempt",
    )  # fmt: skip
    fields = asdict(call)
    return {name: fields[name] for name in kept}
