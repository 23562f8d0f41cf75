"""What a caller on the telephone may ask for at any moment: no more calls, or a person."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from penny.aio.tasks import TaskOwner
from penny.analysis.person import wants_person
from penny.edges.telephone.edge import PhoneEdge
from penny.gateway.opening import say_exactly
from penny.localized import Localized, in_language
from penny.session.observers import Json, Observer
from penny.telephony.caller_wishes import wants_no_calls


NEVER_AGAIN = Localized(
    "All right: we will not call your number again.",
    es="De acuerdo: no volveremos a llamar a su número.",
)
NO_NUMBER = Localized(
    "Your number is not shown, so it cannot be taken off the list from here.",
    es="Su número no se muestra, así que desde aquí no puedo quitarlo de la lista.",
)


class PhoneWishes(Observer):
    """Observer of one call that hears these wishes whatever the model makes of them.

    What is being answered is stopped: a wish for no calls is written down and confirmed in one
    sentence, one for a person is answered by the action that hands over, with all that belongs to
    it (summary, event, goodbye).

    Args:
        opt_out: writes the caller's number down; False where it is not shown.
        opt_out_key: an entry that means the same; "" for none.
        person: the action that hands the call to a person; "" where it may use none.
    """

    listens_to = (
        "conversation.item.create",
        "conversation.item.input_audio_transcription.completed",
        "penny.transcript",
        "penny.handoff",
    )

    def __init__(
        self,
        edge: PhoneEdge,
        tasks: TaskOwner,
        language: str,
        opt_out: Callable[[], Awaitable[bool]],
        opt_out_key: str,
        person: str,
    ) -> None:
        self._edge, self._tasks, self._language = edge, tasks, language
        self._opt_out, self._key, self._person = opt_out, opt_out_key, person
        self._heard = ""
        """The item whose words were looked at last: they are told twice."""

    def caller_event(self, event: Json, at_s: float) -> None:
        content = event["item"].get("content") or ()
        if self._key and any(part.get("text") == self._key for part in content):
            self._never_again()

    def speaker_event(self, event: Json, at_s: float) -> None:
        if event["type"] == "penny.handoff":
            self._person = ""
            return
        words = event.get("transcript") or event.get("text") or ""
        if not words or event["item_id"] == self._heard:
            return
        self._heard = event["item_id"]
        if wants_no_calls(words):
            self._never_again()
        elif self._person and wants_person(words):
            choice = {"type": "function", "name": self._person}
            # After this event has reached the edge: it is being handed on just now.
            asking = partial(self._edge.answer_with, {"tool_choice": choice})
            asyncio.get_running_loop().call_soon(asking)

    def _never_again(self) -> None:
        self._tasks.spawn(self._write_down(), name="no more calls")

    async def _write_down(self) -> None:
        is_known = await self._opt_out()
        sentence = in_language(NEVER_AGAIN if is_known else NO_NUMBER, self._language)
        self._edge.answer_with(say_exactly(sentence)["response"])
