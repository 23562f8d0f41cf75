"""What the brain and the tools are shown of a call, and what their results become."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson

from brain.analysis import Exchange
from brain.folio import Folio
from modes.external.speaker import Json
from penny.ids import new_id


if TYPE_CHECKING:
    from modes.external.call import ExternalCall


HEARD_POLL_S = 0.25
SUMMARY_TURNS = 6
RESULT_TITLE = {"es": "[RESULTADO]", "en": "[RESULT]"}


class Recall:
    """The brain's and the tools' side of one call (BrainHost, ToolHost)."""

    def __init__(self, call: ExternalCall, language: str) -> None:
        self._call = call
        self._language = "en" if language.startswith("en") else "es"

    # -- for the brain ------------------------------------------------------------------------

    def history(self) -> tuple[Exchange, ...]:
        return self._call.mirror.exchanges(self._call.clock())

    async def heard(self, item_id: str) -> str:
        """Wait until an item has been heard, or was cut, or is gone."""
        call = self._call
        while True:
            item = call.mirror.get(item_id)
            if item is None:
                return ""
            left_s = item.ends_s - call.clock()
            if left_s <= 0 or not item.audio_ms:
                return item.heard(call.clock())
            await asyncio.sleep(min(left_s, HEARD_POLL_S))

    async def answered(self) -> None:
        await self._call.attendant.answered()

    def in_force(self) -> Json | None:
        folio = self._call.injector.desk.in_force("folio")
        return folio.body if folio is not None else None

    def offer(self, folio: Folio) -> None:
        self._call.offer(folio)

    def tell(self, event: Json) -> None:
        if event["type"] == "penny.tool_call":
            self._call.count_action(event["status"])
        self._call.tell(event)

    # -- for the tools ------------------------------------------------------------------------

    async def send_up(self, event: Json) -> None:
        await self._call.send_up(event)

    async def ask_response(self, params: Json | None = None) -> None:
        await self._call.ask_response(params)

    def turn_id(self) -> str:
        return self._call.mirror.newest_turn_id()

    def is_quiet(self) -> bool:
        return self._call.is_quiet()

    def announce(self, name: str, result: Json, item_id: str) -> None:
        """A late result becomes a speakable folio."""
        call = self._call
        said = orjson.dumps(result, default=str).decode()
        self._call.offer(
            Folio(
                id=new_id("folio"),
                kind="speakable",
                section="results",
                turn=call.mirror.turn,
                based_on=item_id,
                text=f"{RESULT_TITLE[self._language]} {name}: {said}",
                body={"action": name, "result": result},
                source="action",
                expires_after_turns=2,
                created_s=call.clock(),
            )
        )

    def summarise(self) -> str:
        """The folio in force and the last turns, for a person who takes over."""
        call = self._call
        body = self.in_force() or {}
        lines = [str(body["user_intent"])] if body.get("user_intent") else []
        data = body.get("relevant_data") or {}
        lines += [f"{name}: {value}" for name, value in data.items()]
        now_s = call.clock()
        turn = call.mirror.turn
        recent = list(call.mirror.exchanges(now_s)[-SUMMARY_TURNS:])
        recent.append(Exchange(turn, call.mirror.words_of(turn), call.mirror.reply_of(turn, now_s)))
        who = "Caller" if self._language == "en" else "Cliente"
        for each in recent:
            lines += [f"{who}: {each.caller}"] if each.caller else []
            lines += [f"Penny: {each.penny}"] if each.penny else []
        return "\n".join(lines)

    # -- what a placement becomes -------------------------------------------------------------

    def folio_placed(self, folio: Folio) -> None:
        """A folio is in the speaker's context: tell the caller's side; have it said if it is to."""
        call = self._call
        if folio.section == "correction":
            if not folio.strong:
                call.injector.desk.worth.corrections_made += 1
            call.tell(
                {
                    "type": "penny.correction",
                    **folio.body,
                    "item_id": folio.based_on,
                    "revision": folio.revision,
                }
            )
        elif folio.section == "folio":
            call.tell(self._context_update(folio))
        elif folio.kind == "speakable":
            call.speak_when_quiet()

    def _context_update(self, folio: Folio) -> Json:
        latency_ms = None
        if folio.turn_ended_s is not None:
            latency_ms = max(0, round((self._call.clock() - folio.turn_ended_s) * 1000))
        return {
            "type": "penny.context_update",
            "context_update": folio.body,
            "item_id": folio.based_on,
            "revision": folio.revision,
            "placement": folio.placement,
            "passages": list(folio.passages),
            "latency_ms": latency_ms,
            "usd": round(folio.usd, 6),
        }
