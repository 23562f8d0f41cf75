"""A caller at the session's side of an EXTERNAL call: says things, keeps what comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from brain.journal import read_journal
from config.schema import Config
from modes.external.call import ExternalCall
from modes.external.mode import ExternalMode
from penny.session.mode import Mode, SessionSpec


Json = dict[str, Any]

ROOT = Path(__file__).parents[3]
WAIT_S = 5.0


class Caller:
    """Reads the call's events into ``heard``."""

    def __init__(self, call: ExternalCall, mode: ExternalMode, journal: Path) -> None:
        self.call = call
        self.mode = mode
        self.heard: list[Json] = []
        self._journal = journal
        self._news = asyncio.Event()
        self.ended: BaseException | None = None
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        try:
            async for event in self.call.events():
                self.heard.append(event)
                self._news.set()
        except Exception as error:
            self.ended = error
        self._news.set()

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

    def journal(self) -> list[Json]:
        """What the journal holds; only after the call was closed."""
        files = list(self._journal.rglob("*.jsonl"))
        assert len(files) == 1, files
        return list(read_journal(files[0]))

    async def aclose(self) -> None:
        await self.call.aclose()
        await self._task


def configure(tmp_path: Path, speaker_url: str, brain_url: str | None, **sections: Json) -> Config:
    external: Json = {"portavoz_base_url": speaker_url, "cerebro_base_url": brain_url}
    brain = {"journal": {"folder": str(tmp_path / "journal")}, **sections.pop("brain", {})}
    return Config.model_validate(
        {
            "penny": {"modes": {"EXTERNAL": {**external, **sections.pop("external", {})}}},
            "kb": {"documents": str(ROOT / "kb/documents"), "index": str(KB_INDEX)},
            "brain": brain,
            **sections,
        }
    )


KB_INDEX = ROOT / "var/test-kb"


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
    mode = ExternalMode(config, fallback=fallback)
    await mode.start()
    try:
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
        caller = Caller(call, mode, tmp_path / "journal")
        try:
            yield caller
        finally:
            await caller.aclose()
    finally:
        await mode.aclose()
