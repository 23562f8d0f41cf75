"""What a session has cost by now: the one figure for lists, limits and the operator's page."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from penny.metering.usage import Json


class SessionPrice:
    """Cost of one session in US dollars: as metered, else by its modes' prices of a minute.

    Args:
        usd_per_minute: by mode.
        mode: the one that answers first.
        clock: any clock, seconds.
    """

    def __init__(
        self, usd_per_minute: Mapping[str, float], mode: str, clock: Callable[[], float]
    ) -> None:
        self._usd_per_minute = usd_per_minute
        self._mode = mode
        self._clock = clock
        self._usd_before, self._changed_s = 0.0, clock()
        self.totals: Json = {}
        """The session's: ``usd`` is there as soon as something was metered."""

    def change_mode(self, mode: str) -> None:
        """``mode`` answers from now on. Idempotent."""
        if mode != self._mode:
            self._usd_before, self._changed_s = self._by_time(), self._clock()
            self._mode = mode

    def usd(self) -> float:
        """Its cost by now."""
        metered = self.totals.get("usd")
        return self._by_time() if metered is None else float(metered)

    def _by_time(self) -> float:
        minutes = (self._clock() - self._changed_s) / 60
        return self._usd_before + minutes * self._usd_per_minute.get(self._mode, 0.0)
