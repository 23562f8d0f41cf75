"""Which functions are servers' tools in which response: those that it was begun with. Pure."""

from __future__ import annotations

from typing import Any, Final

from modes.self_hosted.mcp.toolbox import Listed, Offered


Json = dict[str, Any]

MARK: Final = "pennymcp"
"""Key in ``metadata`` of a response with tools of its own, below; no client sees it."""
MAX_MARKED: Final = 32
"""Requests whose tools are kept, the newest: one whose worker is lost is asked for again."""


class Responses:
    """The tools of a session's responses, by response."""

    def __init__(self) -> None:
        self._serial = 0
        self._marked: dict[str, Offered] = {}
        self._offered: dict[str, Offered] = {}

    def mark(self, wishes: Json, offered: Offered) -> Json:
        """A request for a response with tools of its own, so that ``begin`` knows it."""
        self._serial += 1
        mark = str(self._serial)
        self._marked[mark] = offered
        if len(self._marked) > MAX_MARKED:
            del self._marked[next(iter(self._marked))]
        return {**wishes, "metadata": {**(wishes.get("metadata") or {}), MARK: mark}}

    def begin(self, response: Json, session: Offered) -> None:
        """A response was created; ``session`` is what it is offered unless it has its own."""
        mark = (response.get("metadata") or {}).get(MARK)
        self._offered[response["id"]] = session if mark is None else self._marked.get(mark, {})

    def end(self, response: Json) -> None:
        self._offered.pop(response["id"], None)

    def find(self, response_id: str | None, name: str) -> tuple[Listed, Json] | None:
        """The server and the tool that a call in a response means; None is the client's own."""
        return self._offered.get(response_id or "", {}).get(name)


def unmark(response: Json) -> Json:
    """A response as its client sees it."""
    metadata = response.get("metadata") or {}
    if MARK not in metadata:
        return response
    left = {key: value for key, value in metadata.items() if key != MARK}
    return {**response, "metadata": left or None}
