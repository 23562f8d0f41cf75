"""All attacks, in the order in which they are told."""

from __future__ import annotations

from tests.attacks import availability, load, money, rooms, secrets, small, tenants
from tests.attacks.attack import ATTACKS


__all__ = ["ATTACKS", "availability", "load", "money", "rooms", "secrets", "small", "tenants"]
