"""Which turn an item or a response belongs to. Pure."""

from __future__ import annotations


KEPT = 512
"""Items and responses remembered; a late event of an older one is told as the newest turn's."""


class TurnBook:
    """Numbers turns by the caller's items: ``turn_1`` begins with the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.last_answered = "turn_0"
        self._by_item: dict[str, str] = {}
        self._by_response: dict[str, str] = {}

    @property
    def current(self) -> str:
        """The newest turn; ``turn_0`` is what Penny says before the caller ever spoke."""
        return f"turn_{self.count}"

    def begin(self, item_id: str) -> str:
        """Begin a turn with this item of the caller's; the same item begins it only once."""
        known = self._by_item.get(item_id)
        if known is not None:
            return known
        self.count += 1
        self.note_item(item_id, self.current)
        return self.current

    def answer(self, response_id: str) -> str:
        """A response begins: it answers the newest turn."""
        self.last_answered = self.current
        _remember(self._by_response, response_id, self.current)
        return self.current

    def note_item(self, item_id: str, turn_id: str) -> None:
        if item_id not in self._by_item:
            _remember(self._by_item, item_id, turn_id)

    def note_answer(self, item_id: str, response_id: str) -> None:
        """This item is part of that response."""
        if item_id not in self._by_item:
            _remember(self._by_item, item_id, self.of_response(response_id))

    def of_item(self, item_id: str) -> str:
        return self._by_item.get(item_id, self.current)

    def of_response(self, response_id: str) -> str:
        return self._by_response.get(response_id, self.current)


def _remember(book: dict[str, str], key: str, turn_id: str) -> None:
    book[key] = turn_id
    if len(book) > KEPT:
        del book[next(iter(book))]
