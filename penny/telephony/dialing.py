"""Whether a number may be dialled now: destinations, hours, lists and caps. Pure.

Denied unless the tenant's prefixes allow it, at every door: each asks here, and a model's words
reach no number at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from config.telephony import DialingSection
from penny.errors import PennyError


COSTLY = (
    *("+34803", "+34806", "+34807", "+34905", "+34907"),  # premium rate in Spain (CNMC)
    *("+870", "+878", "+881", "+882", "+883", "+979"),  # satellite, networks, premium (ITU E.164)
)
"""Never dialled, however wide a tenant's prefixes are."""
MOBILES = {
    date(2025, 6, 7): ("+346", *(f"+347{digit}" for digit in range(1, 5))),  # ES, TDF/149/2025
}
"""Caller ids that may show no company's call, since when: a country's mobile numbers."""
CONSENT_DAYS = 730
"""A consent to commercial calls is renewed every two years."""


REQUEST_DAYS = 30
"""So long a customer's request for a call is answered. Of this house: the rule that asks for one
in the energy sector (Spain, February 2026) was not seen to name a time."""
SECTORS_BY_REQUEST = ("energia",)
"""Of their tenants commercial calls are placed at the customer's own request alone."""


class DialRefused(PennyError):
    """A call that may not be placed; ``code`` says by which rule, ``field`` what is at fault."""

    code = "dial_refused"


@dataclass(frozen=True, slots=True)
class DialCounts:
    """A tenant's calls: under way, placed in the last minute, today, and today to this number."""

    under_way: int = 0
    last_minute: int = 0
    today: int = 0
    to_number: int = 0


def read_number(text: str) -> str:
    """A number as it is dialled: ``+`` and digits.

    Raises:
        DialRefused: ``number_invalid``.
    """
    number = re.sub(r"[\s().-]", "", text)
    number = re.sub(r"^\+521([0-9]{10})$", r"+52\1", number)  # mobiles of Mexico until 2019
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", number):
        raise DialRefused(
            "to: write the number with its country code, as +34911111111",
            code="number_invalid",
            field="to",
        )
    return number


def check_destination(number: str, section: DialingSection, do_not_call: frozenset[str]) -> None:
    """Raises DialRefused: ``dialing_denied``, ``do_not_call``."""
    if not number.startswith(section.prefixes or ("none",)) or number.startswith(COSTLY):
        raise DialRefused(
            "to: this tenant may not dial there; telephony.dialing.<tenant>.prefixes allows",
            code="dialing_denied",
            field="to",
        )
    if number in do_not_call:
        raise DialRefused("to: this number asked not to be called", code="do_not_call", field="to")


def choose_caller_id(asked: str | None, section: DialingSection, today: date) -> str:
    """The number that is shown. Raises DialRefused: ``caller_id_denied``, ``caller_id_mobile``."""
    if not section.caller_ids or (asked is not None and asked not in section.caller_ids):
        raise DialRefused(
            "from: name a number of telephony.dialing.<tenant>.caller_ids",
            code="caller_id_denied",
            field="from",
        )
    chosen = asked or section.caller_ids[0]
    if any(today >= since and chosen.startswith(begins) for since, begins in MOBILES.items()):
        raise DialRefused(
            "from: a company's call may not show a mobile number there; name a geographic, 800 "
            "or 900 number",
            code="caller_id_mobile",
            field="from",
        )
    return chosen


def check_consent(at: date | None, today: date) -> None:
    """Of a commercial call. Raises DialRefused: ``consent_missing``."""
    if at is None or not timedelta() <= today - at <= timedelta(days=CONSENT_DAYS):
        raise DialRefused(
            "consent: a commercial call needs one of the last two years: at, source, wording",
            code="consent_missing",
            field="consent",
        )


def check_request(at: date | None, today: date, section: DialingSection) -> None:
    """Of a commercial call. Raises DialRefused: ``request_missing``."""
    if section.sector not in SECTORS_BY_REQUEST:
        return
    if at is None or not timedelta() <= today - at <= timedelta(days=REQUEST_DAYS):
        raise DialRefused(
            f"request: in the sector {section.sector} a commercial call needs a customer's own "
            f"request of the last {REQUEST_DAYS} days: at, source",
            code="request_missing",
            field="request",
        )


def check_counts(counts: DialCounts, section: DialingSection) -> None:
    """Raises DialRefused: ``dialing_limit``, naming the cap."""
    caps = (
        (counts.under_way, section.at_once, "at_once"),
        (counts.last_minute, section.per_minute, "per_minute"),
        (counts.today, section.per_day, "per_day"),
        (counts.to_number, section.attempts, "attempts"),
    )
    for used, most, name in caps:
        if used >= most:
            raise DialRefused(
                f"telephony.dialing.<tenant>.{name} ({most}) is reached",
                code="dialing_limit",
                field=name,
                retryable=True,
            )


def retry_after_s(
    outcome: str, attempt: int, attempts: int, section: DialingSection
) -> float | None:
    """How long after an attempt the next one comes; None where none follows."""
    gaps_min = {"no_answer": section.retry_no_answer_min, "busy": section.retry_busy_min}
    if attempt >= attempts or outcome not in gaps_min:
        return None
    return 60.0 * gaps_min[outcome]


def read_list(text: str) -> frozenset[str]:
    """The numbers of a do-not-call file: one a line; what follows a ``#`` is a remark.

    Raises:
        DialRefused: ``do_not_call``: a line is no number, so the list says nothing sure.
    """
    numbers = set()
    for at, line in enumerate(text.splitlines(), 1):
        if written := line.partition("#")[0].strip():
            try:
                numbers.add(read_number(written))
            except DialRefused:
                raise DialRefused(
                    f"nothing is dialled: line {at} of the do-not-call list is no number with its "
                    "country code, as +34911111111",
                    code="do_not_call",
                ) from None
    return frozenset(numbers)
