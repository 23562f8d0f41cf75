"""OpenAI's servers, and OpenAI Realtime (GA): how a context lives in its sessions.

Address and credentials are the SDK's. Its own connection is not used: a task and a future for every
frame cost more than a bare relay does, its parsing validates nothing, and its reconnection would go
on silently in an empty session.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from config.credentials import OPENAI_API_KEY, read_secret
from modes.external.speaker import Capabilities, Json, Step, Translator
from modes.realtime import CONNECT_TIMEOUT_S, SEND_LIMIT_S, RealtimeSpeaker, configure, set_up
from penny.aio.dial import HandshakeError, dial
from penny.errors import ModeUnavailable, SpeakerLost
from penny.ids import new_id
from penny.session.mode import Speaker


if TYPE_CHECKING:
    import openai


TERMINAL_CODES = (
    "insufficient_quota",
    "credit_balance_exhausted",
    "billing_hard_limit_reached",
    "invalid_api_key",
    "account_deactivated",
    "beta_api_shape_disabled",
    "model_not_found",
)


def end_if_terminal(fault: Json) -> None:
    """Raises SpeakerLost, not retryable, for an error that no second attempt mends."""
    code = fault.get("code")
    if code in TERMINAL_CODES:
        raise SpeakerLost(fault.get("message") or code, code=code, retryable=False)


class VendorProvider:
    """What opens OpenAI's upstreams. ``base_url``: another server; then no key is needed."""

    name = "openai"

    def __init__(self, base_url: str | None) -> None:
        self._base_url = base_url
        self._client: openai.AsyncOpenAI | None = None

    async def connect(self, path: str, query: Mapping[str, str], model: str) -> RealtimeSpeaker:
        """Open the WebSocket at ``path`` below the base URL. Raises ModeUnavailable."""
        if self._client is None:
            import openai  # half a second: ``ExternalMode`` has done it before

            key = read_secret(OPENAI_API_KEY, os.environ)
            secret = key.get_secret_value() if key is not None else "none"
            self._client = openai.AsyncOpenAI(api_key=secret, base_url=self._base_url)
        base = urlsplit(str(self._client.base_url))
        scheme, host = "ws" if base.scheme == "http" else "wss", base.hostname or ""
        url = f"{scheme}://{base.netloc}{base.path.rstrip('/')}/{path}"
        proxies = {} if proxy_bypass(host) else getproxies()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                connection = await dial(
                    f"{url}?{urlencode(query)}" if query else url,
                    self._client.auth_headers,
                    proxy=proxies.get("https" if scheme == "wss" else "http"),
                    send_limit_s=SEND_LIMIT_S,
                )
        except (OSError, TimeoutError) as error:
            raise _unreachable(error) from error
        return RealtimeSpeaker(connection, {"model": model, "provider": self.name})

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.close()


def _unreachable(error: Exception) -> ModeUnavailable:
    status = error.status if isinstance(error, HandshakeError) else None
    if status is None:
        message = f"the speaker cannot be reached: {type(error).__name__}"
        remedy = "see whether it runs and listens at the configured address"
        return ModeUnavailable(message, remedy=remedy, retryable=True)
    final = status in (401, 403, 404)
    message = f"the speaker refused the connection: HTTP {status}"
    remedy = "check the key and the model" if final else "try again in a moment"
    return ModeUnavailable(message, remedy=remedy, retryable=not final)


class OpenAIProvider(VendorProvider):
    """OpenAI's Realtime servers, or others that speak its protocol, such as Penny's own."""

    name = "openai"
    default_model = "gpt-realtime-2.1"
    able = Capabilities()

    async def open(self, model: str, session: Json, seed: Sequence[Json]) -> RealtimeUpstream:
        speaker = await self.connect("realtime", {"model": model}, model)
        upstream = RealtimeUpstream(speaker, self.able)

        async def steps() -> None:
            await configure(speaker, session)
            for item in seed:
                upstream.seed(item)

        await set_up(speaker, steps())
        return upstream


class RealtimeUpstream(Translator):
    """A speaker that takes Realtime events. Answers to changes of the context stay inside.
    ``seeded``: ids of items that it was opened with."""

    untouched = frozenset({"response.output_audio.delta"})

    def __init__(self, speaker: Speaker, able: Capabilities, seeded: Sequence[str] = ()) -> None:
        super().__init__(speaker, able)
        self._own: dict[str, str] = {}
        """Our own events without an answer -> the step that each is for, or ""."""
        self._updates: deque[str] = deque()
        """Session updates without an answer, everybody's: their event ids."""
        self._answers: dict[tuple[str, str], str] = {}
        """(kind of event, item) that answers one of our own events -> that event."""
        self._notes: dict[str, str] = {}
        """Folio -> the item that carries it."""
        self._quiet = set(seeded)
        """Items whose events stay here: seeds and notes."""

    def send(self, event: Json) -> None:
        if event["type"] == "session.update":
            event = {**event, "event_id": event.get("event_id") or new_id("event")}
            self._updates.append(event["event_id"])
        self._speaker.send(event)

    def change(self, step: Step) -> None:
        if step.act == "rewrite":
            session = {"type": "realtime", "instructions": step.text}
            event_id = self._note(step.id)
            self.send({"type": "session.update", "event_id": event_id, "session": session})
        elif step.act == "append":
            item_id = self._notes[step.folios[0]] = new_id("item")
            content = [{"type": "input_text", "text": step.text}]
            message = {"type": "message", "role": "system", "content": content}
            self._create({"id": item_id, **message}, step.id)
        else:
            self._delete(self._notes.pop(step.folios[0], ""), step.id)

    def seed(self, item: Json) -> None:
        """Its events are reported to no listener."""
        if item["id"] in self._quiet:
            self._delete(item["id"], "")
        if item.get("content") != []:
            self._create(item, "")

    def _create(self, item: Json, step_id: str) -> None:
        event_id = self._answers[_ADDED, item["id"]] = self._note(step_id)
        self._quiet.add(item["id"])
        event = {"type": "conversation.item.create", "event_id": event_id, "item": item}
        self._speaker.send(event)

    def _delete(self, item_id: str, step_id: str) -> None:
        event_id = self._answers[_DELETED, item_id] = self._note(step_id)
        event = {"type": "conversation.item.delete", "event_id": event_id, "item_id": item_id}
        self._speaker.send(event)

    def _note(self, step_id: str) -> str:
        event_id = new_id("event")
        self._own[event_id] = step_id
        return event_id

    def translate(self, event: Json) -> Iterator[Json]:
        kind = event["type"]
        if kind == "conversation.item.created":  # as some servers still name it
            kind, event = _ADDED, {**event, "type": _ADDED}
        item_id = event.get("item_id") or (event.get("item") or {}).get("id")
        if kind == "session.updated" and self._updates:
            yield from self._answered(self._updates.popleft(), event)
        elif kind == "error":
            end_if_terminal(event["error"])
            yield from self._refused(event["error"].get("event_id") or "", event)
        elif kind not in _ITEM_EVENTS or item_id not in self._quiet:
            yield event
        elif (kind, item_id) in self._answers:
            yield from self._answered(self._answers.pop((kind, item_id)), None)
        elif kind == _DELETED:
            self._quiet.discard(item_id)  # the caller's side took a seeded item out
            yield event

    def _answered(self, event_id: str, event: Json | None) -> Iterator[Json]:
        step_id = self._own.pop(event_id, None)
        if step_id:
            yield {"type": "penny.placed", "step_id": step_id}
        elif step_id is None and event is not None:
            yield event

    def _refused(self, event_id: str, event: Json) -> Iterator[Json]:
        if event_id in self._updates:
            self._updates.remove(event_id)
        step_id = self._own.pop(event_id, None)
        if step_id is None:
            yield event
        elif step_id:
            fault = event["error"]
            refused = {"type": "penny.placement_refused", "step_id": step_id}
            yield {**refused, "code": fault.get("code"), "message": fault.get("message")}


_ADDED, _DELETED = "conversation.item.added", "conversation.item.deleted"
_ITEM_EVENTS = frozenset({_ADDED, "conversation.item.done", _DELETED})
