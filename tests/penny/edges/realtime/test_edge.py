"""Turns through `/v1/realtime`, gateway and worker: every scenario of the protocol, in order."""

from __future__ import annotations

import base64
from base64 import b64decode

import pytest

from runpod_worker.stages import LlmToolCall
from tests.doubles.engines import FixedLlm, FixedStt
from tests.doubles.house import make_engines, running_penny
from tests.doubles.realtime_client import connected_to
from tests.doubles.speech import silence, speak


pytestmark = pytest.mark.engines


HEARD = {"audio": {"input": {"transcription": {"model": "penny"}}}}
WRITTEN_TURN = [
    "response.created",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
]


def question() -> bytes:
    return silence(300) + speak("¿Cuándo vence mi factura?") + silence(1000)


async def test_a_spoken_question_is_answered_in_order_with_every_id_in_its_place() -> None:
    stt = FixedStt("cuándo vence mi factura")
    async with running_penny(make_engines(stt)) as url, connected_to(url) as client:
        await client.configure(**HEARD)
        since = len(client.events)
        await client.stream(question())
        done = await client.until("response.done")
        await client.until("rate_limits.updated")
        assert client.without_deltas(since) == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
        ]
    named = {event["type"]: event for event in client.events}
    started = named["input_audio_buffer.speech_started"]
    assert named["input_audio_buffer.speech_stopped"]["item_id"] == started["item_id"]
    assert named["input_audio_buffer.committed"]["previous_item_id"] is None
    added = [e for e in client.events if e["type"] == "conversation.item.added"]
    assert [e["item"]["role"] for e in added] == ["user", "assistant"]
    assert added[1]["previous_item_id"] == added[0]["item"]["id"] == started["item_id"]
    transcript = named["conversation.item.input_audio_transcription.completed"]
    assert transcript["transcript"] == "cuándo vence mi factura"
    assert transcript["item_id"] == started["item_id"]
    answer = done["response"]["output"][0]
    assert answer["content"][0]["transcript"].startswith("Su factura vence")
    audio = b"".join(
        base64.b64decode(e["delta"])
        for e in client.events
        if e["type"] == "response.output_audio.delta"
    )
    usage = done["response"]["usage"]
    assert usage["output_token_details"]["audio_tokens"] == -(-len(audio) // 48 // 50)
    spoken_ms = named["input_audio_buffer.speech_stopped"]["audio_end_ms"] - max(
        0, started["audio_start_ms"]
    )
    assert usage["input_token_details"]["audio_tokens"] == pytest.approx(spoken_ms / 100, abs=1)


async def test_an_interruption_closes_the_answer_and_truncate_keeps_what_was_heard() -> None:
    llm = FixedLlm("Primera frase de la respuesta. " + "Otra que nadie escucha. " * 20, gap_s=0.01)
    async with running_penny(make_engines(llm=llm)) as url, connected_to(url) as client:
        await client.stream(question())
        first = delta = await client.until("response.output_audio.delta")
        heard_ms = 0
        while (heard_ms := heard_ms + len(b64decode(delta["delta"])) // 48) < 1000:
            await client.stream(silence(40))  # a line that is open gets the answer as it is heard
            delta = await client.until("response.output_audio.delta")
        since = len(client.events)
        await client.stream(silence(100) + speak("Espera un momento, por favor"))
        await client.until("input_audio_buffer.speech_started")
        await client.send(
            "conversation.item.truncate",
            item_id=first["item_id"],
            content_index=0,
            audio_end_ms=900,
        )
        done = await client.until("response.done")
        assert done["response"]["status"] == "cancelled"
        assert done["response"]["status_details"] == {
            "type": "cancelled",
            "reason": "turn_detected",
        }
        assert done["response"]["usage"]["output_tokens"] > 0
        cut = await client.until("conversation.item.truncated")
        assert cut["audio_end_ms"] == 900
        seen = client.without_deltas(since)
        assert seen[: seen.index("response.done") + 1] == [
            "input_audio_buffer.speech_started",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
        ]
        await client.send("conversation.item.retrieve", item_id=first["item_id"])
        kept = (await client.until("conversation.item.retrieved"))["item"]
        assert kept["status"] == "incomplete"
        assert llm.answer.startswith(kept["content"][0]["transcript"].strip())
        assert 0 < len(kept["content"][0]["transcript"]) < 31
        await client.stream(silence(1000))
        again = await client.until("response.created")
        await client.until("response.output_audio.delta")
        said = [item for item in llm.requests[-1].items if item["id"] == first["item_id"]]
        assert said[0]["content"][0]["transcript"] == kept["content"][0]["transcript"]
        await client.send("response.cancel", response_id=again["response"]["id"])
        reason = (await client.until("response.done"))["response"]["status_details"]["reason"]
        assert reason == "client_cancelled"


async def test_a_late_truncate_is_clamped_and_a_second_delete_acknowledged() -> None:
    async with running_penny() as url, connected_to(url) as client:
        await client.send("response.create")
        done = await client.until("response.done")
        item_id = done["response"]["output"][0]["id"]
        made = sum(
            len(base64.b64decode(e["delta"])) // 48
            for e in client.events
            if e["type"] == "response.output_audio.delta"
        )
        cut = {"item_id": item_id, "content_index": 0, "audio_end_ms": made + 85}
        await client.send("conversation.item.truncate", **cut)
        assert (await client.until("conversation.item.truncated"))["audio_end_ms"] == made
        for _ in range(2):
            await client.send("conversation.item.delete", item_id=item_id)
            assert (await client.until("conversation.item.deleted"))["item_id"] == item_id
        await client.send("conversation.item.retrieve", item_id=item_id)
        assert (await client.the_error())["code"] == "item_retrieve_invalid_item_id"


async def test_a_text_turn_is_answered_in_text_alone() -> None:
    async with running_penny() as url, connected_to(url) as client:
        item_id = await client.say("hola", event_id="e1")
        await client.send("response.create", response={"output_modalities": ["text"]})
        created = await client.until("response.created")
        done = await client.until("response.done")
        assert client.turn(created["response"]["id"]) == WRITTEN_TURN
        assert done["response"]["output"][0]["content"] == [
            {"type": "output_text", "text": FixedLlm().answer}
        ]
        assert done["response"]["usage"]["output_token_details"]["audio_tokens"] == 0
        added = [e for e in client.events if e["type"] == "conversation.item.added"]
        assert added[-1]["previous_item_id"] == item_id


async def test_items_keep_their_ids_and_go_where_they_were_sent() -> None:
    llm = FixedLlm()
    async with running_penny(make_engines(llm=llm)) as url, connected_to(url) as client:
        note = {"type": "message", "role": "system", "id": "note_1"}
        note["content"] = [{"type": "input_text", "text": "El cliente es Juan."}]  # type: ignore[assignment]
        first = await client.say("segunda")
        assert await client.create(note, previous_item_id="root") == "note_1"
        await client.create({**note, "id": "note_2"}, previous_item_id="note_1")
        last = await client.say("tercera")
        added = [e for e in client.events if e["type"] == "conversation.item.added"]
        assert [e["previous_item_id"] for e in added] == [None, None, "note_1", first]
        await client.send("conversation.item.create", item=note, event_id="again")
        error = await client.the_error()
        assert (error["code"], error["event_id"]) == ("item_create_duplicate_item_id", "again")
        await client.send(
            "conversation.item.create", item={**note, "id": "n"}, previous_item_id="x"
        )
        assert (await client.the_error())["code"] == "item_create_invalid_previous_item_id"
        await client.send("response.create")
        await client.until("response.done")
        order = [item["id"] for item in llm.requests[-1].items]
        assert order == ["note_1", "note_2", first, last]
        await client.send("conversation.item.retrieve", item_id="note_1")
        retrieved = (await client.until("conversation.item.retrieved"))["item"]
        assert retrieved == {**note, "object": "realtime.item", "status": "completed"}


async def test_a_function_call_is_made_answered_and_used() -> None:
    call = LlmToolCall("call_1", "consultar_factura", '{"id":"F-2024-1234"}', done=True)
    llm = FixedLlm(call=call)
    tool = {"type": "function", "name": "consultar_factura", "parameters": {"type": "object"}}
    async with running_penny(make_engines(llm=llm)) as url, connected_to(url) as client:
        session = await client.configure(tools=[tool], tool_choice="required")
        assert session["tools"] == [tool]
        await client.say("¿Cómo va la F-2024-1234?")
        await client.send("response.create")
        created = await client.until("response.created")
        done = await client.until("response.done")
        assert client.turn(created["response"]["id"]) == [
            "response.created",
            "response.output_item.added",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.done",
        ]
        output = done["response"]["output"]
        assert [(o["type"], o["status"], o["call_id"]) for o in output] == [
            ("function_call", "completed", "call_1")
        ]
        llm.call = None
        answer = {"type": "function_call_output", "call_id": "call_1", "output": "pendiente"}
        await client.create(answer)
        await client.send("response.create", response={"tool_choice": "none"})
        done = await client.until("response.done")
        assert done["response"]["output"][0]["type"] == "message"
        assert llm.requests[-1].tool_choice == "none"


async def test_a_response_out_of_band_runs_beside_the_main_one_and_leaves_no_item() -> None:
    llm = FixedLlm("palabra " * 30, gap_s=0.01)
    async with running_penny(make_engines(llm=llm)) as url, connected_to(url) as client:
        item_id = await client.say("hola")
        await client.send("response.create")
        main = (await client.until("response.created"))["response"]["id"]
        aside = {
            "conversation": "none",
            "metadata": {"para": "clasificar"},
            "output_modalities": ["text"],
            "instructions": "Clasifica.",
            "input": [{"type": "item_reference", "id": item_id}],
        }
        await client.send("response.create", response=aside)
        side = (await client.until("response.created"))["response"]
        assert side["conversation_id"] is None
        assert side["metadata"] == {"para": "clasificar"}
        await client.send("response.create", event_id="third")
        error = await client.the_error()
        assert error["code"] == "conversation_already_has_active_response"
        assert error["event_id"] == "third"
        ends = [(await client.until("response.done"))["response"] for _ in range(2)]
        assert {end["id"] for end in ends} == {main, side["id"]}
        assert all(end["status"] == "completed" for end in ends)
        assert client.turn(side["id"]) == WRITTEN_TURN
        aside_items = {i["id"] for end in ends if end["id"] == side["id"] for i in end["output"]}
        added = {e["item"]["id"] for e in client.events if e["type"] == "conversation.item.added"}
        assert not aside_items & added
        assert [request.instructions for request in llm.requests].count("Clasifica.") == 1


async def test_cancel_and_create_at_once_are_two_responses() -> None:
    llm = FixedLlm("palabra " * 400, gap_s=0.01)
    async with running_penny(make_engines(llm=llm)) as url, connected_to(url) as client:
        await client.send("response.cancel", event_id="idle")
        error = await client.the_error()
        assert (error["code"], error["event_id"]) == ("response_cancel_not_active", "idle")
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.send("response.cancel")
        await client.send("response.create")
        first = await client.until("response.done")
        second = await client.until("response.created")
        assert first["response"]["status"] == "cancelled"
        assert first["response"]["output"][0]["status"] == "incomplete"
        await client.send("response.cancel", response_id="resp_unknown")
        assert (await client.the_error())["code"] == "response_cancel_not_active"
        await client.send("response.cancel", response_id=second["response"]["id"])
        last = await client.until("response.done")
        assert last["response"]["id"] == second["response"]["id"]
        assert llm.aborted == 2
