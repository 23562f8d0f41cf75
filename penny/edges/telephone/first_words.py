"""What must be heard before a caller may interrupt: a call's opening, its hand-over. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal


Json = dict[str, Any]

BEGUN_WITHIN_S = 20.0
"""A speaker that has not begun to say it by then is not waited for: the caller is heard."""
MOST_TRIES = 3
TOLD_WITHIN_S = 12.0
"""As long as a session waits for the goodbye of a hand-off (``penny.session.endings``)."""

Verdict = Literal["wait", "again", "heard", "given_up"]


class FirstWords:
    """Follows the responses that say the opening.

    Args:
        is_said: whether what was heard is enough.
        line: the whole opening, as the speaker was asked to say it.
        again: the response that it is asked for where that was cut.
        is_whole: enough is only what was said to its end.
    """

    def __init__(
        self,
        is_said: Callable[[str], bool],
        line: str,
        again: Json,
        now_s: float,
        *,
        is_whole: bool = False,
    ) -> None:
        self._is_whole = is_whole
        self._is_said = is_said
        self._lines = {line, again["metadata"]["penny_say"]}
        self.again = again
        self._until_s = now_s + BEGUN_WITHIN_S
        self._response_id = ""
        self._has_ended = False
        self._tries = 1

    def take(self, event: Json) -> None:
        """An event of the speaker's."""
        if event["type"] == "response.created":
            asked = (event["response"].get("metadata") or {}).get("penny_say")
            if asked in self._lines:
                self._response_id, self._has_ended = event["response"]["id"], False
        elif event["type"] == "response.done":
            self._has_ended |= event["response"]["id"] == self._response_id

    def look(self, heard: str, now_s: float, *, is_playing: bool) -> Verdict:
        """What is to be done now.

        Args:
            heard: the words of the call that the caller has heard so far.
        """
        is_over = self._has_ended and not is_playing
        if self._is_said(heard) and (is_over or not self._is_whole):
            return "heard"
        if not self._response_id:
            return "wait" if now_s < self._until_s else "given_up"
        if not is_over:
            return "wait"
        if self._tries >= MOST_TRIES:
            return "given_up"
        self._tries += 1
        self._response_id, self._until_s = "", now_s + BEGUN_WITHIN_S
        return "again"


class HandOver:
    """Follows the response that tells a caller of the person who takes over: the first after the
    hand-off, or the one that it names.

    Args:
        handoff: the event (``penny.handoff``).
    """

    def __init__(self, handoff: Json, now_s: float) -> None:
        self._response_id = str(handoff.get("response_id") or "")
        self._until_s = now_s + TOLD_WITHIN_S
        self._has_ended = False

    def take(self, event: Json) -> None:
        """An event of the speaker's."""
        if event["type"] == "response.created" and not self._response_id:
            self._response_id = event["response"]["id"]
        elif event["type"] == "response.done":
            self._has_ended |= event["response"]["id"] == self._response_id

    def is_told(self, now_s: float, *, is_playing: bool) -> bool:
        """Whether it was heard to its last word, or there is none."""
        return not is_playing and (self._has_ended or now_s >= self._until_s)
