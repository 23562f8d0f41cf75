"""session.update: deep merge, echo, and what may not change."""

from __future__ import annotations

from typing import Any

import pytest

from penny.realtime import commands as c
from tests.penny.realtime.talk import Json, Talk, the_error


pytestmark = pytest.mark.pure


def updated(talk: Talk, **session: Any) -> Json:
    (event,) = talk.update(**session)
    assert event["type"] == "session.updated", event
    assert talk.commands[-1] == c.Configure(event["session"])
    return dict(event["session"])


def test_only_the_fields_given_change_and_the_whole_session_is_echoed() -> None:
    talk = Talk(instructions="Sé amable.")
    before = talk.core.session
    after = updated(
        talk, audio={"input": {"turn_detection": {"type": "server_vad", "threshold": 0.7}}}
    )
    assert after["audio"]["input"]["turn_detection"] == {
        **before["audio"]["input"]["turn_detection"],
        "threshold": 0.7,
    }
    after["audio"]["input"]["turn_detection"] = before["audio"]["input"]["turn_detection"]
    assert after == before


def test_empty_values_and_null_clear() -> None:
    talk = Talk(instructions="x")
    updated(talk, tools=[{"type": "function", "name": "f"}])
    after = updated(talk, instructions="", tools=[], audio={"input": {"turn_detection": None}})
    assert (after["instructions"], after["tools"]) == ("", [])
    assert after["audio"]["input"]["turn_detection"] is None


def test_turn_detection_comes_back_with_its_defaults() -> None:
    talk = Talk()
    updated(talk, audio={"input": {"turn_detection": None}})
    vad = updated(talk, audio={"input": {"turn_detection": {"create_response": False}}})
    assert vad["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "idle_timeout_ms": None,
        "create_response": False,
        "interrupt_response": True,
    }


def test_another_kind_of_turn_detection_starts_afresh() -> None:
    talk = Talk()
    vad = {"type": "semantic_vad", "eagerness": "high"}
    after = updated(talk, audio={"input": {"turn_detection": vad}})
    assert after["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "high",
        "create_response": True,
        "interrupt_response": True,
    }


def test_transcription_is_switched_on_refined_and_off() -> None:
    talk = Talk()
    after = updated(talk, audio={"input": {"transcription": {"model": "whisper-1"}}})
    assert after["audio"]["input"]["transcription"] == {
        "model": "whisper-1",
        "language": None,
        "prompt": None,
    }
    after = updated(talk, audio={"input": {"transcription": {"language": "es"}}})
    assert after["audio"]["input"]["transcription"]["model"] == "whisper-1"
    assert talk.ask(talk.respond()).language == "es"
    after = updated(talk, audio={"input": {"transcription": None}})
    assert after["audio"]["input"]["transcription"] is None


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
def test_g711_goes_both_ways(kind: str) -> None:
    import base64

    talk = Talk()
    wire = {"format": {"type": kind}}
    after = updated(talk, audio={"input": wire, "output": wire})
    assert after["audio"]["output"]["format"] == {"type": kind}
    one_second = bytes([0xD5]) * 8000
    talk.send("input_audio_buffer.append", audio=base64.b64encode(one_second).decode())
    assert len(talk.last_command(c.BufferAudio).pcm) == 48_000
    response_id = talk.respond()
    talk.phrase(response_id, "Hola", 1000)
    talk.report(c.GenerationDone(response_id))
    deltas = [e["delta"] for e in talk.events if e["type"] == "response.output_audio.delta"]
    n_bytes = sum(len(base64.b64decode(delta)) for delta in deltas)
    assert n_bytes == 8000


def test_unknown_fields_are_kept_and_echoed() -> None:
    talk = Talk()
    after = updated(
        talk, penny_language="es", audio={"input": {"future": 1}, "output": {"other": [2]}}
    )
    assert after["penny_language"] == "es"
    assert after["audio"]["input"]["future"] == 1
    assert after["audio"]["output"]["other"] == [2]


def test_fields_of_the_server_are_not_taken_from_the_client() -> None:
    talk = Talk()
    after = updated(talk, id="mine", object="x", expires_at=1)
    assert after["id"] == "sess_1"
    assert after["object"] == "realtime.session"
    assert after["expires_at"] == talk.core.session["expires_at"] > 1


def test_the_model_is_immutable() -> None:
    talk = Talk(model="penny-self-hosted")
    assert updated(talk, model="penny-self-hosted")["model"] == "penny-self-hosted"
    other = updated(talk, model="gpt-realtime", instructions="Responde en verso.")
    assert other["model"] == "penny-self-hosted"
    assert other["instructions"] == "Responde en verso."


def test_the_voice_is_frozen_after_the_first_audio() -> None:
    talk = Talk(voices=("dalia", "diego"))
    assert talk.core.session["audio"]["output"]["voice"] == "dalia"
    updated(talk, audio={"output": {"voice": "diego"}})
    response_id = talk.respond()
    updated(talk, audio={"output": {"voice": "alloy"}})
    talk.phrase(response_id, "Hola", 100)
    assert updated(talk, audio={"output": {"voice": "alloy"}})
    for events in (
        talk.update(audio={"output": {"voice": "diego"}}),
        talk.send(
            "response.create",
            response={"conversation": "none", "audio": {"output": {"voice": "diego"}}},
        ),
    ):
        assert the_error(events)["code"] == "cannot_update_voice"


def test_tracing_is_frozen_once_on() -> None:
    talk = Talk()
    updated(talk, tracing=None)
    updated(talk, tracing="auto")
    updated(talk, tracing="auto")
    assert the_error(talk.update(tracing=None))["code"] == "cannot_update_tracing"


def test_settings_without_effect_here_are_taken_and_echoed() -> None:
    talk = Talk(tells_logprobs=True)
    ratio = {
        "type": "retention_ratio",
        "retention_ratio": 0.8,
        "token_limits": {"post_instructions": 8000},
    }
    after = updated(
        talk,
        truncation=ratio,
        include=["item.input_audio_transcription.logprobs"],
        prompt={"id": "pmpt_1"},
        reasoning={"effort": "low"},
        parallel_tool_calls=False,
        tracing={"workflow_name": "w"},
        audio={"input": {"noise_reduction": {"type": "near_field"}}},
    )
    assert after["truncation"] == ratio
    assert after["audio"]["input"]["noise_reduction"] == {"type": "near_field"}


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({}, "session.type"),
        ({"type": "translation"}, "session.type"),
        ({"type": 1}, "session.type"),
        ({"instructions": 1}, "session.instructions"),
        ({"output_modalities": ["text", "audio"]}, "session.output_modalities"),
        ({"max_output_tokens": 4097}, "session.max_output_tokens"),
        ({"max_output_tokens": "many"}, "session.max_output_tokens"),
        ({"tools": {}}, "session.tools"),
        ({"tools": [{"type": "function"}]}, "session.tools[0].name"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "session.tools[0].type"),
        ({"tool_choice": {"type": "mcp"}}, "session.tool_choice.type"),
        ({"tracing": "on"}, "session.tracing"),
        ({"truncation": "some"}, "session.truncation"),
        ({"include": ["x"]}, "session.include[0]"),
        ({"prompt": {}}, "session.prompt.id"),
        ({"prompt": {"id": "p", "version": 2}}, "session.prompt.version"),
        ({"prompt": {"id": "p", "variables": {"a": 1}}}, "session.prompt.variables.a"),
        (
            {"prompt": {"id": "p", "variables": {"a": {"type": "output_text"}}}},
            "session.prompt.variables.a.type",
        ),
        ({"reasoning": {"effort": "most"}}, "session.reasoning.effort"),
        ({"audio": 1}, "session.audio"),
        ({"audio": {"input": 1}}, "session.audio.input"),
        ({"audio": {"input": {"format": {}}}}, "session.audio.input.format.type"),
        (
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            "session.audio.input.format.rate",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "magic"}}}},
            "session.audio.input.turn_detection.type",
        ),
        (
            {"audio": {"input": {"turn_detection": {"threshold": 2}}}},
            "session.audio.input.turn_detection.threshold",
        ),
        (
            {"audio": {"input": {"turn_detection": {"silence_duration_ms": "5"}}}},
            "session.audio.input.turn_detection.silence_duration_ms",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": 1}}}},
            "session.audio.input.turn_detection.eagerness",
        ),
        (
            {"audio": {"input": {"transcription": {"language": 3}}}},
            "session.audio.input.transcription.language",
        ),
        (
            {"audio": {"input": {"noise_reduction": {"type": "quiet"}}}},
            "session.audio.input.noise_reduction.type",
        ),
        ({"audio": {"output": {"speed": 2}}}, "session.audio.output.speed"),
        ({"audio": {"output": {"voice": {}}}}, "session.audio.output.voice.id"),
    ],
)
def test_a_wrong_value_is_refused_by_its_path_and_changes_nothing(
    session: Json, param: str
) -> None:
    talk = Talk()
    before = talk.core.session
    wanted = session if param == "session.type" else {"type": "realtime", **session}
    error = the_error(talk.send("session.update", event_id="e1", session=wanted))
    assert error["param"] == param
    assert error["event_id"] == "e1"
    assert param in error["message"]
    assert talk.core.session is before


def test_a_session_too_large_to_echo_is_refused() -> None:
    deep: Any = []
    for _ in range(100):
        deep = [deep]
    assert the_error(Talk().update(odd=deep))["code"] == "session_too_large"
    error = the_error(Talk(max_session_chars=5000).update(odd="x" * 5000))
    assert error["code"] == "session_too_large"
    error = the_error(Talk(max_instructions_chars=10).update(instructions="x" * 11))
    assert error["param"] == "session.instructions"


def test_a_missing_session_is_named() -> None:
    assert the_error(Talk().send("session.update"))["param"] == "session"


def test_null_outside_the_nullable_fields_means_not_given() -> None:
    talk = Talk()
    before = talk.core.session
    after = updated(
        talk, audio={"input": None, "output": {"voice": None, "speed": None}}, tool_choice=None
    )
    assert after == before
    assert updated(talk, audio=None) == before
    assert updated(talk, max_output_tokens="inf", future=None)["future"] is None
