"""The ears of one connection: input audio -> VAD -> turn decisions -> an utterance being heard.

The listener reads the caller's audio from a bounded queue in its own task, so a slow VAD never
holds up the socket. It reports what the core needs (speech started, stopped, idle) and owns the
STT utterance from its first padded millisecond to the commit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from penny.audio.level import rms_dbfs
from penny.audio.resample import Resampler
from penny.audio.ring import PreRoll
from penny.realtime.commands import IdleTimeout, SpeechStarted, SpeechStopped
from penny.turns.completeness import judge_text
from penny.turns.endpointing import Endpointing
from penny.turns.levels import PIECE_MS, Levels
from penny.turns.overlap import FAR_DB, Overlap
from penny.turns.segmenter import Paused, Resumed, Segmenter, SegmenterSettings, Started, Stopped
from runpod_worker.cleaning.ears import EarsCleaning
from runpod_worker.hearing.agent_voice import AgentVoice
from runpod_worker.hearing.backlog import Backlog
from runpod_worker.hearing.echo import EchoRemover
from runpod_worker.hearing.rules import read_endpointing, read_segmenting
from runpod_worker.hearing.turn_judge import TurnJudge
from runpod_worker.settings import TurnSettings
from runpod_worker.stages import STT_RATE_HZ, Stt, SttOptions, TurnDetector, Utterance, Vad, Window


log = structlog.get_logger()

Json = dict[str, Any]
Report = Callable[[SpeechStarted | SpeechStopped | IdleTimeout], None]

BYTES_PER_MS = STT_RATE_HZ * 2 // 1000
PIECE_BYTES = 48 * PIECE_MS
"""Of 24 kHz audio: what comes in one append is heard as speech that comes live is; its levels are
those of its moments, and the pre-roll reaches back to its start."""
WORDS_WAIT_MS = 1200
"""Silence in which the words of speech over Penny may still come, before it is let go."""
FAR_LEAST_MS = 600
"""Speech far from the telephone, at least this long, is another person's; "sí" may be soft."""
DOUBT_DB = 3.0
"""A caller who really speaks softer is heard at the second or third sentence."""
BACKLOG_BYTES = 48_000 * 15
"""Fifteen seconds of 24 kHz audio: a whole question is taken at once, then the client waits."""


class TurnListener:
    """Turns one caller's audio into speech reports and utterances.

    ``report`` is called in the loop, in audio order.

    Args:
        on_partial: words so far of the utterance in progress, at most every ``PARTIAL_EVERY_MS``.
        on_turn_decided: where speech ended, where that was decided, how much speech there was.
        on_words_at_pause: the words with which the turn may be over, once per pause and change;
            '' when the caller went on.
        on_hold: whether Penny's playback is held now.
        words: whether each word's confidence is wanted.
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
        on_turn_decided: Callable[[int, int, int], None],
        on_words_at_pause: Callable[[str], None],
        on_hold: Callable[[bool], None],
        turn: TurnDetector | None = None,
        cleaning: EarsCleaning | None = None,
        words: bool = False,
    ) -> None:
        self._stt = stt
        self._turns = turns
        self._agent = agent
        self._report = report
        self._on_partial = on_partial
        self._on_turn_decided = on_turn_decided
        self._on_words_at_pause = on_words_at_pause
        self._on_hold = on_hold
        self._is_held = False
        self._overlap: Overlap | None = None
        self._started_ms = 0
        self._levels = Levels()
        self._echo = EchoRemover(agent)
        self._ears = (cleaning or EarsCleaning()).open()
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
        self._options = SttOptions(words=words)
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
            words=self._options.words,
        )
        self._ears.is_asked = audio_in.get("noise_reduction") is not None
        detection = audio_in.get("turn_detection")
        if detection != self._detection:
            self._detection = detection
            self._replace_segmenter(read_segmenting(detection or {}, self._turns))
            self._endpointing = read_endpointing(detection or {}, self._turns)

    @property
    def position_ms(self) -> float:
        """How much of the caller's audio was heard, on the input audio clock."""
        return self._heard_ms

    async def room(self, *, wholly: bool = False) -> None:
        """Wait until the caller's audio is not too far ahead of the ears; ``wholly``, until turns
        were looked for in all of it."""
        if wholly and self._detection is not None:
            await self._backlog.heard()
        await self._backlog.room()

    def feed(self, pcm24k: bytes) -> None:
        self._backlog.put_audio(pcm24k)

    def clear(self) -> None:
        """Forget uncommitted audio and any speech in progress."""
        self._backlog.put_mark(self._clear)

    def commit(self, take: Callable[[Utterance, int], None]) -> None:
        """Hand the utterance over to ``take(utterance, audio_ms)``.

        A turn decision's own takes what was heard so far, a client's all that was appended.
        """
        if self._deciding:
            self._take(take)
        else:
            self._backlog.put_mark(lambda: self._take(take))

    def give_up(self) -> None:
        """No more audio comes: what all of it has not decided by its end is let go."""
        self._backlog.put_mark(self._let_go)

    def _let_go(self) -> None:
        """What is being said over Penny is as if it had not been; its playback goes on."""
        if self._overlap is not None:
            self._overlap = None
            self._hold(False)
            self._drop_utterance()

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
        self._ears.close()
        self._drop_utterance()

    # -- hearing ----------------------------------------------------------------------------

    async def _hear(self, pcm: bytes) -> None:
        had_echo = self._echo.is_on
        pcm = self._echo.process(pcm, self._heard_ms)
        if self._echo.is_on and not had_echo and self._overlap is not None:
            self._clear()  # it was Penny's own voice
        ms = len(pcm) / BYTES_PER_MS
        self._heard_ms += ms
        heard = self._ears.process(pcm, self._levels.snr_db, in_turn=self._utterance is not None)
        if self._detection is None:
            (self._utterance or self._begin_utterance(0)).feed(heard)
            return
        self._pre_roll.feed(heard)
        self._judge.feed(pcm)
        if self._utterance is not None:
            self._utterance.feed(heard)
        is_speech = self._segmenter.speaking and not self._segmenter.quiet_ms
        self._levels.feed(rms_dbfs(pcm), ms, speech=is_speech)
        for window in await self._vad.feed(pcm):
            self._deciding = True
            try:
                self._decide(window)
            finally:
                self._deciding = False
        self._offer_words_at_pause()
        self._offer_partial()
        self._watch_idle()

    def _decide(self, window: Window) -> None:
        decisions = self._segmenter.feed(
            window.probability if self._levels.is_near else 0.0,
            window.ms,
            silence_ms=self._silence_ms(),
        )
        for decision in decisions:
            match decision:
                case Started(audio_start_ms=start_ms):
                    self._on_started(start_ms)
                case Paused(at_ms=at_ms):
                    if self._utterance is not None:
                        self._utterance.pause()
                        turn_ms = self._heard_ms - self._utterance_from_ms
                        self._judge.ask(turn_ms, self._heard_ms - at_ms)
                        self._words_at_pause = ""
                case Resumed():
                    if self._utterance is not None:
                        self._utterance.resume()
                        self._judge.forget()
                        self._words_at_pause = None
                        self._on_words_at_pause("")
                case Stopped(audio_end_ms=end_ms):
                    self._on_stopped(end_ms)
        self._judge_overlap()

    def _silence_ms(self) -> int | None:
        if self._utterance is None:
            return None
        words = self._utterance.partial()
        silence_ms = self._endpointing.silence_ms(
            speech_ms=self._segmenter.speech_ms,
            pauses_ms=self._segmenter.pauses_ms,
            partial_text=words,
            turn_probability=self._judge.probability,
        )
        if self._overlap is not None and not words:
            return max(silence_ms, WORDS_WAIT_MS)
        return silence_ms

    def _on_started(self, start_ms: int) -> None:
        self._drop_utterance()
        self._begin_utterance(max(0, int(self._heard_ms - start_ms)))
        self._last_partial_ms, self._started_ms = self._heard_ms, start_ms
        self._levels.begin()
        at_ms = self._segmenter.position_ms
        if not self._agent.is_audible(at_ms) or self._agent.is_ending(at_ms):
            self._report(SpeechStarted(start_ms))
            return
        # What is soft from its beginning is hardly the caller's own.
        self._hold(self._levels.now_beside_usual_db > FAR_DB)
        self._overlap = Overlap(at_ms, self._turns.min_interruption_ms)

    # -- speech over Penny --------------------------------------------------------------------

    def _hold(self, wanted: bool) -> None:
        if wanted == self._is_held:
            return
        self._is_held = wanted
        (self._agent.hold if wanted else self._agent.resume)(self._heard_ms)
        self._on_hold(wanted)

    def _judge_overlap(self) -> None:
        if self._overlap is None or self._utterance is None:
            return
        words = self._utterance.partial()
        said, level_db = self._segmenter, self._levels.beside_usual_db
        lengths_ms = (said.position_ms, said.speech_ms, said.quiet_ms)
        verdict = self._overlap.judge(
            *lengths_ms, level_db, words, self._agent.words, may_be_echo=self._echo.is_unsettled
        )
        if verdict == "interruption" and (words or not self._echo.is_suspected):
            self._take_floor()
        elif verdict == "resume":
            self._hold(False)
        elif self._overlap.resumed:
            self._hold(not self._segmenter.quiet_ms)

    def _take_floor(self) -> None:
        """It is a turn."""
        self._overlap = None
        if (self._detection or {}).get("interrupt_response", True):
            self._is_held = False
            self._agent.stop(self._heard_ms)
        else:
            self._hold(False)
        self._report(SpeechStarted(self._started_ms))

    def _on_stopped(self, speech_end_ms: int) -> None:
        # GA counts the silence that ended the turn into audio_end_ms; the true end of speech
        # goes to the turn's timing, where a caller's wait begins.
        now_ms = int(self._segmenter.position_ms)
        is_near = self._is_near(now_ms - speech_end_ms)
        if self._overlap is not None and not self._agent.is_audible(speech_end_ms):
            self._take_floor()
        if self._overlap is not None:
            self._let_go()
            return
        self._on_turn_decided(speech_end_ms, now_ms, round(self._levels.speech_ms))
        self._report(SpeechStopped(now_ms, wants_answer=is_near))

    def _is_near(self, quiet_ms: float) -> bool:
        """Whether the speech that ended was the caller's own, by its level."""
        levels = self._levels
        is_far = levels.beside_usual_db <= FAR_DB and levels.speech_ms >= FAR_LEAST_MS
        if is_far:
            levels.doubt(DOUBT_DB)
        if is_far or not levels.has_fallen(quiet_ms):
            return False
        if self._overlap is None:
            levels.learn()
        return True

    def _begin_utterance(self, pre_roll_ms: int) -> Utterance:
        self._utterance = self._stt.begin(self._options)
        self._utterance_from_ms = self._heard_ms - pre_roll_ms
        if pre_roll_ms:
            self._utterance.feed(self._pre_roll.last(pre_roll_ms))
        return self._utterance

    def _take(self, take: Callable[[Utterance, int], None]) -> None:
        utterance, self._utterance = self._utterance or self._begin_utterance(0), None
        self._judge.forget()
        take(utterance, int(self._heard_ms - self._utterance_from_ms))

    def _clear(self) -> None:
        self._let_go()
        self._drop_utterance()
        self._segmenter.reset()
        self._pre_roll.clear()

    def _drop_utterance(self) -> None:
        if self._utterance is not None:
            self._utterance.cancel()
            self._utterance = None
            self._judge.forget()

    def _offer_words_at_pause(self) -> None:
        if self._utterance is None or self._words_at_pause is None or self._overlap is not None:
            self._words_at_pause = None
            return
        words = self._utterance.partial()
        if words and words != self._words_at_pause and judge_text(words) != "open":
            self._words_at_pause = words
            self._on_words_at_pause(words)

    def _offer_partial(self) -> None:
        age_ms = self._heard_ms - self._last_partial_ms
        if self._utterance is None or age_ms < self.PARTIAL_EVERY_MS:
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
        self._let_go()
        self._drop_utterance()
        self._segmenter = Segmenter(settings)
        self._segmenter.position_ms = round(self._heard_ms)
        self._segmenter.reset()
