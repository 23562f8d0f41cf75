"""A caller at the session's side of an EXTERNAL call: says things, keeps what comes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from config.schema import Config
from kb import KnowledgeBase
from modes.external.call import ExternalCall
from modes.external.conversation import Conversation
from modes.external.mode import ExternalMode
from penny.errors import SpeakerLost
from penny.session.mode import Mode, SessionSpec
from tests.doubles.sample import DOCUMENTS, INDEX
from tests.realtime_schema import assert_server_event_valid


Json = dict[str, Any]

ROOT = Path(__file__).parents[3]
WAIT_S = 60.0


class Caller:
    """Reads the call's events into ``heard`` (a SpeakerSink)."""

    def __init__(self, call: ExternalCall, mode: ExternalMode) -> None:
        self.call = call
        self.mode = mode
        self.heard: list[Json] = []
        self.faults: list[str] = []
        """Events that the SDK's types do not describe."""
        self._news = asyncio.Event()
        self.ended: BaseException | None = None
        call.start(self)

    def on_event(self, event: Json, /) -> None:
        self.heard.append(event)
        if not event["type"].startswith("penny."):
            try:
                assert_server_event_valid(event)
            except Exception as fault:
                self.faults.append(f"{event['type']}: {fault}")
        self._news.set()

    def on_closed(self, error: SpeakerLost | None, /) -> None:
        self.ended = error
        self._news.set()

    async def send(self, event: Json) -> None:
        """Send an event, and let what it causes go on its way."""
        self.call.send(event)
        await asyncio.sleep(0)

    @property
    def conversation(self) -> Conversation:
        return self.call.state.conversation

    def all(self, kind: str) -> list[Json]:
        return [event for event in self.heard if event["type"] == kind]

    async def until(self, kind: str, ready: Callable[[Json], bool] = lambda event: True) -> Json:
        """The first event of a kind that is ``ready``, waiting for it."""
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    found = next((e for e in self.all(kind) if ready(e)), None)
                    if found is not None:
                        return found
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            kinds = [event["type"] for event in self.heard[-12:]]
            raise AssertionError(f"{kind} did not come; last came {kinds}") from None

    async def wait(self, ready: Callable[[], bool]) -> None:
        """Wait for a state that no event tells."""
        async with asyncio.timeout(WAIT_S):
            while not ready():
                await asyncio.sleep(0.005)

    async def settle(self) -> None:
        """Let everything that is ready run."""
        for _ in range(40):
            await asyncio.sleep(0.002)

    def notes(self, kind: str) -> list[Json]:
        """What is kept of the call beside what clients are told."""
        return [event for event in self.all("penny.note") if event["note"] == kind]

    async def aclose(self) -> None:
        await self.call.aclose()
        assert not self.faults, self.faults


def configure(tmp_path: Path, speaker_url: str, brain_url: str | None, **sections: Json) -> Config:
    external: Json = {"portavoz_base_url": speaker_url, "cerebro_base_url": brain_url}
    return Config.model_validate(
        {
            "penny": {"modes": {"EXTERNAL": {**external, **sections.pop("external", {})}}},
            "kb": {"documents": str(DOCUMENTS), "index": str(INDEX)},
            # As long as a busy machine needs: what is tested is that facts are told, not how soon.
            "brain": {"facts_budget_ms": 1000, **sections.pop("brain", {})},
            # Nor is what a slow action has said: a busy machine makes every action slow.
            "actions": {**PATIENT, **sections.pop("actions", {})},
            **sections,
        }
    )


PATIENT = {"filler_after_ms": 60_000, "reply_after_ms": 60_000}


@asynccontextmanager
async def started(config: Config, fallback: Mode | None = None) -> AsyncIterator[ExternalMode]:
    """A started mode, with a knowledge base of its own."""
    base = await asyncio.to_thread(KnowledgeBase.open, config.kb_settings(os.environ))

    async def find_base() -> KnowledgeBase:
        return base

    mode = ExternalMode(config, fallback=fallback, kb=find_base)
    await mode.start()
    try:
        yield mode
    finally:
        await mode.aclose()
        base.close()


@asynccontextmanager
async def calling(
    config: Config,
    tmp_path: Path,
    *,
    context: Json | None = None,
    cerebro: Json | None = None,
    fallback: Mode | None = None,
    **spec: Any,
) -> AsyncIterator[Caller]:
    """A started mode with one open call."""
    async with started(config, fallback) as mode:
        call = await mode.open(
            SessionSpec(
                session_id="sess_test",
                language=spec.pop("language", "es"),
                instructions="Eres Penny.",
                context=context or {},
                cerebro=cerebro or {},
                **spec,
            )
        )
        caller = Caller(call, mode)
        try:
            yield caller
        finally:
            await caller.aclose()
