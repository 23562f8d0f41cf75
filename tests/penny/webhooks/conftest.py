"""Both databases, as for kept calls."""

from tests.penny.calls.conftest import postgres, url


__all__ = ["postgres", "url"]
