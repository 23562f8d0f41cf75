"""An answer's audio let out as it is heard, so that the worker itself can hold its playback.

A Realtime client plays what it gets. Sent as fast as it is made, an answer could only be cut, not
held, while it is decided what the caller's speech over it is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from penny.aio.tasks import TaskOwner
from penny.realtime.commands import (
    AudioDelta,
    EngineReport,
    GenerationUsage,
    ToolCallDelta,
    ToolCallDone,
)
from penny.realtime.speech import BYTES_PER_MS
from runpod_worker.hearing import AgentVoice


Json = dict[str, Any]

PIECE_BYTES: Final = 40 * BYTES_PER_MS
GRAIN_S: Final = 0.001
"""What is due within a timer's grain is due."""
LINE_OPEN_S: Final = 1.0
"""A client that sent no audio for so long does not listen while Penny speaks."""
PACER: Final = "realtime pacer"


class Pacer:
    """The reports of a connection's answer on their way to the core, in order.

    Audio waits until the client has no more than ``AgentVoice.LEAD_MS`` left to play; what follows
    on it waits behind it. A tool call waits for nothing, nor does what stands before it.

    Args:
        pass_on: takes each report when it is due.
    """

    def __init__(self, tasks: TaskOwner, pass_on: Callable[[EngineReport], None]) -> None:
        self._tasks = tasks
        self._pass_on = pass_on
        self._is_wanted = False
        self._heard_at_s = -LINE_OPEN_S
        self._waiting: deque[EngineReport] = deque()
        self._task: asyncio.Task[None] | None = None
        self._until_s = 0.0
        """When the client will have played what it has, on the loop's clock."""
        self.is_held = False

    def configure(self, session: Json) -> None:
        """Take the effective session. Where speech stops no answer, or the caller's edge holds
        playback itself, everything passes at once."""
        detection = ((session.get("audio") or {}).get("input") or {}).get("turn_detection")
        interrupts = bool(detection and detection.get("interrupt_response", True))
        self._is_wanted = interrupts and not session.get("penny_holds_playback")

    def heard(self) -> None:
        """The client sent audio."""
        self._heard_at_s = asyncio.get_running_loop().time()

    @property
    def is_line_open(self) -> bool:
        """Whether the client sends audio, so that speech over an answer would be heard."""
        return asyncio.get_running_loop().time() - self._heard_at_s < LINE_OPEN_S

    @property
    def _is_live(self) -> bool:
        return self._is_wanted and self.is_line_open

    def put(self, report: EngineReport) -> None:
        is_audio = isinstance(report, AudioDelta)
        is_count = isinstance(report, GenerationUsage)  # of what was made, heard or not
        if is_count or not (self._waiting or (is_audio and self._is_live)):
            self._pass_on(report)
            return
        if isinstance(report, AudioDelta):
            self._waiting.extend(
                AudioDelta(report.response_id, report.pcm[at : at + PIECE_BYTES])
                for at in range(0, len(report.pcm), PIECE_BYTES)
            )
        else:
            self._waiting.append(report)
        if isinstance(report, ToolCallDelta | ToolCallDone):
            while self._waiting:
                self._pass_on(self._waiting.popleft())
        elif self._task is None or self._task.done():
            self._task = self._tasks.spawn(self._run(), name=PACER)

    def drop(self, response_id: str) -> None:
        """The answer was cut: what the client does not have yet is never sent."""
        kept = [one for one in self._waiting if getattr(one, "response_id", "") != response_id]
        self._waiting = deque(kept)
        self._until_s = 0.0
        if self._task is not None and not kept:
            self._task.cancel()  # the next answer does not wait for its sleep
            self._task = None

    async def _run(self) -> None:
        while self._waiting:
            wait_s = self._wait_s(self._waiting[0])
            if wait_s > GRAIN_S:
                await asyncio.sleep(wait_s)
            else:
                self._pass_on(self._waiting.popleft())

    def _wait_s(self, report: EngineReport) -> float:
        """How long this report waits yet; what does not wait counts as sent."""
        if not isinstance(report, AudioDelta):
            return 0.0
        now_s = asyncio.get_running_loop().time()
        length_s = len(report.pcm) / BYTES_PER_MS / 1000
        wait_s = max(self._until_s, now_s) + length_s - now_s - AgentVoice.LEAD_MS / 1000
        if self._is_live and (self.is_held or wait_s > GRAIN_S):
            return length_s if self.is_held else wait_s
        self._until_s = max(self._until_s, now_s) + length_s
        return 0.0
