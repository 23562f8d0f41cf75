"""The default conversation: items in order, and the memory of those deleted."""

from __future__ import annotations

from collections.abc import Iterator

from penny.realtime.errors import ClientError
from penny.realtime.items import Item


REMEMBERED_DELETIONS = 4096
ROOT = "root"


class Conversation:
    """Items in order; at most ``max_items``, and ``max_chars`` of the client's own.

    A client cannot add more. The session's own items (speech, answers) always find room: the
    oldest item leaves the context, as with OpenAI's automatic truncation.
    """

    def __init__(self, conversation_id: str, max_items: int, max_chars: int) -> None:
        self.id = conversation_id
        self._max_items = max_items
        self._max_chars = max_chars
        self._chars = 0
        self._order: list[str] = []
        self._items: dict[str, Item] = {}
        self._deleted: dict[str, None] = {}

    def __iter__(self) -> Iterator[Item]:
        return (self._items[item_id] for item_id in self._order)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    @property
    def last_id(self) -> str | None:
        return self._order[-1] if self._order else None

    def find(self, item_id: str) -> Item | None:
        return self._items.get(item_id)

    def was_deleted(self, item_id: str) -> bool:
        return item_id in self._deleted

    def find_previous(self, item_id: str) -> str | None:
        """Return the id of the item before ``item_id``; None for the first."""
        index = self._order.index(item_id)
        return self._order[index - 1] if index else None

    def append(self, item: Item) -> str | None:
        """Add one of the session's own items; return the previous item's id."""
        if len(self._order) >= self._max_items:
            self._chars -= self._items.pop(self._order.pop(0)).chars
        previous = self.last_id
        self._order.append(item.id)
        self._add(item)
        return previous

    def insert(self, item: Item, after: str | None) -> str | None:
        """Add a client's item after ``after`` (None: last; "root": first); return the previous.

        Raises:
            ClientError: the id is taken, ``after`` is not there, or the conversation is full.
        """
        if item.id in self._items:
            raise ClientError(
                "item_create_duplicate_item_id",
                f"Error adding item: an item with id '{item.id}' already exists; choose another.",
                "item.id",
            )
        if len(self._order) >= self._max_items or self._chars + item.chars > self._max_chars:
            raise ClientError(
                "conversation_full",
                f"The conversation holds {len(self._order)} of {self._max_items} items and "
                f"{self._chars} of {self._max_chars} characters; delete some items first.",
                "item",
            )
        if after is None:
            return self.append(item)
        if after != ROOT and after not in self._items:
            raise ClientError(
                "item_create_invalid_previous_item_id",
                f"Error adding item: the previous item with id '{after}' does not exist; "
                "use an existing id, 'root', or leave it out.",
                "previous_item_id",
            )
        index = 0 if after == ROOT else self._order.index(after) + 1
        self._order.insert(index, item.id)
        self._add(item)
        return self.find_previous(item.id)

    def _add(self, item: Item) -> None:
        self._items[item.id] = item
        self._chars += item.chars
        self._deleted.pop(item.id, None)

    def delete(self, item_id: str) -> None:
        item = self._items.pop(item_id)
        self._order.remove(item_id)
        self._chars -= item.chars
        item.apply("delete")
        self._deleted[item_id] = None
        if len(self._deleted) > REMEMBERED_DELETIONS:
            self._deleted.pop(next(iter(self._deleted)))
