"""Items of a conversation that its client sees otherwise than the model below, or alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from modes.self_hosted.mcp.toolbox import Listed
from penny.ids import new_id


Json = dict[str, Any]


@dataclass(slots=True)
class Call:
    """A call of a server's tool; ``before`` is the item that stands before it, below.

    ``item`` is what the client sees of it, an ``mcp_call``. ``is_said``: its arguments are whole,
    and it waits for the end of its response.
    """

    listed: Listed
    tool: Json
    call_id: str
    response_id: str
    output_index: int
    item: Json
    before: str | None = None
    is_said: bool = False

    def renamed(self, event: Json) -> Json:
        """What tells of the arguments of a function, as of a tool's."""
        kind = event["type"].replace("function_call_arguments", "mcp_call_arguments")
        kept = {key: value for key, value in event.items() if key not in ("call_id", "name")}
        return {**kept, "type": kind}


@dataclass(slots=True)
class Shown:
    """Which items are ours, and where they stand among those that the speaker knows.

    An item that the client alone sees (``above``) stands after one that both know; one that the
    speaker alone knows (a call's result) is taken for the call.
    """

    items: dict[str, Json] = field(default_factory=dict)
    before: dict[str, str | None] = field(default_factory=dict)
    """What stood before each item of the client's alone when it was put there."""
    _last: str | None = None
    _under: dict[str, str | None] = field(default_factory=dict)
    """Item of the client's alone -> the one that both know before it."""
    _over: dict[str | None, str] = field(default_factory=dict)
    """Item that both know -> the last of the client's alone after it."""
    _results: dict[str, str] = field(default_factory=dict)
    """A call's result -> the call."""

    def append(self, item: Json) -> str | None:
        """Put an item of the client's alone at the end; what stands before it."""
        before = self.before[item["id"]] = self._last
        self._last = item["id"]
        self.items[item["id"]] = item
        under = self._under[item["id"]] = self.below(before)
        self._over[under] = item["id"]
        return before

    def above(self, before: str | None, item_id: str) -> str | None:
        """What stands before an item of the speaker's, as the client sees it."""
        before = self._results.get(before or "", before)
        before = self._over.get(before, before)
        if before == self._last:
            self._last = item_id
        return before

    def below(self, item_id: str | None) -> str | None:
        """The item, or the one before it that the speaker knows."""
        return self._under.get(item_id, item_id) if item_id else item_id

    def is_alone(self, item_id: str) -> bool:
        """Whether the client alone sees it."""
        return item_id in self._under

    def is_result(self, item_id: object) -> bool:
        """Whether the speaker alone knows it."""
        return item_id in self._results

    def result_of(self, call_item_id: str) -> str:
        """The id of a call's result, which it has from now on."""
        for result, call in self._results.items():
            if call == call_item_id:
                return result
        result = new_id("item")
        self._results[result] = call_item_id
        return result

    def forget(self, item_id: str) -> None:
        """The client deleted an item."""
        del self.items[item_id]
        under = self._under.get(item_id)
        if self._over.get(under) == item_id:
            del self._over[under]
