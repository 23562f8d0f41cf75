"""The operator of every gateway of the tests that asks its callers for no key."""

from __future__ import annotations


HOUSE_KEY = "penny_house_of_the_tests_only"
"""``tests/conftest.py`` puts it into the environment."""
OPERATOR = {"Authorization": f"Bearer {HOUSE_KEY}"}
