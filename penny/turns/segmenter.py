"""Speech probability per window -> speech started, paused, resumed, stopped.

The clock is the audio fed: ``position_ms`` moves on by ``window_ms`` with every call, so a
recording gives the same events at any speed.

    quiet ──p ≥ threshold──> onset ──enough speech──> speaking <──────────┐
      ^                        │                       │ quiet ≥ min_pause │ p ≥ threshold
      └──quiet > bridge────────┘                       v                   │
      └────────────────────quiet ≥ silence──────── pausing ────────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


WORD_MS: Final = 1000
"""No word is longer."""
HYSTERESIS: Final = 0.15
"""Speech ends below ``threshold - 0.15``: the rule Silero's own iterator uses."""


@dataclass(frozen=True, slots=True)
class SegmenterSettings:
    """Raises ValueError naming the field that is out of range."""

    threshold: float = 0.5
    """Probability from which a window counts as speech; OpenAI Realtime's default."""
    min_speech_ms: int = 96
    """Speech that confirms an onset: three windows of Silero."""
    prefix_padding_ms: int = 300
    """How far a start is moved back; OpenAI Realtime's default."""
    silence_duration_ms: int = 500
    """Quiet that ends a turn, unless ``feed`` is told otherwise."""
    min_pause_ms: int = 96
    """Shorter gaps inside speech are bridged without a word."""
    max_turn_ms: int = 30_000
    """A turn is ended here even when the caller goes on: what a Whisper window holds."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold: {self.threshold} is out of range; use 0 < threshold <= 1")
        for field, least in (
            ("min_speech_ms", 1),
            ("prefix_padding_ms", 0),
            ("silence_duration_ms", 1),
            ("min_pause_ms", 1),
            ("max_turn_ms", 1000),
        ):
            value = getattr(self, field)
            if value < least:
                raise ValueError(f"{field}: {value} is too small; use {least} or more")


@dataclass(frozen=True, slots=True)
class Started:
    """The caller speaks, for certain. The start is already moved back by the prefix padding."""

    audio_start_ms: int


@dataclass(frozen=True, slots=True)
class Paused:
    """A pause inside speech; ``at_ms`` is where speech ended. A good moment to work ahead.

    A turn ended by less silence than ``min_pause_ms`` stops without it.
    """

    at_ms: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """Speech went on after a pause, at ``at_ms``."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The turn is over; ``audio_end_ms`` is where speech ended, the silence not counted."""

    audio_end_ms: int


TurnEvent = Started | Paused | Resumed | Stopped


class Segmenter:
    """One caller's stream of speech probabilities. Constant memory but for ``pauses_ms``,
    which a turn's maximum bounds."""

    def __init__(self, settings: SegmenterSettings | None = None) -> None:
        self.settings = settings or SegmenterSettings()
        self.position_ms = 0
        """Milliseconds of audio judged so far."""
        self._stop_threshold = max(self.settings.threshold - HYSTERESIS, 0.01)
        self._last_stop_ms = 0
        self._forget()

    def _forget(self) -> None:
        self._started_ms: int | None = None
        """Start of the turn, padded; None outside a turn."""
        self._onset_ms: int | None = None
        self._voiced_ms = 0
        self._speech_end_ms = 0
        self._quiet = False
        self._paused = False
        self._pauses_ms: list[int] = []

    @property
    def speaking(self) -> bool:
        """Between Started and Stopped, pauses included."""
        return self._started_ms is not None

    @property
    def quiet_ms(self) -> int:
        """How long the caller has been quiet within the turn; 0 while they speak."""
        return self.position_ms - self._speech_end_ms if self._quiet else 0

    @property
    def speech_ms(self) -> int:
        """Speech of the turn so far, without its pauses; 0 outside a turn."""
        return self._voiced_ms if self.speaking else 0

    @property
    def pauses_ms(self) -> tuple[int, ...]:
        """Lengths of this turn's pauses that speech followed."""
        return tuple(self._pauses_ms)

    def reset(self) -> None:
        """Forget any speech in progress without an event; later starts do not reach back past here.

        The clock runs on.
        """
        self._forget()
        self._last_stop_ms = self.position_ms

    def feed(
        self,
        probability: float,
        window_ms: int = 32,
        *,
        silence_ms: int | None = None,
    ) -> list[TurnEvent]:
        """Judge the next window.

        Args:
            probability: of speech in this window, 0..1.
            window_ms: its length, without what it shares with the window before.
            silence_ms: quiet that ends the turn; None means the settings' own.

        Raises:
            ValueError: probability or window is out of range.
        """
        if not 0 <= probability <= 1:
            raise ValueError(f"probability: {probability} is out of range; use 0 to 1")
        if window_ms < 1:
            raise ValueError(f"window_ms: {window_ms} is too short; use 1 or more")
        begin_ms = self.position_ms
        self.position_ms += window_ms
        if probability >= self.settings.threshold:
            self._quiet = False
        elif probability < self._stop_threshold:
            self._quiet = True
        if self._started_ms is None:
            loud = probability >= self.settings.threshold
            return self._await_onset(begin_ms, loud)
        return self._follow(begin_ms, silence_ms)

    def _await_onset(self, begin_ms: int, loud: bool) -> list[TurnEvent]:
        if self._onset_ms is None:
            if not loud:
                return []
            self._onset_ms = begin_ms
            self._voiced_ms = 0
        elif self._quiet:
            if self.position_ms - self._speech_end_ms >= self.settings.min_pause_ms:
                self._forget()
            return []
        self._voiced_ms += self.position_ms - begin_ms
        self._speech_end_ms = self.position_ms
        if self._voiced_ms < self.settings.min_speech_ms:
            return []
        padded_ms = self._onset_ms - self.settings.prefix_padding_ms
        self._started_ms = max(padded_ms, self._last_stop_ms)
        return [Started(self._started_ms)]

    def _follow(self, begin_ms: int, silence_ms: int | None) -> list[TurnEvent]:
        events: list[TurnEvent] = []
        if not self._quiet:
            if self._paused:
                self._pauses_ms.append(begin_ms - self._speech_end_ms)
                events.append(Resumed(begin_ms))
            self._paused = False
            self._voiced_ms += self.position_ms - begin_ms
            self._speech_end_ms = self.position_ms
        quiet_ms = self.position_ms - self._speech_end_ms
        enough_ms = self.settings.silence_duration_ms if silence_ms is None else silence_ms
        if self._quiet and quiet_ms >= enough_ms or self._is_too_long():
            events.append(Stopped(self._speech_end_ms))
            self._last_stop_ms = self._speech_end_ms
            self._forget()
        elif not self._paused and quiet_ms >= self.settings.min_pause_ms:
            self._paused = True
            events.append(Paused(self._speech_end_ms))
        return events

    def _is_too_long(self) -> bool:
        """At the limit a turn ends between two words; a second past it, anywhere."""
        assert self._started_ms is not None  # asked within a turn
        beyond_ms = self.position_ms - self._started_ms - self.settings.max_turn_ms
        return beyond_ms >= (0 if self._quiet else WORD_MS)
