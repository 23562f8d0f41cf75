"""What a session's worker knows, kept on our side: enough for another worker to go on. Pure.

The copy sees every Realtime event of both directions. When the worker dies it can tell what was
said, what the caller was saying (as audio), and which answer the caller still waits for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modes.answers import OpenAnswer, Told
from modes.self_hosted.entry import Entry
from modes.self_hosted.kept_audio import AUDIO_IN, CallerAudio
from penny.audio.format import AudioFormat, count_base64_bytes
from penny.realtime.formats import CORE_FORMAT, WIRE_FORMATS
from penny.turns.heard import HeardText


Json = dict[str, Any]

PRE_ROLL_MS = 600
"""Audio kept while no speech is heard. The onset of speech is told 100 ms after it was, and 300 ms
before it count as speech too; the rest is for a worker that is late. Most of what a session holds
in memory."""
SPEECH_MS = 35_000
"""The longest turn (30 s) and its pre-roll. Beyond it the oldest audio is dropped."""
MAX_UNTRANSCRIBED = 3
"""Turns kept as audio while their words are not known; older ones lose it."""
MAX_ITEMS = 1_000
"""Items kept; past that the oldest go, as they do in the worker."""
MAX_PENDING = 64
"""Session updates and requests (responses, items) not answered yet; past that the oldest go."""
ANSWER: Json = {"type": "response.create"}
_SERVER_FIELDS = ("id", "object", "expires_at", "model")


class ConversationCopy:
    """The conversation of one session, as its worker has it."""

    def __init__(self) -> None:
        self.session = {}
        # Lists where few wait: an empty deque takes ten times the memory of one.
        self._updates: list[Json] = []
        self._retrieves: list[Json] = []
        self._items: dict[str, Entry] = {}
        self._unanswered: list[Json] = []
        self._audio = CallerAudio()
        self._in_speech = False
        self._asked: list[Json] = []
        self._turn_waits = False
        self._active: dict[str, OpenAnswer] = {}
        self._expired = False

    @property
    def session(self) -> Json:
        """The effective session, as the worker last told it, without what is the server's."""
        return self._session

    @session.setter
    def session(self, session: Json) -> None:
        self._session = session
        # Asked for with every piece of audio.
        audio: Json = session.get("audio") or {}
        audio_in: Json = audio.get("input") or {}
        self._detection: Json | None = audio_in.get("turn_detection")
        self._coming = _format_of(audio_in)
        self._spoken_as = _format_of(audio.get("output") or {})

    @property
    def expired(self) -> bool:
        """The session came to its end by the clock: its loss is no accident."""
        return self._expired

    @property
    def items(self) -> list[Json]:
        """Every item that another worker should know, in order."""
        return [seed for entry in self._items.values() if (seed := entry.seed()) is not None]

    def was_told(self, item_id: str) -> bool:
        """Whether the caller's side has seen the worker take this item."""
        entry = self._items.get(item_id)
        return entry is not None and entry.told

    def find(self, item_id: str) -> tuple[Json | None, str | None]:
        """An item as another worker should know it (None: not at all), and the one before it."""
        previous: str | None = None
        for entry in self._items.values():
            if entry.id == item_id:
                return entry.seed(), previous
            if entry.seed() is not None:
                previous = entry.id
        return None, previous

    @property
    def unfinished(self) -> list[Json]:
        """Session updates, requests for items, audio and its commits that the lost worker took with
        it, as caller's events."""
        return [*self._updates, *self._retrieves, *self._audio.events()]

    def take_unanswered(self, event_id: str | None = None) -> list[Json]:
        """The caller's deletions, truncations and clears that no worker has acknowledged; all, or
        the one of that id."""
        taken = [e for e in self._unanswered if event_id in (None, e.get("event_id"))]
        self._unanswered = [e for e in self._unanswered if e not in taken]
        return taken

    @property
    def unfinished_from_ms(self) -> float:
        """Where the first of the ``unfinished`` audio stands in all that the caller sent."""
        return self._audio.from_ms(self._coming)

    @property
    def active_responses(self) -> list[str]:
        return list(self._active)

    def close_answers(self, error: Json) -> list[Told]:
        """The events that end, as failed, what the lost worker was answering."""
        return [each for answer in self._active.values() for each in answer.close(error)]

    def owed(self) -> list[Json]:
        """The requests for answers that the caller still waits for, oldest first."""
        owed = [*(each.cause for each in self._active.values() if each.cause), *self._asked]
        if self._turn_waits and ANSWER not in owed:
            owed.append(ANSWER)
        return owed

    def caller_event(self, event: Json) -> None:
        handle = _ON_CALLER.get(event["type"])
        if handle is not None:
            handle(self, event)

    def worker_event(self, event: Json) -> None:
        handle = _ON_WORKER.get(event["type"])
        if handle is not None:
            handle(self, event)

    def break_off(self) -> None:
        """The worker is lost: its answers will not end, and what they said in part is unsaid.

        What is owed is asked for again by the caller of this (``owed`` before ``break_off``).
        """
        self._active.clear()
        self._asked.clear()
        self._turn_waits = False
        self._in_speech = False
        for entry in [e for e in self._items.values() if not e.complete]:
            del self._items[entry.id]

    # -- the caller ---------------------------------------------------------------------------

    def append(self, event: Json) -> None:
        """``caller_event`` of a piece of audio, of which there are fifty a second."""
        limit_ms = SPEECH_MS if self._in_speech or not self._detection else PRE_ROLL_MS
        self._audio.append(event["audio"], self._coming, limit_ms)

    def _clear(self, event: Json) -> None:
        self._audio.clear()
        _note(self._unanswered, event)

    def _delete(self, event: Json) -> None:
        self._drop(event["item_id"])
        _note(self._unanswered, event)

    def _create(self, event: Json) -> None:
        item = event["item"]
        body = {name: value for name, value in item.items() if name not in ("id", "status")}
        entry = Entry(item["id"], body, told=False)
        previous = event.get("previous_item_id")
        if previous == "root":
            self._items = {entry.id: entry, **self._items}
        elif previous in self._items:
            ordered = list(self._items.values())
            at = [e.id for e in ordered].index(previous) + 1
            ordered.insert(at, entry)
            self._items = {e.id: e for e in ordered}
        else:
            self._add(entry)

    def _truncate(self, event: Json) -> None:
        _note(self._unanswered, event)
        entry = self._items.get(event["item_id"])
        if entry is not None and entry.heard is not None:
            entry.place_audio(self._spoken_as)
            self._cut(entry, entry.heard.heard(event["audio_end_ms"]))

    def _cancel(self, event: Json) -> None:
        wanted = event.get("response_id")
        for response_id, answer in self._active.items():
            if wanted in (None, response_id):
                answer.cause = None

    # -- the worker ---------------------------------------------------------------------------

    def _updated(self, event: Json) -> None:
        if self._updates:
            self._updates.pop(0)
        session = event["session"]
        self.session = {name: v for name, v in session.items() if name not in _SERVER_FIELDS}

    def _speech_started(self) -> None:
        self._in_speech = True
        detection = self._detection
        if detection and detection.get("interrupt_response", True):
            self._turn_waits = False  # this speech's own turn will answer for both

    def _committed(self, event: Json) -> None:
        item_id = event["item_id"]
        self._add(Entry(item_id, {}, audio=self._audio.take()))
        untranscribed = [entry for entry in self._items.values() if entry.audio]
        for entry in untranscribed[:-MAX_UNTRANSCRIBED]:
            entry.audio.clear()
        if self._in_speech and (self._detection or {}).get("create_response", True):
            self._turn_waits = True
        self._in_speech = False

    def _transcribed(self, event: Json) -> None:
        self._take_words(event["item_id"], event.get("transcript") or "")

    def _understood(self, event: Json) -> None:
        self._take_words(event["item_id"], event["text"])

    def _take_words(self, item_id: str, text: str) -> None:
        entry = self._items.get(item_id)
        if entry is None or entry.heard is not None:
            return
        entry.audio.clear()
        content = [{"type": "input_text", "text": text}]
        # No words: nothing to tell another worker, but the turn is still owed an answer.
        entry.body = {"type": "message", "role": "user", "content": content} if text else {}

    def _cut_to_heard(self, event: Json) -> None:
        entry = self._items.get(event["item_id"])
        if entry is not None:
            self._cut(entry, event.get("transcript") or "")

    def _acknowledged(self, event: Json) -> None:
        entry = self._items.get(event["item"]["id"])
        if entry is not None:
            entry.told = True

    def _answering(self, event: Json) -> None:
        if self._asked:
            cause = self._asked.pop(0)
        else:
            cause = ANSWER
            self._turn_waits = False
        self._active[event["response"]["id"]] = OpenAnswer(event["response"], cause)

    def _follow(self, event: Json) -> None:
        answer = self._active.get(event["response_id"])
        if answer is not None:
            answer.take(event)

    def _item_begun(self, event: Json) -> None:
        self._follow(event)
        item = event["item"]
        if item.get("type") == "message":
            self._add(Entry(item["id"], {}, heard=HeardText(), complete=False))

    def _spoken(self, event: Json) -> None:
        self._follow(event)
        entry = self._items.get(event["item_id"])
        if entry is not None and entry.heard is not None:
            entry.place_audio(self._spoken_as)
            entry.heard.text(event["delta"])

    def sound(self, event: Json) -> None:
        """``worker_event`` of a piece of audio."""
        size = count_base64_bytes(event["delta"])
        entry = self._items.get(event["item_id"])
        if entry is not None:
            entry.sounded += size
        answer = self._active.get(event["response_id"])
        if answer is not None:
            answer.audio_ms += self._spoken_as.ms_of(size)

    def _item_done(self, event: Json) -> None:
        self._follow(event)
        item = event["item"]
        if item["type"] == "function_call" and item.get("status") == "completed":
            names = ("type", "name", "call_id", "arguments")
            self._add(Entry(item["id"], {name: item[name] for name in names}))
            # The client acts on the call and asks for an answer itself, once it has the output.
            if event["response_id"] in self._active:
                self._active[event["response_id"]].cause = None
        elif item["id"] in self._items:
            self._items[item["id"]].complete = True

    def _retrieved(self, event: Json) -> None:
        item_id = event["item"]["id"]
        asked = next((each for each in self._retrieves if each["item_id"] == item_id), None)
        if asked is not None:
            self._retrieves.remove(asked)

    def _answered(self, event: Json) -> None:
        self._active.pop(event["response"]["id"], None)

    def _refused(self, event: Json) -> None:
        fault = event["error"]
        self._expired = self._expired or fault.get("code") == "session_expired"
        refused = fault.get("event_id")
        if refused is not None:
            self._audio.refuse(refused)
            for waiting in (self._asked, self._updates, self._retrieves, self._unanswered):
                for request in [r for r in waiting if r.get("event_id") == refused]:
                    waiting.remove(request)

    def _acted(self, event: Json) -> None:
        kind, item_id = _ACTS[event["type"]], event.get("item_id")
        for asked in self._unanswered:
            if asked["type"] == kind and asked.get("item_id") == item_id:
                self._unanswered.remove(asked)
                return

    # -- items --------------------------------------------------------------------------------

    def _add(self, entry: Entry) -> None:
        self._items[entry.id] = entry
        while len(self._items) > MAX_ITEMS:
            del self._items[next(iter(self._items))]

    def _drop(self, item_id: str) -> None:
        self._items.pop(item_id, None)

    def _cut(self, entry: Entry, text: str) -> None:
        """Keep what was heard of an answer; what was not heard was not said."""
        if not text:
            self._drop(entry.id)
            return
        entry.heard, entry.sounded = HeardText(), 0
        entry.heard.text(text)


def _format_of(side: Json) -> AudioFormat:
    """Of a session's ``audio.input`` or ``audio.output``."""
    return WIRE_FORMATS.get((side.get("format") or {}).get("type", ""), CORE_FORMAT)


def _note(waiting: list[Json], event: Json) -> None:
    waiting.append(event)
    del waiting[:-MAX_PENDING]


_ACTS = {
    "input_audio_buffer.cleared": "input_audio_buffer.clear",
    "conversation.item.deleted": "conversation.item.delete",
    "conversation.item.truncated": "conversation.item.truncate",
}
# Tables of the class, not of each copy: bound methods would be a tenth of what a session holds.
_ON_CALLER: dict[str, Callable[[ConversationCopy, Json], None]] = {
    AUDIO_IN: ConversationCopy.append,
    "input_audio_buffer.clear": ConversationCopy._clear,
    "input_audio_buffer.commit": lambda copy, event: copy._audio.commit(event),
    "session.update": lambda copy, event: _note(copy._updates, event),
    "conversation.item.create": ConversationCopy._create,
    "conversation.item.retrieve": lambda copy, event: _note(copy._retrieves, event),
    "conversation.item.delete": ConversationCopy._delete,
    "conversation.item.truncate": ConversationCopy._truncate,
    "response.create": lambda copy, event: _note(copy._asked, event),
    "response.cancel": ConversationCopy._cancel,
}
_ON_WORKER: dict[str, Callable[[ConversationCopy, Json], None]] = {
    "session.updated": ConversationCopy._updated,
    "input_audio_buffer.speech_started": lambda copy, _: copy._speech_started(),
    "input_audio_buffer.committed": ConversationCopy._committed,
    "conversation.item.input_audio_transcription.completed": ConversationCopy._transcribed,
    "conversation.item.input_audio_transcription.failed": lambda copy, event: copy._drop(
        event["item_id"]
    ),
    "penny.transcript": ConversationCopy._understood,
    "penny.item.heard": ConversationCopy._cut_to_heard,
    "conversation.item.added": ConversationCopy._acknowledged,
    "conversation.item.retrieved": ConversationCopy._retrieved,
    "response.created": ConversationCopy._answering,
    "response.output_item.added": ConversationCopy._item_begun,
    "response.content_part.added": ConversationCopy._follow,
    "response.output_audio_transcript.delta": ConversationCopy._spoken,
    "response.output_text.delta": ConversationCopy._spoken,
    "response.output_audio.delta": ConversationCopy.sound,
    "response.output_item.done": ConversationCopy._item_done,
    "response.done": ConversationCopy._answered,
    "error": ConversationCopy._refused,
    **dict.fromkeys(_ACTS, ConversationCopy._acted),
}
