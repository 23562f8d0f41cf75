"""What of a model's text is an answer: its reasoning, function calls and code are not. Pure.

A block opens and closes anywhere in the stream of tokens, so the end of a piece that may become a
tag waits for the next one.
"""

from __future__ import annotations


HIDDEN = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<tool_call>": "</tool_call>",
}
"""Blocks that are neither shown nor said, as models without a server's parser write them."""
CODE = {"```": "```", "~~~": "~~~"}
"""Blocks that are read and not heard."""


class Sayable:
    """Leaves blocks out of a text that comes in pieces.

    Args:
        blocks: opening mark -> closing mark.
    """

    def __init__(self, blocks: dict[str, str]) -> None:
        self._blocks = blocks
        self._text = ""
        self._closing = ""
        """Of the block that is open."""

    def feed(self, piece: str) -> str:
        """What of it may be said by now."""
        self._text += piece
        said = ""
        while True:
            if self._closing:
                _, closed, after = self._text.partition(self._closing)
                if not closed:
                    self._text = self._text[-len(self._closing) :]  # a block may be long
                    return said
                self._text, self._closing = after, ""
            found = [(at, mark) for mark in self._blocks if (at := self._text.find(mark)) >= 0]
            if not found:
                whole = len(self._text) - self._open_end()
                said, self._text = said + self._text[:whole], self._text[whole:]
                return said
            at, mark = min(found)
            said += self._text[:at]
            self._text, self._closing = self._text[at + len(mark) :], self._blocks[mark]

    def flush(self) -> str:
        """What waited to become a mark and did not; a block left open is left out."""
        rest, self._text = ("" if self._closing else self._text), ""
        return rest

    def _open_end(self) -> int:
        """Length of the end that may be the beginning of a mark."""
        longest = min(max(map(len, self._blocks)) - 1, len(self._text))
        for size in range(longest, 0, -1):
            if any(mark.startswith(self._text[-size:]) for mark in self._blocks):
                return size
        return 0
