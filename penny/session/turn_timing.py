"""``penny.turn_metrics``: where the time of a turn went, told once per answered turn."""

from __future__ import annotations

from collections.abc import Callable

from penny.session.turn_record import Json, TurnReader, TurnRecord


class TurnTiming(TurnReader):
    """Reader of turns that tells the caller, and ``/metrics``, how long each stage took.

    Args:
        tell: how the caller is reached.
        record: called with (stage, ms) of every answered turn.
    """

    def __init__(self, tell: Callable[[Json], None], record: Callable[[str, int], None]) -> None:
        self._tell = tell
        self._record = record

    def turn_answered(self, turn: TurnRecord) -> None:
        if not turn.item_id:
            return  # said unasked: no caller waited for it
        latency_ms = turn.latency_ms()
        for stage, ms in latency_ms.items():
            if ms is not None:
                self._record(stage, ms)
        self._tell(
            {
                "type": "penny.turn_metrics",
                "item_id": turn.item_id,
                "latency_ms": {"speech_end": 0, **latency_ms},
                "input": turn.input,
                "interrupted": turn.is_interrupted,
                "speech_ms": turn.speech_ms,
                "audio_ms": round(turn.audio_ms) or None,
            }
        )
