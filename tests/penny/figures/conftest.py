"""Both databases, as the tests of kept calls have them."""

from tests.penny.calls.conftest import postgres, url


__all__ = ["postgres", "url"]
