"""The ears of one connection: input audio -> VAD -> turn decisions -> an utterance being heard.

The listener reads the caller's audio from a bounded queue in its own task, so a slow VAD never
holds up the socket. It reports what the core needs (speech started, stopped, idle) and owns the
STT utterance from its first padded millisecond to the commit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from penny.audio.resample import Resampler
from penny.audio.ring import PreRoll
from penny.realtime.commands import IdleTimeout, SpeechStarted, SpeechStopped
from penny.turns.completeness import judge_text
from penny.turns.endpointing import Endpointing
from penny.turns.segmenter import Paused, Resumed, Segmenter, SegmenterSettings, Started, Stopped
from runpod_worker.hearing.agent_voice import AgentVoice
from runpod_worker.hearing.backlog import Backlog
from runpod_worker.hearing.rules import read_endpointing, read_segmenting
from runpod_worker.hearing.turn_judge import TurnJudge
from runpod_worker.settings import TurnSettings
from runpod_worker.stages import STT_RATE_HZ, Stt, SttOptions, TurnDetector, Utterance, Vad, Window


log = structlog.get_logger()

Json = dict[str, Any]
Report = Callable[[SpeechStarted | SpeechStopped | IdleTimeout], None]

BYTES_PER_MS = STT_RATE_HZ * 2 // 1000
PIECE_BYTES = 48 * 96
"""Three windows of 24 kHz audio: speech that begins and ends within one append is heard as speech
that comes live is, and the pre-roll reaches back to its start."""
BACKLOG_BYTES = 48_000 * 15
"""Fifteen seconds of 24 kHz audio: a whole question is taken at once, then the client waits."""


class TurnListener:
    """Turns one caller's audio into speech reports and utterances.

    Hears one caller. ``report`` is called in the loop, in audio order.

    Args:
        on_partial: words so far of the utterance in progress, at most every ``PARTIAL_EVERY_MS``.
        on_words_at_pause: the words with which the turn may be over, once per pause and change;
            '' when the caller went on.
    """

    PARTIAL_EVERY_MS = 200

    def __init__(
        self,
        *,
        vad: Vad,
        stt: Stt,
        turns: TurnSettings,
        agent: AgentVoice,
        report: Report,
        on_partial: Callable[[str], None],
        on_turn_decided: Callable[[int, int], None],
        on_words_at_pause: Callable[[str], None],
        turn: TurnDetector | None = None,
    ) -> None:
        self._stt = stt
        self._turns = turns
        self._agent = agent
        self._report = report
        self._on_partial = on_partial
        self._on_turn_decided = on_turn_decided
        self._on_words_at_pause = on_words_at_pause
        self._words_at_pause: str | None = None
        """None outside a pause, '' while its words are not known."""
        self._vad = vad.open()
        self._judge = TurnJudge(turn)
        self._to_16k = Resampler(24_000, STT_RATE_HZ)
        self._backlog = Backlog(BACKLOG_BYTES)
        self._deciding = False
        self._pre_roll = PreRoll(turns.pre_roll_ms, STT_RATE_HZ)
        self._heard_ms = 0.0
        self._utterance: Utterance | None = None
        self._utterance_from_ms = 0.0
        self._options = SttOptions()
        self._last_partial_ms = 0.0
        self._idle_from_ms: float | None = None
        self._detection: Json | None = None
        self._segmenter = Segmenter(read_segmenting({}, turns))
        self._endpointing = Endpointing("server_vad", turns.silence_duration_ms, "auto")

    # -- what the connection calls ----------------------------------------------------------

    def configure(self, session: Json) -> None:
        """Take the effective session: turn detection, language and prompt of the transcription."""
        audio_in = (session.get("audio") or {}).get("input") or {}
        transcription = audio_in.get("transcription") or {}
        self._options = SttOptions(
            language=transcription.get("language"),
            prompt=transcription.get("prompt") or "",
            hot_words=tuple(transcription.get("keywords") or ()),
        )
        detection = audio_in.get("turn_detection")
        if detection != self._detection:
            self._detection = detection
            self._replace_segmenter(read_segmenting(detection or {}, self._turns))
            self._endpointing = read_endpointing(detection or {}, self._turns)

    @property
    def position_ms(self) -> float:
        """How much of the caller's audio was heard, on the input audio clock."""
        return self._heard_ms

    async def room(self) -> None:
        """Wait until the caller's audio is not too far ahead of the ears."""
        await self._backlog.room()

    def feed(self, pcm24k: bytes) -> None:
        self._backlog.put_audio(pcm24k)

    def clear(self) -> None:
        """Forget uncommitted audio and any speech in progress."""
        self._backlog.put_mark(self._clear)

    def commit(self, take: Callable[[Utterance, int], None]) -> None:
        """Hand the utterance over to ``take(utterance, audio_ms)``.

        A commit that the turn decision itself caused takes what was heard so far; a client's
        own commit waits until everything appended before it was heard.
        """
        if self._deciding:
            self._take(take)
        else:
            self._backlog.put_mark(lambda: self._take(take))

    def begin_apart(self, pcm24k: bytes) -> Utterance:
        """An utterance of its own for audio that is not part of the stream."""
        utterance = self._stt.begin(self._options)
        to_16k = Resampler(24_000, STT_RATE_HZ)
        utterance.feed(to_16k.process(pcm24k) + to_16k.flush())
        return utterance

    async def run(self) -> None:
        async for entry in self._backlog.entries():
            if isinstance(entry, bytes):
                for start in range(0, len(entry), PIECE_BYTES):
                    await self._hear(self._to_16k.process(entry[start : start + PIECE_BYTES]))
            else:
                entry()

    def close(self) -> None:
        self._backlog.close()
        self._drop_utterance()

    # -- hearing ----------------------------------------------------------------------------

    async def _hear(self, pcm: bytes) -> None:
        self._heard_ms += len(pcm) / BYTES_PER_MS
        if self._detection is None:
            if self._utterance is None:
                self._begin_utterance(0)
            assert self._utterance is not None
            self._utterance.feed(pcm)
            return
        self._pre_roll.feed(pcm)
        self._judge.feed(pcm)
        if self._utterance is not None:
            self._utterance.feed(pcm)
        for window in await self._vad.feed(pcm, self._onset_wanted()):
            self._deciding = True
            try:
                self._decide(window)
            finally:
                self._deciding = False
        self._offer_words_at_pause()
        self._offer_partial()
        self._watch_idle()

    def _onset_wanted(self) -> float | None:
        """An interruption is what a caller waits for; other speech may begin at its leisure."""
        speaking = self._segmenter.speaking
        if speaking or not self._agent.is_audible(self._segmenter.position_ms):
            return None
        return self._segmenter.settings.threshold

    def _decide(self, window: Window) -> None:
        at_ms = self._segmenter.position_ms
        silence_ms = None
        if self._utterance is not None:
            silence_ms = self._endpointing.silence_ms(
                speech_ms=self._segmenter.speech_ms,
                pauses_ms=self._segmenter.pauses_ms,
                partial_text=self._utterance.partial(),
                turn_probability=self._judge.probability,
            )
        decisions = self._segmenter.feed(
            window.probability,
            window.ms,
            before_ms=window.before_ms,
            agent_speaking=self._agent.is_audible(at_ms),
            silence_ms=silence_ms,
        )
        for decision in decisions:
            match decision:
                case Started(audio_start_ms=start_ms):
                    self._on_started(start_ms)
                case Paused():
                    if self._utterance is not None:
                        self._utterance.pause()
                        self._judge.ask(self._heard_ms - self._utterance_from_ms)
                        self._words_at_pause = ""
                case Resumed():
                    if self._utterance is not None:
                        self._utterance.resume()
                        self._judge.forget()
                        self._words_at_pause = None
                        self._on_words_at_pause("")
                case Stopped(audio_end_ms=end_ms):
                    self._on_stopped(end_ms)

    def _on_started(self, start_ms: int) -> None:
        self._drop_utterance()
        self._begin_utterance(max(0, int(self._heard_ms - start_ms)))
        self._last_partial_ms = self._heard_ms
        self._report(SpeechStarted(start_ms))

    def _on_stopped(self, speech_end_ms: int) -> None:
        # GA counts the silence that ended the turn into audio_end_ms; the true end of speech
        # goes to the turn's timing, where a caller's wait begins.
        now_ms = int(self._segmenter.position_ms)
        self._on_turn_decided(speech_end_ms, now_ms)
        self._report(SpeechStopped(now_ms))

    def _begin_utterance(self, pre_roll_ms: int) -> Utterance:
        self._utterance = self._stt.begin(self._options)
        self._utterance_from_ms = self._heard_ms - pre_roll_ms
        if pre_roll_ms:
            self._utterance.feed(self._pre_roll.last(pre_roll_ms))
        return self._utterance

    def _take(self, take: Callable[[Utterance, int], None]) -> None:
        utterance = self._utterance or self._begin_utterance(0)
        self._utterance = None
        self._judge.forget()
        take(utterance, int(self._heard_ms - self._utterance_from_ms))

    def _clear(self) -> None:
        self._drop_utterance()
        self._segmenter.reset()
        self._pre_roll.clear()

    def _drop_utterance(self) -> None:
        if self._utterance is not None:
            self._utterance.cancel()
            self._utterance = None
            self._judge.forget()

    def _offer_words_at_pause(self) -> None:
        if self._utterance is None or self._words_at_pause is None:
            self._words_at_pause = None
            return
        words = self._utterance.partial()
        if words and words != self._words_at_pause and judge_text(words) != "open":
            self._words_at_pause = words
            self._on_words_at_pause(words)

    def _offer_partial(self) -> None:
        due = self._heard_ms - self._last_partial_ms >= self.PARTIAL_EVERY_MS
        if self._utterance is None or not due:
            return
        self._last_partial_ms = self._heard_ms
        words = self._utterance.partial()
        if words:
            self._on_partial(words)

    def _watch_idle(self) -> None:
        timeout_ms = (self._detection or {}).get("idle_timeout_ms")
        if not timeout_ms or self._segmenter.speaking or self._agent.is_audible(self._heard_ms):
            self._idle_from_ms = None
            return
        if self._idle_from_ms is None:
            if self._agent.spoke:
                self._idle_from_ms = self._heard_ms
            return
        if self._heard_ms - self._idle_from_ms >= timeout_ms:
            self._report(IdleTimeout(int(self._idle_from_ms), int(self._heard_ms)))
            self._idle_from_ms = None
            self._agent.spoke = False

    def _replace_segmenter(self, settings: SegmenterSettings) -> None:
        """New rules from here on; the clock goes on and a turn in progress is forgotten."""
        position_ms = self._segmenter.position_ms
        self._segmenter = Segmenter(settings)
        self._segmenter.position_ms = position_ms
        self._segmenter.reset()
