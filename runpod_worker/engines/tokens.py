"""How many tokens a text has, when the engine's own tokenizer is a server away.

Counts that matter (usage) come from the engine itself. This one serves what has to be told before
the engine speaks, and calls that are cut off: exact where a ``tokenizer.json`` is at hand, else a
ratio of characters that is corrected by what the server counts.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from penny.realtime.usage import CHARACTERS_PER_TOKEN, estimate_tokens


LEARN = 0.2
"""Weight of a new observation."""
MIN_OBSERVED_TOKENS = 8
NEAR = 0.05
"""An observation so near changes nothing."""


class TokenCounter:
    """Counts text tokens.

    Counts by ``tokenizer`` (a ``tokenizer.json``), else by a learned ratio, rounded up.
    """

    def __init__(self, tokenizer: Path | None = None) -> None:
        """Raises FileNotFoundError for a tokenizer that is not there."""
        self._tokenizer: Tokenizer | None = None
        if tokenizer is not None:
            if not tokenizer.is_file():
                raise FileNotFoundError(f"tokenizer: {tokenizer} is not a file")
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self.characters_per_token = CHARACTERS_PER_TOKEN

    def count(self, text: str) -> int:
        if self._tokenizer is not None:
            return len(self._tokenizer.encode(text, add_special_tokens=False).ids)
        return estimate_tokens(text, self.characters_per_token)

    def observe(self, text: str, tokens: int) -> None:
        """A server counted ``tokens`` in ``text``: lean the ratio towards that, if it is far off.

        What is cut by these counts (a prompt's beginning, which servers cache) stays where it is.
        """
        if tokens >= MIN_OBSERVED_TOKENS:
            ratio = len(text) / tokens
            if abs(ratio / self.characters_per_token - 1) < NEAR:
                return
            self.characters_per_token += (ratio - self.characters_per_token) * LEARN

    def narrow(self, factor: float) -> bool:
        """The estimate was too low: count more from now on. False where the count is exact."""
        self.characters_per_token *= factor
        return self._tokenizer is None
