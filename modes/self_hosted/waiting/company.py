"""Keeps a waiting caller company: which sentence is said when, and when to be silent. Pure.

A sentence goes out at the pace of speech, so it stops when the caller begins to speak: what was
sent and not heard yet is at most ``LEAD_S`` long. Between sentences there is silence.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections import deque
from dataclasses import dataclass
from typing import Any

from modes.self_hosted.waiting.caller_level import CallerLevel
from modes.self_hosted.waiting.recordings import Recordings
from modes.self_hosted.waiting.sentences import Sentence, choose_estimate, choose_language
from modes.self_hosted.waiting.spoken_response import SpokenResponse
from penny.audio.convert import Converter
from penny.realtime.formats import CORE_FORMAT, WIRE_FORMATS


Json = dict[str, Any]

CHUNK_MS = 100
LEAD_S = 0.3
"""How far ahead of being heard sound is sent: a network's hiccup is not heard."""
STREAM_GAP_S = 1.0
"""A caller whose audio stops coming has stopped speaking."""
ANSWER_PAUSE_S = 0.5
"""After the caller's last word, before we say that they were heard."""
SLOWER = 1.5
"""Each silence is so much longer than the last: who waits for long is spoken to less often."""
MAX_SILENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class CompanySettings:
    """``first_s``: silence before the first sentence. ``every_s``: after it, then ever longer."""

    first_s: float = 0.0
    every_s: float = 10.0
    first: Sentence = "preparing"
    """Said first; ``recovering`` keeps to sentences that suit a conversation under way."""


@dataclass(slots=True)
class _Saying:
    response: SpokenResponse
    chunks: deque[str]
    head_s: float
    must: bool = False
    """Said to its end, even over the caller: they have to know."""


class Company:
    """One wait of one caller.

    Args:
        session: the effective Realtime session: formats and modality.
        now_s: the loop's clock, as everywhere here.
    """

    def __init__(
        self,
        settings: CompanySettings,
        recordings: Recordings,
        language: str,
        session: Json,
        now_s: float,
    ) -> None:
        self._settings = settings
        self._recordings = recordings
        self._language = choose_language(language)
        self._said: list[Sentence] = []
        self._saying: _Saying | None = None
        self._silence_s = settings.every_s
        self._due_s = now_s + settings.first_s
        self._eta: tuple[float, int] | None = None
        self._stage = ""
        self._unanswered = False
        self._heard_at_s = now_s
        self._quiet_since_s = now_s - ANSWER_PAUSE_S
        self.items: set[str] = set()
        """Items that were said here: no worker will know them."""
        self.configure(session)

    # -- what happens ---------------------------------------------------------------------------

    def configure(self, session: Json) -> None:
        """The session's formats or modality changed; what is being said goes on as it began."""
        audio = session.get("audio") or {}
        kinds = [((audio.get(side) or {}).get("format") or {}) for side in ("input", "output")]
        heard, spoken = (WIRE_FORMATS.get(kind.get("type", ""), CORE_FORMAT) for kind in kinds)
        self._spoken = spoken
        self._speaks = "audio" in (session.get("output_modalities") or ["audio"])
        self._level = CallerLevel(heard)

    def hear(self, append: Json, now_s: float) -> bool:
        """The caller's audio; whether it is speech."""
        try:
            data = b64decode(append.get("audio") or "", validate=True)
        except (Base64Error, TypeError, ValueError):
            return False  # the worker will say what is wrong with it
        was_speaking = self._level.speaking
        self._heard_at_s = now_s
        self._level.feed(data)
        if self._level.speaking:
            self._unanswered = True
        elif was_speaking:
            self._quiet_since_s = now_s
        return self._level.speaking

    def note_progress(self, stage: str, eta_ms: int | None, now_s: float) -> None:
        self._stage = stage
        self._eta = None if eta_ms is None else (now_s, eta_ms)

    def note_typed(self) -> None:
        """The caller wrote something: it is worth an answer like a spoken word."""
        self._unanswered = True

    @property
    def is_saying(self) -> bool:
        return self._saying is not None

    # -- what is said ---------------------------------------------------------------------------

    def due(self, now_s: float) -> list[Json]:
        """Every event that is to go out by now."""
        out: list[Json] = []
        speaks = self._level.speaking and now_s - self._heard_at_s < STREAM_GAP_S
        if self._saying is None and not speaks and now_s >= self.next_due_s(now_s):
            out += self._begin(self._choose(now_s), now_s)
        if self._saying is not None and speaks and not self._saying.must:
            out += self._stop(now_s, cut=True)
        saying = self._saying
        while saying is not None and saying.chunks and saying.head_s - LEAD_S <= now_s:
            out.append(saying.response.sound(saying.chunks.popleft()))
            saying.head_s += CHUNK_MS / 1000
        if saying is not None and not saying.chunks and saying.head_s <= now_s + LEAD_S:
            out += self._stop(max(now_s, saying.head_s), cut=False)
        return out

    def next_due_s(self, now_s: float) -> float:
        """When ``due`` should be asked again, if nothing happens before."""
        if self._saying is not None:
            return self._saying.head_s - LEAD_S
        if self._unanswered and "heard" not in self._said[-1:]:
            return max(self._quiet_since_s + ANSWER_PAUSE_S, min(self._due_s, now_s))
        return max(self._due_s, self._quiet_since_s + ANSWER_PAUSE_S)

    def say(self, sentence: Sentence, now_s: float) -> list[Json]:
        """Begin this sentence now, whoever speaks; ``due`` goes on with it to its end."""
        events = self._stop(now_s, cut=True) if self._saying is not None else []
        return [*events, *self._begin(sentence, now_s, must=True)]

    def hush(self, now_s: float) -> list[Json]:
        """The caller's side stopped the sound: the sentence ends here."""
        return self._stop(now_s, cut=True) if self._saying is not None else []

    def finish(self, now_s: float) -> list[Json]:
        """The rest of the sentence at once: the worker is here, and its answer follows."""
        saying = self._saying
        if saying is None:
            return []
        rest = [saying.response.sound(chunk) for chunk in saying.chunks]
        saying.chunks.clear()
        return [*rest, *self._stop(now_s, cut=False)]

    def _choose(self, now_s: float) -> Sentence:
        unanswered, self._unanswered = self._unanswered, False
        if unanswered and self._said and self._settings.first != "recovering":
            return "heard"
        if not self._said or self._settings.first == "recovering":
            return self._settings.first
        if self._stage == "no_machine_free":
            sentence: Sentence = "no_machine"
        else:
            sentence = choose_estimate(self._remaining_ms(now_s))
        # The same twice in a row sounds like a machine that hangs.
        return "patience" if sentence == self._said[-1] else sentence

    def _remaining_ms(self, now_s: float) -> int | None:
        """By the newest estimate; None once it has passed and nothing came."""
        if self._eta is None:
            return None
        told_s, eta_ms = self._eta
        left_ms = eta_ms - round((now_s - told_s) * 1000)
        return left_ms if left_ms > 0 else None

    def _begin(self, sentence: Sentence, now_s: float, *, must: bool = False) -> list[Json]:
        if self._said:
            self._silence_s = min(MAX_SILENCE_S, self._silence_s * SLOWER)
        self._said.append(sentence)
        recording = self._recordings.find(self._language, sentence)
        response = SpokenResponse(recording.text, aside=True, spoken=self._speaks)
        self.items.add(response.item_id)
        chunks = self._cut_up(recording.pcm24k) if self._speaks else deque()
        self._saying = _Saying(response, chunks, now_s, must)
        return response.begin()

    def _cut_up(self, pcm24k: bytes) -> deque[str]:
        converter = Converter(CORE_FORMAT, self._spoken)
        data = converter.process(pcm24k) + converter.flush()
        size = self._spoken.bytes_of(CHUNK_MS)
        return deque(
            b64encode(data[at : at + size]).decode("ascii") for at in range(0, len(data), size)
        )

    def _stop(self, ended_s: float, *, cut: bool) -> list[Json]:
        assert self._saying is not None
        response, self._saying = self._saying.response, None
        self._due_s = ended_s + self._silence_s
        return response.end(cut=cut)
