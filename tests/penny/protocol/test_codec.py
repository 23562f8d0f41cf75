"""Bad input gets a clear error naming field and fix; good input loses nothing."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from penny.errors import ProtocolError
from penny.protocol.codec import (
    MAX_AUDIO_BYTES,
    MAX_TEXT_BYTES,
    check_audio,
    dump,
    parse_client_message,
)
from penny.protocol.conversation import Interruption, Playback, TextInput
from penny.protocol.session import SessionStart, StreamFormat


pytestmark = pytest.mark.pure


SPECIFICATION_START = """{"type":"session_start","mode":"EXTERNAL",
 "portavoz":{"provider":"openai","model":"gpt-4o-realtime","voice":"alloy","language":"es",
  "initial_system_prompt":"Eres un asistente de voz profesional..."},
 "cerebro":{"provider":"anthropic","model":"claude-sonnet-4-20250514","analysis_depth":"standard",
  "knowledge_base_ref":"kb://empresa/documentos","update_frequency":"every_turn"},
 "context":{"user_id":"uuid","session_purpose":"atencion_cliente",
  "available_actions":["consultar_factura","programar_pago","transferir_humano"]}}"""


def test_specification_start_is_read_whole() -> None:
    message = parse_client_message(SPECIFICATION_START)

    assert isinstance(message, SessionStart)
    assert message.portavoz is not None
    assert message.cerebro is not None
    sent = json.loads(SPECIFICATION_START)
    assert message.portavoz.model_dump(exclude_none=True) == sent["portavoz"]
    assert message.cerebro.model_dump(exclude_none=True) == sent["cerebro"]
    assert message.context.model_dump(exclude_none=True) == sent["context"]
    assert message.mode == "EXTERNAL"
    assert message.wanted_language == "es"
    assert message.ignored == ()


def test_bare_start_takes_every_default() -> None:
    message = parse_client_message('{"type":"session_start"}')

    assert isinstance(message, SessionStart)
    agreed = message.audio.agree()
    assert agreed.input == agreed.output == StreamFormat(encoding="pcm16", rate_hz=24000)
    assert message.mode is None
    assert message.wanted_language is None


def test_null_means_left_out_in_session_start() -> None:
    bare = parse_client_message('{"type":"session_start"}')
    nulls = '{"type":"session_start","mode":null,"audio":null,"context":null,"portavoz":null}'

    assert parse_client_message(nulls) == bare


@pytest.mark.parametrize(
    ("audio", "input_hz", "output"),
    [
        ({"input": {"encoding": "pcmu"}}, 8000, ("pcmu", 8000)),
        ({"input": {"rate_hz": 16000}}, 16000, ("pcm16", 16000)),
        ({"input": {"rate_hz": 48000}, "output": {"encoding": "pcma"}}, 48000, ("pcma", 8000)),
        ({"output": {"rate_hz": 8000}}, 24000, ("pcm16", 8000)),
    ],
)
def test_audio_is_agreed_per_direction(
    audio: dict[str, object], input_hz: int, output: tuple[str, int]
) -> None:
    message = parse_client_message(json.dumps({"type": "session_start", "audio": audio}))

    assert isinstance(message, SessionStart)
    agreed = message.audio.agree()
    assert agreed.input.rate_hz == input_hz
    assert (agreed.output.encoding, agreed.output.rate_hz) == output


def test_unknown_fields_are_named_and_ignored() -> None:
    text = json.dumps(
        {
            "type": "session_start",
            "speed": 2,
            "portavoz": {"voice": "alloy", "pitch": 3},
            "context": {"tier": "gold"},
            "audio": {"input": {"channels": 2}},
        }
    )
    message = parse_client_message(text)

    assert isinstance(message, SessionStart)
    assert message.ignored == ("speed", "portavoz.pitch", "audio.input.channels")
    assert message.context.model_extra == {"tier": "gold"}


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        (
            '{"type":"sing"}',
            "type",
            "'sing' is not a client message; known: session_start, session_resume, session_end",
        ),
        ('{"mode":"EXTERNAL"}', "type", "type: is missing; known: session_start"),
        ('{"type":["ping"]}', "type", "is not a client message"),
        (
            '{"type":"session_start","cerebro":{"analysis_depth":"deepest"}}',
            "cerebro.analysis_depth",
            "'deepest' is not available; available: quick, standard, deep",
        ),
        (
            '{"type":"session_start","audio":{"input":{"rate_hz":44100}}}',
            "audio.input.rate_hz",
            "44100 is not available; available: 8000, 16000, 24000, 48000",
        ),
        (
            '{"type":"session_start","audio":{"input":{"encoding":"pcmu","rate_hz":24000}}}',
            "audio.input",
            "pcmu runs at rate_hz 8000 only; got 24000",
        ),
        (
            '{"type":"session_start","cerebro":{"knowledge_base_ref":"docs"}}',
            "cerebro.knowledge_base_ref",
            "must look like kb://company/collection",
        ),
        ('{"type":"session_start","language":"español!"}', "language", "language tag such as es"),
        ('{"type":"session_start","portavoz":{"voice":5}}', "portavoz.voice", "must be text"),
        ('{"type":"text_input","text":"  "}', "text", "text: must not be empty"),
        ('{"type":"text_input"}', "text", "text: is required"),
        (json.dumps({"type": "text_input", "text": "x" * 4001}), "text", "longer than 4000"),
        ('{"type":"playback","item_id":"","played_ms":1}', "item_id", "must not be empty"),
        (
            json.dumps({"type": "session_start", "context": {"available_actions": ["a"] * 200}}),
            "context.available_actions",
            "holds more than 128 entries",
        ),
        ('{"type":"playback","item_id":"i","played_ms":-1}', "played_ms", "greater than or equal"),
        ('{"type":"playback","item_id":"i","played_ms":"5"}', "played_ms", "valid integer"),
        ("[]", None, "must be a JSON object"),
        ("{", None, "is not JSON"),
    ],
)
def test_bad_message_names_field_and_fix(text: str, field: str | None, words: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_client_message(text)

    assert words in caught.value.message
    assert caught.value.field == field
    assert caught.value.code == "invalid_message"


def test_several_faults_are_named_together() -> None:
    text = '{"type":"session_start","language":1,"greeting":2,"mode":3,"protocol_version":4}'
    with pytest.raises(ProtocolError, match=r"language: .*greeting: |and 1 more"):
        parse_client_message(text)


def test_long_value_is_not_echoed_back() -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_client_message(json.dumps({"type": "x" * 5000}))

    assert len(caught.value.message) < 200


def test_message_over_the_limit_is_refused_before_parsing() -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_client_message("{" + " " * MAX_TEXT_BYTES)

    assert caught.value.code == "message_too_large"


def test_audio_must_hold_whole_samples_and_fit() -> None:
    pcm16 = StreamFormat(encoding="pcm16", rate_hz=24000)
    check_audio(960, pcm16)
    check_audio(161, StreamFormat(encoding="pcmu", rate_hz=8000))
    with pytest.raises(ProtocolError, match="whole 16-bit samples; got 961 bytes"):
        check_audio(961, pcm16)
    with pytest.raises(ProtocolError) as caught:
        check_audio(MAX_AUDIO_BYTES + 2, pcm16)

    assert caught.value.code == "message_too_large"


def test_dump_writes_unknown_values_as_null_and_accents_as_they_are() -> None:
    event = Interruption(turn_id="t", heard_ms=0, heard_text="", cut_text="Atención")

    assert '"item_id":null' in dump(event)
    assert "Atención" in dump(event)


def test_dump_writes_half_a_surrogate_pair_as_a_replacement_character() -> None:
    event = Interruption(turn_id="t", heard_ms=0, heard_text="", cut_text="a\ud83d")

    assert json.loads(dump(event)) == {**event.model_dump(), "cut_text": "a\ufffd"}


def test_a_session_start_is_an_object() -> None:
    with pytest.raises(ValidationError, match="valid dictionary"):
        SessionStart.model_validate(["session_start"])


@given(st.text(max_size=300) | st.binary(max_size=300))
def test_garbage_raises_only_protocol_errors(garbage: str | bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_client_message(garbage)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
_FIELDS = st.sampled_from(
    [
        "mode",
        "language",
        "audio",
        "greeting",
        "portavoz",
        "cerebro",
        "context",
        "resume",
        "text",
        "item_id",
        "played_ms",
    ]
)


@given(
    st.sampled_from(["session_start", "text_input", "playback", "interrupt", "ping"]),
    st.dictionaries(_FIELDS | st.text(max_size=8), _JSON, max_size=6),
)
def test_any_json_under_a_known_type_is_read_or_refused(
    kind: str, fields: dict[str, object]
) -> None:
    message = None
    with contextlib.suppress(ProtocolError):  # anything else fails the test
        message = parse_client_message(json.dumps({**fields, "type": kind}))

    assert message is None or message.model_dump()["type"] == kind


@given(st.text(min_size=1, max_size=4000).filter(lambda text: text.strip()))
def test_typed_text_arrives_unchanged(text: str) -> None:
    raw = json.dumps({"type": "text_input", "text": text})
    message = parse_client_message(raw)

    assert isinstance(message, TextInput)
    assert message.text == text


def test_playback_report_is_read() -> None:
    text = '{"type":"playback","item_id":"item_7","played_ms":1240,"ended":true}'

    assert parse_client_message(text) == Playback(item_id="item_7", played_ms=1240, ended=True)
