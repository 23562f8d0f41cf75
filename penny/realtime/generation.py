"""Responses from creation to their end: one in the default conversation, others beside it."""

from __future__ import annotations

from penny.realtime.answer import Answer
from penny.realtime.commands import (
    AudioDelta,
    CancelGeneration,
    Generate,
    GenerationDone,
    GenerationFailed,
    GenerationRequest,
    GenerationUsage,
    Json,
    PhraseDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
)
from penny.realtime.errors import ClientError
from penny.realtime.fields import check_id, check_object, need
from penny.realtime.items import Item, parse_item
from penny.realtime.responses import Response, ResponseOptions, parse_options, take_options
from penny.realtime.state import SessionState
from penny.realtime.usage import count_input_audio, count_output_audio


ContentReport = TextDelta | PhraseDelta | AudioDelta | ToolCallDelta | ToolCallDone


class Generation:
    """The responses of a session.

    At most one writes to the default conversation; one more may wait behind it (a turn that
    ended while the first went on). Beside them run at most ``max_side_responses`` with
    ``conversation: "none"``.
    """

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._answers: dict[str, Answer] = {}
        self._active: str | None = None
        self._is_waiting = False

    @property
    def active_id(self) -> str | None:
        """The response that writes to the default conversation now."""
        return self._active

    # --- beginning -------------------------------------------------------------------------

    def create(self, given: object) -> None:
        """Carry out a client's response.create.

        Raises:
            ClientError: a wrong value, an unknown reference, or another response is active.
        """
        state = self._state
        wanted = check_object(given if given is not None else {}, "response")
        options = parse_options(wanted, state.session, state.settings, spoke=state.spoke)
        if options.in_conversation and self._active is not None:
            raise ClientError(
                "conversation_already_has_active_response",
                "Conversation already has an active response in progress: "
                f"{self._active}. Wait until the response is finished before creating a new one.",
            )
        side = len(self._answers) - (self._active is not None)
        if not options.in_conversation and side >= state.settings.max_side_responses:
            raise ClientError(
                "too_many_responses",
                f"{side} responses run outside the conversation; wait for one to end.",
                "response.conversation",
            )
        context = None
        if options.input is not None:
            context = [self._resolve(item, index) for index, item in enumerate(options.input)]
        self._start(options, context)

    def create_automatic(self) -> None:
        """Answer a turn that the server detected: now, or once after the active response."""
        if self._active is not None:
            self._is_waiting = True
            return
        self._start(take_options(self._state.session), None)

    def _resolve(self, given: Json, index: int) -> Item:
        at = f"response.input[{index}]"
        state = self._state
        if given.get("type") == "item_reference":
            item_id = check_id(need(given, "id", f"{at}.id"), f"{at}.id", 512)
            found = state.conversation.find(item_id)
            if found is None:
                raise ClientError(
                    "item_reference_invalid_item_id",
                    f"'{at}.id': the item with id '{item_id}' does not exist; "
                    "refer to an item of the conversation.",
                    f"{at}.id",
                )
            return found
        body, audio = parse_item(given, at, state.settings)
        if audio is not None and not any(part.get("transcript") for part in body["content"]):
            raise ClientError(
                "unsupported_content_type",
                f"'{at}.content': audio here needs its 'transcript'; or create the item in the "
                "conversation and send an item_reference.",
                f"{at}.content",
            )
        return Item(str(given.get("id") or state.new_id("item")), body)

    def _start(self, options: ResponseOptions, context: list[Item] | None) -> None:
        state = self._state
        where = state.conversation.id if options.in_conversation else None
        response = Response(state.new_id("resp"), options, where, context)
        self._answers[response.id] = Answer(state, response)
        if options.in_conversation:
            self._active = response.id
        state.outbox.send("response.created", response=response.to_json())
        items = state.conversation if context is None else context
        needs = tuple(item.id for item in items if item.pending)
        state.outbox.command(Generate(response.id, needs))

    def request(self, response_id: str) -> GenerationRequest | None:
        """Return the context of a response as it is now; None when it has ended."""
        answer = self._answers.get(response_id)
        if answer is None:
            return None
        response = answer.response
        own = {item.id for item in response.output}
        source = self._state.conversation if response.context is None else response.context
        items: list[Json] = []
        response.usage.input_audio = 0
        for item in source:
            shown = None if item.id in own or item.state == "deleted" else item.to_context()
            if shown is not None:
                items.append(shown)
                heard_ms = item.speech.heard_ms if item.speech else 0
                response.usage.input_audio += count_input_audio(item.audio_ms)
                response.usage.input_audio += count_output_audio(heard_ms)
        return self._write_request(response_id, response.options, items)

    def preview(self, transcript: str) -> GenerationRequest | None:
        """Return what an automatic response would be given if the turn ended with these words.

        None while another response writes to the conversation. Nothing changes.
        """
        if self._active is not None:
            return None
        state = self._state
        shown = [item.to_context() for item in state.conversation if item.state != "deleted"]
        spoken = {"type": "input_audio", "transcript": transcript}
        turn = {"type": "message", "role": "user", "content": [spoken]}
        items = [*filter(None, shown), turn]
        return self._write_request("", take_options(state.session), items)

    def _write_request(
        self, response_id: str, options: ResponseOptions, items: list[Json]
    ) -> GenerationRequest:
        limit = options.max_output_tokens
        transcription = self._state.session["audio"]["input"]["transcription"] or {}
        return GenerationRequest(
            response_id=response_id,
            instructions=options.instructions,
            items=tuple(items),
            tools=tuple(options.tools),
            tool_choice=options.tool_choice,
            modality="audio" if options.modalities == ["audio"] else "text",
            voice=options.voice_name,
            speed=options.speed,
            max_output_tokens=None if isinstance(limit, str) else int(limit),
            metadata=dict(options.metadata or {}),
            language=transcription.get("language") or self._state.language,
            truncation=self._state.session.get("truncation") or "auto",
        )

    # --- what the engine reports -----------------------------------------------------------

    def take_content(self, report: ContentReport) -> None:
        """Write one piece of an answer; a piece of an ended response is dropped."""
        answer = self._answers.get(report.response_id)
        if answer is None or not answer.response.apply("content"):
            return
        audio = answer.response.options.modalities == ["audio"]
        match report:
            case TextDelta(text="") | PhraseDelta(text="") | AudioDelta(pcm=b""):
                pass  # nothing to say yet
            case TextDelta(text=text) if not audio:
                answer.write_text(text)
            case PhraseDelta(text=text) if audio:
                answer.write_words(text)
            case AudioDelta(pcm=pcm) if audio:
                answer.write_audio(pcm)
            case ToolCallDelta(call_id=call_id, name=name, arguments=arguments):
                answer.write_call(call_id, name, arguments)
            case ToolCallDone(call_id=call_id, name=name, arguments=arguments):
                answer.finish_call(call_id, name, arguments)
            case _:
                pass  # the text behind the speech, or speech for a text answer

    def take_usage(self, report: GenerationUsage | GenerationDone) -> None:
        answer = self._answers.get(report.response_id)
        if answer is not None:
            usage = answer.response.usage
            usage.input_text = report.input_text_tokens
            usage.cached_text = report.cached_text_tokens
            usage.output_text = report.output_text_tokens

    def take_done(self, report: GenerationDone) -> None:
        answer = self._answers.get(report.response_id)
        if answer is None:
            return
        self.take_usage(report)
        reason = report.incomplete_reason
        if reason is None:
            self._end(answer, "finish", None)
        else:
            self._end(answer, "cut_short", {"type": "incomplete", "reason": reason})

    def take_failure(self, report: GenerationFailed) -> None:
        answer = self._answers.get(report.response_id)
        if answer is not None:
            if report.is_speech_whole:
                answer.finish_speech()
            self._fail(answer, report.code, report.message)

    # --- ends ------------------------------------------------------------------------------

    def cancel(self, response_id: str | None) -> None:
        """Carry out a client's response.cancel.

        Raises:
            ClientError: no such response is running.
        """
        wanted = self._active if response_id is None else response_id
        answer = None if wanted is None else self._answers.get(wanted)
        if answer is None:
            raise ClientError(
                "response_cancel_not_active", "Cancellation failed: no active response found."
            )
        details = {"type": "cancelled", "reason": "client_cancelled"}
        self._end(answer, "cancel", details, stop=True)

    def interrupt(self) -> None:
        """The caller speaks: end what the default conversation is saying, forget what waits."""
        self._is_waiting = False
        if self._active is not None:
            details = {"type": "cancelled", "reason": "turn_detected"}
            self._end(self._answers[self._active], "cancel", details, stop=True)

    def expire(self) -> None:
        """The session is over: end everything that runs."""
        self._is_waiting = False
        for answer in list(self._answers.values()):
            self._fail(answer, "session_expired", "The session reached its maximum duration.")

    def _fail(self, answer: Answer, code: str, message: str) -> None:
        error = {"type": "server_error", "code": code, "message": message}
        self._end(
            answer, "fail", {"type": "failed", "error": error}, stop=code == "session_expired"
        )

    def _end(self, answer: Answer, event: str, details: Json | None, *, stop: bool = False) -> None:
        response = answer.response
        response.apply(event)
        del self._answers[response.id]
        answer.close("finish" if event == "finish" else "interrupt")
        outbox = self._state.outbox
        outbox.send("response.done", response=response.to_json(details, ended=True))
        limit = self._state.settings.rate_limit_tokens
        left = max(0, limit - response.usage.total)
        tokens = {"name": "tokens", "limit": limit, "remaining": left, "reset_seconds": 0.0}
        outbox.send("rate_limits.updated", rate_limits=[tokens])
        if stop:
            outbox.command(CancelGeneration(response.id))
        if self._active == response.id:
            self._active = None
            if self._is_waiting:
                self._is_waiting = False
                self.create_automatic()
