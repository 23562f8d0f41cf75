"""Races of a call, each by name, on pure state: an event and the time in, effects out."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from brain.folio import Folio
from modes.external.reducer import next_deadline_s, step
from modes.external.speaker import Capabilities
from modes.external.state import CallState, ToolEnded, What
from modes.external.turns import replay_from_ms, replayed_requests
from tests.modes.external.world import make_state
from tests.realtime_schema import assert_server_event_valid


pytestmark = pytest.mark.pure


Json = dict[str, Any]

SECOND = b64encode(bytes(48_000)).decode()


class Play:
    """Plays events into a call, and keeps what it does."""

    def __init__(self, *, answers_turns: bool = True) -> None:
        self.state: CallState = make_state(answers_turns=answers_turns)
        self.now_s = 0.0
        self.sent: list[Json] = []
        self.told: list[Json] = []
        self.applied: list[tuple[str, tuple[str, ...]]] = []
        self.runs: list[str] = []
        self.abandoned: list[str] = []
        self.happen("attached", Capabilities())

    def happen(self, what: What, about: Any = None) -> None:
        for effect, detail in step(self.state, what, about, self.now_s):
            match effect:
                case "send":
                    self.sent.append(detail)
                case "tell":
                    self.told.append(detail)
                case "apply":
                    self.applied.append((detail.act, detail.folios))
                    self.last = detail
                case "look_up":
                    self.happen("facts", (detail[0], None))
                case "run":
                    self.runs.append(detail.call_id)
                case "abandon":
                    self.abandoned.append(detail)
                    self.happen("lost")

    def up(self, kind: str, **fields: Any) -> None:
        self.happen("upstream", {"type": kind, "event_id": "event_up", **fields})

    def client(self, kind: str, **fields: Any) -> None:
        self.happen("caller", {"type": kind, **fields})

    def wait(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while (due_s := next_deadline_s(self.state)) is not None and due_s <= end_s:
            self.now_s = due_s
            self.happen("tick")
        self.now_s = end_s

    def creates(self) -> list[Json]:
        return [event for event in self.sent if event["type"] == "response.create"]

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.told]

    # -- whole pieces of a conversation ---------------------------------------------------------

    def hear(self, item_id: str = "item_user", words: str = "hola") -> None:
        self.up("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=0)
        self.up("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=500)
        self.commit(item_id)
        self.final(item_id, words)

    def commit(self, item_id: str) -> None:
        self.up("input_audio_buffer.committed", item_id=item_id, previous_item_id="item_hidden")
        content = [{"type": "input_audio", "transcript": None}]
        item = message(item_id, "user", content)
        self.up("conversation.item.added", item=item, previous_item_id="item_hidden")

    def final(self, item_id: str, words: str) -> None:
        kind = "conversation.item.input_audio_transcription.completed"
        usage = {"type": "duration", "seconds": 1}
        self.up(kind, item_id=item_id, content_index=0, transcript=words, usage=usage)

    def begin(self, response_id: str = "resp_1", **fields: Any) -> None:
        self.up("response.created", response=response(response_id, "in_progress", **fields))

    def speak(self, response_id: str = "resp_1", item_id: str = "item_penny") -> Json:
        """The beginning of a spoken answer; returns where it stands."""
        item = {**message(item_id, "assistant", []), "status": "in_progress"}
        place: Json = {"response_id": response_id, "item_id": item_id}
        place |= {"output_index": 0, "content_index": 0}
        self.up("response.output_item.added", response_id=response_id, output_index=0, item=item)
        self.up("conversation.item.added", item=item, previous_item_id=None)
        part = {"type": "audio", "transcript": ""}
        self.up("response.content_part.added", **place, part=part)
        self.up("response.output_audio_transcript.delta", **place, delta="Buenos días ")
        self.up("response.output_audio.delta", **place, delta=SECOND)
        return place

    def call(self, call_id: str, response_id: str = "resp_1") -> None:
        item = {"id": f"item_{call_id}", "object": "realtime.item", "type": "function_call"}
        item |= {"name": "pagar", "call_id": call_id, "arguments": "{}", "status": "completed"}
        where = {"response_id": response_id, "output_index": 0}
        self.up("response.output_item.added", **where, item={**item, "status": "in_progress"})
        self.up("conversation.item.added", item=item, previous_item_id="item_user")
        self.up("response.output_item.done", **where, item=item)

    def end(self, response_id: str = "resp_1", status: str = "completed", **fields: Any) -> None:
        self.up("response.done", response=response(response_id, status, **fields))


def message(item_id: str, role: str, content: list[Json]) -> Json:
    item = {"id": item_id, "object": "realtime.item", "type": "message", "role": role}
    return {**item, "status": "completed", "content": content}


def response(response_id: str, status: str, **fields: Any) -> Json:
    about: Json = {"id": response_id, "object": "realtime.response", "status": status, "output": []}
    about |= {"status_details": None, "conversation_id": "conv", "metadata": None, "usage": None}
    return {**about, **fields}


def folio(name: str, section: Any = "folio", turn: int = 1, **fields: Any) -> Folio:
    return Folio(name, section, fields.pop("kind", "silent"), f"[{name}]", turn, **fields)


def outputs(play: Play, call_id: str) -> list[Json]:
    sent = [event["item"] for event in play.sent if event["type"] == "conversation.item.create"]
    return [item for item in sent if item.get("call_id") == call_id]


# -- tools ------------------------------------------------------------------------------------


def test_a_drop_between_item_end_and_response_done_loses_no_result_and_runs_nothing_twice() -> None:
    play = Play()
    play.hear()
    play.begin()
    play.call("call_1")
    play.happen("lost")
    play.happen("tool", ToolEnded("call_1", '{"status": "ok"}'))
    seed = play.state.conversation.seed(play.now_s)
    assert [item["type"] for item in seed][-2:] == ["function_call", "function_call_output"]
    before = len(play.creates())
    play.happen("attached", Capabilities())
    assert outputs(play, "call_1") == [], "the seed has it: it is told once"
    assert len(play.creates()) == before + 1
    play.call("call_1", "resp_2")
    assert play.runs == ["call_1"]


def test_a_result_that_comes_after_the_drop_is_told_to_the_next_upstream_once() -> None:
    play = Play()
    play.hear()
    play.begin()
    play.call("call_1")
    play.happen("lost")
    play.happen("attached", Capabilities())
    play.happen("tool", ToolEnded("call_1", '{"status": "ok"}'))
    play.happen("tool", ToolEnded("call_1", '{"status": "ok"}'))
    assert len(outputs(play, "call_1")) == 1
    # What the owed answer did not know is answered after it.
    play.begin("resp_2")
    play.end("resp_2")
    assert len(play.creates()) == 3


def test_an_action_that_ends_while_the_caller_speaks_is_answered_with_their_turn() -> None:
    play = Play()
    play.hear()
    play.begin()
    play.call("call_1")
    play.end()
    play.up("input_audio_buffer.speech_started", item_id="item_next", audio_start_ms=0)
    play.happen("tool", ToolEnded("call_1", '{"status": "ok"}'))
    assert len(outputs(play, "call_1")) == 1
    play.wait(20)
    assert len(play.creates()) == 1, "nobody talks over the caller"
    play.up("input_audio_buffer.speech_stopped", item_id="item_next", audio_end_ms=500)
    assert len(play.creates()) == 1, "nor between the end of speech and its commitment"
    play.commit("item_next")
    play.final("item_next", "y otra cosa")
    assert len(play.creates()) == 2, "one answer for both"


# -- never mute -----------------------------------------------------------------------------------


def test_a_forced_replacement_in_mid_answer_closes_it_whole_and_asks_again() -> None:
    play = Play()
    play.hear()
    play.begin()
    play.speak()
    play.told.clear()
    play.happen("lost")
    assert play.kinds() == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    for event in play.told:
        assert_server_event_valid(event)
    done = play.told[-1]["response"]
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": "Buenos días "}]
    assert done["usage"]["output_token_details"]["audio_tokens"] == 20, "one second was billed"
    play.happen("attached", Capabilities())
    assert len(play.creates()) == 2


def test_a_replacement_without_a_drop_frees_what_the_old_upstream_had_begun() -> None:
    play = Play()
    play.hear()
    play.begin()
    play.happen("attached", Capabilities())
    assert len(play.creates()) == 2


def test_an_error_without_event_id_in_place_of_response_created_asks_again() -> None:
    play = Play()
    play.hear()
    fault = {"type": "server_error", "code": None, "message": "oops", "event_id": None}
    play.up("error", error=fault)
    play.wait(2)
    assert len(play.creates()) == 2
    assert "error" not in play.kinds()


def test_a_request_that_nothing_answers_is_made_again_and_then_another_upstream_is_opened() -> None:
    play = Play()
    play.hear()
    play.wait(7)
    assert len(play.creates()) == 2
    play.wait(7)
    assert play.abandoned == ["silent"]
    play.happen("attached", Capabilities())
    assert len(play.creates()) == 3


def test_a_response_done_that_never_comes_is_cancelled_closed_and_answered() -> None:
    play = Play()
    play.hear()
    play.begin()
    play.speak()
    play.wait(13)
    assert play.sent[-1]["type"] == "response.cancel"
    play.wait(4)
    assert play.abandoned == ["stalled"]
    assert play.kinds()[-1] == "response.done"
    play.happen("attached", Capabilities())
    assert len(play.creates()) == 2


def a_whole_answer_without_its_end() -> Play:
    """Everything of it came but ``response.done``, and it has been cancelled for that."""
    play = Play()
    play.hear()
    play.begin()
    play.speak()
    said = [{"type": "output_audio", "transcript": "Buenos días"}]
    item = message("item_penny", "assistant", said)
    play.up("response.output_item.done", response_id="resp_1", output_index=0, item=item)
    play.wait(4.9)
    assert "response.cancel" not in [event["type"] for event in play.sent]
    play.wait(0.2)
    assert play.sent[-1]["type"] == "response.cancel"
    return play


def test_a_whole_answer_whose_end_was_lost_is_closed_and_not_given_again() -> None:
    play = a_whole_answer_without_its_end()
    error = {"type": "invalid_request_error", "code": "response_cancel_not_active", "message": ""}
    play.up("error", error={**error, "event_id": play.sent[-1]["event_id"], "param": None})
    assert play.kinds().count("response.done") == 1
    play.wait(30)
    assert len(play.creates()) == 1
    play.hear("item_next", "¿y el seguro?")
    assert len(play.creates()) == 2, "the next turn waits for nothing"


def test_an_answer_that_was_not_whole_after_all_is_given_again() -> None:
    play = a_whole_answer_without_its_end()
    play.end(status="cancelled", status_details={"reason": "client_cancelled"})
    assert len(play.creates()) == 2, "the server was still at it"


def test_a_lost_acknowledgement_is_tried_again_given_up_and_blocks_nothing() -> None:
    play = Play()
    play.happen("offered", folio("a"))
    play.wait(6)
    assert play.applied == [("append", ("a",)), ("remove", ("a",)), ("append", ("a",))]
    play.wait(6)
    assert play.state.context.in_force("folio") == ()
    play.happen("offered", folio("b"))
    assert play.applied[-1] == ("append", ("b",))


def test_a_turn_that_the_server_should_answer_itself_is_asked_for_when_it_does_not() -> None:
    play = Play(answers_turns=False)
    play.hear()
    assert play.creates() == []
    play.wait(5)
    assert len(play.creates()) == 1


def test_a_noise_that_the_server_answers_with_nothing_is_left_alone() -> None:
    play = Play(answers_turns=False)
    play.hear(words="")
    play.wait(30)
    assert play.creates() == []


# -- responses of the caller's side ---------------------------------------------------------------


def test_a_side_response_is_cancelled_by_its_id_and_frees_nothing_else() -> None:
    play = Play()
    play.hear()
    play.begin()
    play.client("response.create", response={"conversation": "none"})
    play.begin("resp_side", conversation_id=None)
    play.client("response.cancel", response_id="resp_side")
    assert play.sent[-1] == {"type": "response.cancel", "response_id": "resp_side"}
    assert play.state.slot.phase == "active"
    assert "error" not in play.kinds()


def test_a_cancellation_with_nothing_active_gets_the_vendors_error() -> None:
    play = Play()
    play.client("response.cancel", event_id="mine")
    fault = play.told[-1]["error"]
    assert (fault["code"], fault["event_id"]) == ("response_cancel_not_active", "mine")
    assert play.sent == []


@pytest.mark.parametrize("kind", ["input_audio_buffer.commit", "input_audio_buffer.clear"])
@pytest.mark.parametrize("given", [{}, {"event_id": "mine"}])
def test_what_is_refused_of_the_buffer_is_told_with_the_clients_own_event_id(
    kind: str, given: Json
) -> None:
    play = Play()
    play.client(kind, **given)
    fault = {"type": "invalid_request_error", "code": "x", "message": "", "param": None}
    play.up("error", error={**fault, "event_id": play.sent[-1]["event_id"]})
    assert play.told[-1]["error"]["event_id"] == given.get("event_id")


def test_a_clients_commit_under_voice_detection_makes_no_response() -> None:
    play = Play()
    play.up("input_audio_buffer.speech_started", item_id="item_user", audio_start_ms=0)
    play.client("input_audio_buffer.commit")
    play.commit("item_user")
    play.final("item_user", "hola")
    play.wait(30)
    assert play.creates() == []


def test_semantic_vad_after_create_response_false_answers_again() -> None:
    play = Play()
    update(play, {"type": "server_vad", "create_response": False})
    play.hear("item_a")
    play.wait(10)
    assert play.creates() == []
    update(play, {"type": "semantic_vad"})
    play.hear("item_b")
    assert len(play.creates()) == 1


def update(play: Play, detection: Json | None) -> None:
    session = {"audio": {"input": {"turn_detection": detection}}}
    play.client("session.update", session=session)
    play.up("session.updated", session=play.sent[-1]["session"])


def test_a_late_transcript_of_an_earlier_turn_touches_only_its_own() -> None:
    play = Play()
    play.up("input_audio_buffer.speech_started", item_id="item_a", audio_start_ms=0)
    play.up("input_audio_buffer.speech_stopped", item_id="item_a", audio_end_ms=500)
    play.commit("item_a")
    play.wait(0.1)
    play.begin()
    play.end()
    play.hear("item_b", "segunda")
    play.final("item_a", "primera")
    assert play.state.conversation.words_of(1) == "primera"
    assert play.state.conversation.words_of(2) == "segunda"
    assert len(play.creates()) == 2


# -- what the caller's side sees ------------------------------------------------------------------


def test_hidden_items_never_show_as_a_previous_item() -> None:
    play = Play()
    play.hear()
    play.begin()
    play.call("call_1")
    play.end()
    play.happen("tool", ToolEnded("call_1", "{}"))
    output = outputs(play, "call_1")[0]
    play.up("conversation.item.added", item=output, previous_item_id="item_call_1")
    play.begin("resp_2")
    item = message("item_penny", "assistant", [])
    play.up("conversation.item.added", item=item, previous_item_id=output["id"])
    assert play.told[-1]["previous_item_id"] == "item_user"
    assert "call_1" not in str(play.told)


def test_a_response_that_only_calls_a_tool_of_pennys_shows_as_the_answer_that_follows() -> None:
    play = Play()
    asked = {"instructions": "Sé breve.", "metadata": {"client_event_id": "mine"}}
    play.client("response.create", response=asked)
    play.begin()
    play.call("call_1")
    usage = {"input_token_details": {"text_tokens": 900}, "output_tokens": 20}
    play.end(usage=usage)
    assert [kind for kind in play.kinds() if kind.startswith("response.")] == []
    billed = [event for event in play.told if event["type"] == "penny.usage"]
    assert [(e["component"], e["usage"]) for e in billed] == [("portavoz", usage)]
    play.happen("tool", ToolEnded("call_1", "{}"))
    assert play.creates()[-1]["response"] == asked
    play.begin("resp_2")
    play.speak("resp_2")
    play.end("resp_2")
    told = [kind for kind in play.kinds() if kind in ("response.created", "response.done")]
    assert told == ["response.created", "response.done"]
    assert play.told[-1]["response"]["id"] == "resp_2"


def test_a_response_that_fails_before_anything_of_it_shows_is_told_whole() -> None:
    play = Play()
    play.client("response.create")
    play.begin()
    play.end(status="cancelled")
    assert play.kinds()[-2:] == ["response.created", "response.done"]


def test_a_session_update_counts_only_when_the_upstream_has_agreed() -> None:
    play = Play()
    before = play.state.view.session
    play.client("session.update", event_id="mine", session={"temperature": 0.8})
    fault = {"type": "invalid_request_error", "code": "unknown_parameter", "message": ""}
    play.up("error", error={**fault, "event_id": "mine"})
    assert play.state.view.session == before, "the next upstream is not asked for it"
    assert play.told[-1]["error"]["event_id"] == "mine"
    play.client("session.update", session={"max_output_tokens": 200, "model": "gpt-4o"})
    asked = play.sent[-1]["session"]
    assert "model" not in asked
    play.up("session.updated", session=asked)
    assert play.state.view.session["max_output_tokens"] == 200


def test_an_update_without_an_answer_is_asked_of_the_next_upstream() -> None:
    play = Play()
    play.client("session.update", session={"max_output_tokens": 200})
    play.happen("lost")
    play.happen("attached", Capabilities())
    assert play.sent[-1]["session"]["max_output_tokens"] == 200


def test_a_request_for_an_item_is_asked_of_the_next_upstream_until_it_is_answered() -> None:
    play = Play()
    for item_id in ("item_a", "item_b", "item_c"):
        play.client("conversation.item.retrieve", item_id=item_id, event_id=f"get_{item_id}")
    play.up("conversation.item.retrieved", item=message("item_a", "user", []))
    fault = {"type": "invalid_request_error", "code": "item_retrieve_invalid_item_id"}
    play.up("error", error={**fault, "message": "", "event_id": "get_item_b"})
    assert [event["type"] for event in play.told[-2:]] == ["conversation.item.retrieved", "error"]
    play.happen("lost")
    play.client("conversation.item.retrieve", item_id="item_d")
    play.sent.clear()
    play.happen("attached", Capabilities())
    asked = [e["item_id"] for e in play.sent if e["type"] == "conversation.item.retrieve"]
    assert asked == ["item_c", "item_d"]


def test_an_item_that_a_client_places_after_itself_goes_to_the_end() -> None:
    play = Play()
    content = [{"type": "input_text", "text": "hola"}]
    for item_id, place in (("item_1", None), ("item_2", "item_2")):
        item = message(item_id, "system", content)
        play.client("conversation.item.create", item=item, previous_item_id=place)
    play.happen("lost")
    play.happen("attached", Capabilities())
    assert [item["id"] for item in play.state.conversation.seed(0.0)] == ["item_1", "item_2"]


def test_everything_that_clients_wrote_is_seeded_in_its_order() -> None:
    play = Play()
    image = [{"type": "input_image", "image_url": "data:image/png;base64,AA"}]
    sound = [{"type": "input_audio", "audio": "AAAA"}]
    said = [{"type": "output_text", "text": "lo dije"}]
    rule = [{"type": "input_text", "text": "una regla"}]
    for item_id, role, content, place in (
        ("i1", "user", image, None),
        ("i2", "assistant", said, None),
        ("i3", "user", sound, "i1"),
        ("i0", "system", rule, "root"),
    ):
        item = {"id": item_id, "type": "message", "role": role, "content": content}
        fields = {} if place is None else {"previous_item_id": place}
        play.client("conversation.item.create", item=item, **fields)
    seed = play.state.conversation.seed(play.now_s)
    assert [item["id"] for item in seed] == ["i0", "i1", "i3", "i2"]
    assert [item["content"] for item in seed] == [rule, image, sound, said]


def test_a_message_is_relayed_and_seeded_with_the_phase_that_the_vendor_gave_it() -> None:
    play = Play()
    said = [{"type": "output_text", "text": "Lo miro."}]
    item = {"id": "i1", "type": "message", "role": "assistant", "content": said}
    phased = {**item, "status": "completed", "phase": "commentary"}
    play.up("conversation.item.added", item=phased, previous_item_id=None)
    assert play.told[-1]["item"]["phase"] == "commentary"
    (seed,) = play.state.conversation.seed(play.now_s)
    assert seed["phase"] == "commentary"


def test_the_vendors_own_mcp_tools_and_their_approvals_pass_both_ways() -> None:
    play = Play()
    server = {"type": "mcp", "server_label": "facturas", "server_url": "https://mcp.example.org"}
    play.client("session.update", session={"tools": [server]})
    assert server in play.sent[-1]["session"]["tools"]
    play.up("session.updated", session=play.sent[-1]["session"])
    assert play.told[-1]["session"]["tools"] == [server]
    listed = {"id": "mcpl_1", "type": "mcp_list_tools", "server_label": "facturas", "tools": []}
    asked = {"id": "mcpr_1", "type": "mcp_approval_request", "server_label": "facturas"}
    asked |= {"name": "consultar", "arguments": "{}"}
    told = []
    for event in (
        {"type": "mcp_list_tools.in_progress", "item_id": "mcpl_1"},
        {"type": "conversation.item.added", "item": listed, "previous_item_id": None},
        {"type": "mcp_list_tools.completed", "item_id": "mcpl_1"},
        {"type": "conversation.item.added", "item": asked, "previous_item_id": "mcpl_1"},
    ):
        kind = event.pop("type")
        play.up(kind, **event)
        told.append((kind, event))
    shown = [(e["type"], {n: e[n] for n in e if n in ("item_id", "item")}) for e in play.told[-4:]]
    assert shown == [
        (kind, {n: event[n] for n in event if n in ("item_id", "item")}) for kind, event in told
    ]
    answer = {"id": "a1", "type": "mcp_approval_response", "approval_request_id": "mcpr_1"}
    answer["approve"] = True
    play.client("conversation.item.create", item=answer)
    assert play.sent[-1]["item"] == answer


def test_an_item_written_during_a_drop_is_acknowledged_when_there_is_an_upstream() -> None:
    play = Play()
    play.happen("lost")
    content = [{"type": "input_text", "text": "sigo aquí"}]
    item = {"id": "item_typed", "type": "message", "role": "user", "content": content}
    play.client("conversation.item.create", item=item)
    play.client("response.create")
    play.told.clear()
    play.happen("attached", Capabilities())
    assert play.kinds() == ["conversation.item.added", "conversation.item.done"]
    assert len(play.creates()) == 1


@pytest.mark.parametrize(
    ("kind", "heard"),
    [("audio/pcm", "uno dos"), ("audio/pcmu", "uno dos"), ("audio/pcma", "uno dos")],
)
def test_a_cut_is_measured_in_the_sessions_own_format(kind: str, heard: str) -> None:
    play = Play()
    play.client("session.update", session={"audio": {"output": {"format": {"type": kind}}}})
    play.up("session.updated", session=play.sent[-1]["session"])
    play.hear()
    play.begin()
    place = play.speak()
    play.end()
    item = play.state.conversation.reply("item_2")
    item.spoken.text("uno dos tres cuatro cinco seis")
    bytes_of_second = 48_000 if kind == "audio/pcm" else 8_000
    second = b64encode(bytes(bytes_of_second)).decode()
    play.up("response.output_audio.delta", **{**place, "item_id": "item_2"}, delta=second)
    assert item.audio_ms == 1000
    play.client("conversation.item.truncate", item_id="item_2", content_index=0, audio_end_ms=300)
    assert item.heard(1e9) == heard


# -- the declared context -------------------------------------------------------------------------


def acknowledge(play: Play) -> None:
    play.up("penny.placed", step_id=play.last.id)


def test_what_is_superseded_expired_or_confirmed_leaves_the_speakers_context() -> None:
    play = Play()
    play.hear()
    play.begin()
    play.happen("offered", folio("a", expires_after_turns=1))
    assert play.applied == [], "not in the middle of a response"
    play.end()
    acknowledge(play)
    play.happen("offered", folio("b", expires_after_turns=1))
    assert play.applied[-2:] == [("remove", ("a",)), ("append", ("b",))]
    play.happen("offered", folio("c", "correction", kind="correction"))
    acknowledge(play)
    play.happen("withdrawn", ("c", "confirmed"))
    assert play.applied[-1] == ("remove", ("c",))
    for item_id in ("item_2", "item_3"):
        play.hear(item_id)
        play.begin(f"resp_{item_id}")
        play.end(f"resp_{item_id}")
    assert play.applied[-1] == ("remove", ("b",)), "its turns are over"


def test_a_hint_replaces_the_last_hint_and_leaves_the_folio_alone() -> None:
    play = Play()
    play.happen("offered", folio("a"))
    acknowledge(play)
    play.happen("offered", folio("upset", "hint"))
    acknowledge(play)
    play.happen("offered", folio("stuck", "hint"))
    assert play.applied[-2:] == [("remove", ("upset",)), ("append", ("stuck",))]
    assert [f.id for f in play.state.context.in_force("folio")] == ["a"]


def test_another_upstream_gets_what_is_wanted_and_nothing_that_was() -> None:
    play = Play()
    play.happen("offered", folio("a", turn=0))
    play.happen("offered", folio("b", turn=0))
    play.happen("lost")
    play.happen("offered", folio("c", "correction", 0, kind="correction"))
    play.happen("withdrawn", ("b", "said"))
    play.applied.clear()
    play.happen("attached", Capabilities())
    assert play.applied == [("append", ("c",))]


def test_a_speaker_that_takes_no_notes_has_all_of_it_in_its_instructions() -> None:
    play = Play()
    play.happen("offered", folio("a", turn=0))
    play.happen("attached", Capabilities(appends=False))
    assert play.applied[-1] == ("rewrite", ("a",))
    assert play.last.text == "base\n\nrules\n\n[a]"
    play.happen("withdrawn", ("a", "said"))
    assert play.last.text == "base\n\nrules"


def test_an_urgent_folio_is_written_into_the_instructions_and_leaves_them_again() -> None:
    play = Play()
    urgent = folio("a", "correction", 0, kind="correction", urgent=True)
    play.happen("offered", urgent)
    assert play.applied[-1] == ("rewrite", ("a",))
    acknowledge(play)
    play.happen("withdrawn", ("a", "confirmed"))
    assert play.last.folios == ()


def test_a_late_folio_of_a_turn_is_taken_and_an_older_one_than_the_newest_is_not() -> None:
    play = Play()
    play.hear("item_1")
    play.begin("resp_a")
    play.end("resp_a")
    play.hear("item_2")
    play.begin("resp_b")
    play.end("resp_b")
    play.happen("offered", folio("late", turn=1))
    assert play.applied[-1] == ("append", ("late",))
    play.happen("offered", folio("new", turn=2))
    play.happen("offered", folio("stale", turn=1))
    assert [f.id for f in play.state.context.in_force("folio")] == ["new"]


# -- what was under way at a drop ------------------------------------------------------------------


def test_a_side_response_that_runs_at_a_drop_fails_whole_and_is_not_said_again() -> None:
    play = Play()
    play.client("response.create", response={"conversation": "none"})
    play.begin("resp_side", conversation_id=None)
    play.speak("resp_side", "item_side")
    play.told.clear()
    play.happen("lost")
    for event in play.told:
        assert_server_event_valid(event)
    done = play.told[-1]
    assert (done["type"], done["response"]["status"]) == ("response.done", "failed")
    assert done["response"]["output"][0]["status"] == "incomplete"
    assert done["response"]["usage"]["output_token_details"]["audio_tokens"] == 20, "it was billed"
    assert play.state.conversation.seed(play.now_s) == [], "it is no part of the conversation"
    assert play.state.conversation.reply_of(0, 1e9) == ""


def test_what_went_up_before_a_drop_is_answered_after_it() -> None:
    play = Play()
    play.client("session.update", session={"audio": {"input": {"turn_detection": None}}})
    play.up("session.updated", session=play.sent[-1]["session"])
    play.hear("item_user")
    play.begin()
    play.speak()
    play.end()
    cut = {"item_id": "item_penny", "content_index": 0, "audio_end_ms": 300}
    play.client("conversation.item.truncate", **cut)
    play.client("conversation.item.delete", item_id="item_user")
    play.client("input_audio_buffer.clear")
    play.client("input_audio_buffer.commit")
    play.happen("lost")
    assert "item_user" not in str(play.state.conversation.seed(play.now_s))
    play.told.clear()
    play.sent.clear()
    play.happen("attached", Capabilities())
    assert play.kinds() == ["conversation.item.truncated", "conversation.item.deleted"]
    assert play.sent == []
    between = [event["type"] for _, event in replayed_requests(play.state)]
    assert between == ["input_audio_buffer.clear", "input_audio_buffer.commit"], "with the audio"
    play.up("input_audio_buffer.cleared")
    play.up("input_audio_buffer.committed", item_id="item_2", previous_item_id=None)
    assert replayed_requests(play.state) == []
    play.happen("lost")
    play.told.clear()
    play.happen("attached", Capabilities())
    assert play.told == [], "once"


def test_without_voice_detection_what_was_not_committed_is_heard_again() -> None:
    play = Play()
    play.client("session.update", session={"audio": {"input": {"turn_detection": None}}})
    play.up("session.updated", session=play.sent[-1]["session"])
    play.state.position_ms = 2_000
    play.client("input_audio_buffer.commit")
    play.commit("item_1")
    play.final("item_1", "hola")
    play.state.position_ms = 5_000
    play.happen("lost")
    assert replay_from_ms(play.state) == 2_000
    play.client("input_audio_buffer.clear")
    play.happen("attached", Capabilities())
    play.up("input_audio_buffer.cleared")
    assert replay_from_ms(play.state) == 5_000


def test_every_item_that_a_drop_left_without_usage_is_estimated() -> None:
    play = Play()
    play.hear()
    play.begin()
    play.speak()
    where = {"response_id": "resp_1", "output_index": 0}
    play.up("response.output_item.done", **where, item=message("item_penny", "assistant", []))
    play.call("call_1")
    play.told.clear()
    play.happen("lost")
    usage = play.told[-1]["response"]["usage"]
    assert usage["output_token_details"]["audio_tokens"] == 20, "the item that had ended"
    assert usage["output_token_details"]["text_tokens"] == 4, "its words, and a call's arguments"
