"""All attacks, in the order in which they are told."""

from __future__ import annotations

from tests.attacks import (
    availability,
    bodies,
    load,
    money,
    openid,
    rooms,
    secrets,
    small,
    strangers,
    tenants,
)
from tests.attacks.attack import ATTACKS, Attack


__all__ = [
    "ATTACKS",
    "availability",
    "bodies",
    "load",
    "money",
    "openid",
    "rooms",
    "secrets",
    "small",
    "strangers",
    "tenants",
]


def _short(*kinds: str) -> list[Attack]:
    return [attack for attack in ATTACKS if not attack.measured and attack.kind in kinds]


def name_of(attack: Attack) -> str:
    return attack.run.__name__


# Three files of tests, so that they run beside each other; no kind can be forgotten.
OWN_PROCESSES = _short("availability", "money")
WATCHED = _short("nobody attacks", "one caller")
SHARED = [each for each in ATTACKS if not each.measured and each not in (*OWN_PROCESSES, *WATCHED)]
