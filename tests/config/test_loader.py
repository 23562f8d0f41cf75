"""Errors name key and line, all at once; variables come from the environment; secrets do not."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.document import read_document
from config.loader import load
from config.reference import walk
from config.retired import RETIRED_KEYS, Retired, take_retired
from config.schema import Config
from penny.errors import ConfigError, ConfigErrors
from penny.localized import in_language


pytestmark = pytest.mark.pure


def load_text(
    folder: Path,
    text: str,
    environment: dict[str, str] | None = None,
    overrides: dict[str, object] | None = None,
) -> Config:
    path = folder / "penny.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, environment or {}, overrides)


def errors_of(
    folder: Path, text: str, environment: dict[str, str] | None = None
) -> tuple[ConfigError, ...]:
    with pytest.raises(ConfigErrors) as caught:
        load_text(folder, text, environment)
    return caught.value.errors


def test_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert load_text(tmp_path, "").model_dump() == Config().model_dump()


def test_section_with_every_key_commented_out_is_its_defaults(tmp_path: Path) -> None:
    assert load_text(tmp_path, "gateway:\n  # port: 9000\n").gateway.port == 8080


def test_specification_example_is_accepted_as_it_stands(tmp_path: Path) -> None:
    config = load_text(
        tmp_path,
        """\
penny:
  default_mode: SELF_HOSTED
  allow_user_selection: true
  modes:
    SELF_HOSTED:
      label: "Privado (modelos locales)"
      description: "Mayor privacidad, latencia 2-4s"
      endpoint: "wss://api.runpod.ai/v2/${PENNY_ENDPOINT}/ws"
    EXTERNAL:
      label: "Rapido (APIs externas)"
      description: "Conversacion fluida, latencia ~300ms"
      portavoz_provider: "openai"
      cerebro_provider: "anthropic"
""",
        {"PENNY_ENDPOINT": "abc123"},
    )

    assert config.penny.modes.SELF_HOSTED.endpoint == "wss://api.runpod.ai/v2/abc123/ws"
    assert config.penny.modes.EXTERNAL.label == "Rapido (APIs externas)"


def test_every_error_is_told_at_once_with_key_and_line(tmp_path: Path) -> None:
    errors = errors_of(
        tmp_path,
        "gateway:\n  port: 99999\n  hots: 1.2.3.4\n"
        "penny:\n  default_mode: FAST\nkb:\n  watch: maybe\n",
    )

    assert [(error.key, error.line) for error in errors] == [
        ("gateway.port", 2),
        ("gateway.hots", 3),
        ("penny.default_mode", 5),
        ("kb.watch", 7),
    ]
    assert "less than or equal to 65535, got '99999'" in errors[0].message
    assert errors[1].message.endswith(
        "penny.yaml:3: gateway.hots: unknown key; did you mean 'host'?"
    )
    assert "'SELF_HOSTED' or 'EXTERNAL', got 'FAST'" in errors[2].message


def test_unknown_key_like_no_other_lists_the_known_ones(tmp_path: Path) -> None:
    [error] = errors_of(tmp_path, "metrics:\n  zzz: 1\n")

    assert "unknown key; known here: enabled" in error.message


def test_unknown_key_inside_a_table_row_is_found(tmp_path: Path) -> None:
    [error] = errors_of(tmp_path, "models:\n  prices:\n    gpt-realtime-2.1: {txt_in: 1}\n")

    assert error.key == 'models.prices."gpt-realtime-2.1".txt_in'
    assert error.line == 3
    assert "did you mean 'text_in'?" in error.message


def test_key_given_twice_is_an_error_on_the_second_line(tmp_path: Path) -> None:
    [error] = errors_of(tmp_path, "gateway:\n  port: 1\n  port: 2\n")

    assert (error.key, error.line) == ("gateway.port", 3)
    assert "given twice; first on line 2" in error.message


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("gateway:\n  port: [1\n", 3, "not YAML"),
        ("- a\n- b\n", 1, "not a mapping of sections"),
        ("gateway:\n\tport: 1\n", 2, "not YAML"),
        ("? [a, b]\n: c\n", 1, "a key is a plain word"),
        ("a: &a [*a]\n", 1, "too many levels"),
        ("[" * 2000, 1, "too many levels"),
        ("gateway:\n  host: \x07\n", 2, "special characters are not allowed"),
        ("logs: {level: !secret x}\n", 1, "could not determine a constructor"),
        ("models: {prices: {x: {retires_on: 2026-13-01}}}\n", 1, "month must be in 1..12"),
    ],
)
def test_broken_yaml_names_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    errors = errors_of(tmp_path, text)

    assert errors[0].line == line
    assert words in errors[0].message


@pytest.mark.parametrize("word", ["no", "on", "true"])
def test_boolean_is_no_number(tmp_path: Path, word: str) -> None:
    [error] = errors_of(tmp_path, f"gateway:\n  port: {word}\n")

    assert (error.key, error.line) == ("gateway.port", 2)
    assert "should be a number" in error.message


def test_missing_file_says_where_to_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="start in Penny's folder, or name the file"):
        load(tmp_path / "none.yaml", {})


def test_path_comes_from_the_environment_when_none_is_given(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("gateway: {port: 9001}\n")

    config = load(None, {"PENNY_CONFIG": str(tmp_path / "other.yaml")})

    assert config.gateway.port == 9001
    assert config.resolve(config.kb.documents) == (tmp_path / "kb/documents").resolve()


# --- variables -----------------------------------------------------------------------------


def test_variable_is_filled_and_takes_the_type_of_its_key(tmp_path: Path) -> None:
    config = load_text(tmp_path, "gateway: {port: '${PORT}'}\n", {"PORT": "9000"})

    assert config.gateway.port == 9000


@pytest.mark.parametrize("environment", [{}, {"HOST": ""}])
def test_default_stands_in_for_an_unset_or_empty_variable(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    config = load_text(tmp_path, "gateway: {host: '${HOST:-0.0.0.0}'}\n", environment)

    assert config.gateway.host == "0.0.0.0"


def test_empty_default_of_a_plain_value_is_null(tmp_path: Path) -> None:
    text = "penny:\n  modes:\n    SELF_HOSTED:\n      endpoint: ${URL:-}\n"

    assert load_text(tmp_path, text).penny.modes.SELF_HOSTED.endpoint is None


def test_value_of_a_variable_cannot_add_keys(tmp_path: Path) -> None:
    config = load_text(
        tmp_path, "session:\n  greeting: ${WORDS}\n", {"WORDS": "hola\nlanguage: en"}
    )

    assert config.session.greeting == "hola\nlanguage: en"
    assert config.session.language == "es"


def test_variable_missing_in_a_mode_makes_that_mode_tell_and_the_rest_start(
    tmp_path: Path,
) -> None:
    text = "penny:\n  modes:\n    SELF_HOSTED:\n      endpoint: wss://h/${PENNY_ENDPOINT}/ws\n"

    config = load_text(tmp_path, text)

    [missing] = config.origin.missing
    assert (missing.name, missing.line) == ("PENNY_ENDPOINT", 4)
    assert missing.key == "penny.modes.SELF_HOSTED.endpoint"


def test_variable_missing_elsewhere_is_an_error(tmp_path: Path) -> None:
    [error] = errors_of(tmp_path, "gateway:\n  host: ${HOST}\n")

    assert (error.key, error.line) == ("gateway.host", 2)
    assert "HOST is not set; set it, or write ${HOST:-default}" in error.message


def test_doubled_dollar_is_a_plain_one(tmp_path: Path) -> None:
    config = load_text(tmp_path, "session: {greeting: 'cuesta $${X} o $5'}\n")

    assert config.session.greeting == "cuesta ${X} o $5"


def test_malformed_variable_is_an_error(tmp_path: Path) -> None:
    [error] = errors_of(tmp_path, "session:\n  greeting: 'hola ${NAME'\n")

    assert "write ${NAME}, ${NAME:-default}, or $${" in error.message


def test_secret_in_the_file_is_refused_and_not_shown(tmp_path: Path) -> None:
    errors = errors_of(
        tmp_path,
        "penny:\n  modes:\n    EXTERNAL:\n      portavoz_voice: ${OPENAI_API_KEY}\n",
        {"OPENAI_API_KEY": "sk-canary"},
    )

    assert "OPENAI_API_KEY is a secret" in errors[0].message
    assert "sk-canary" not in "".join(error.message for error in errors)


def test_wrong_value_from_the_environment_is_not_shown(tmp_path: Path) -> None:
    [error] = errors_of(tmp_path, "gateway:\n  port: ${PORT}\n", {"PORT": "canary"})

    assert "canary" not in error.message
    assert "the value comes from the environment" in error.message


# --- the command line and the sections' own checks -----------------------------------------


def test_command_line_wins_over_the_file(tmp_path: Path) -> None:
    config = load_text(tmp_path, "gateway: {port: 1}\n", overrides={"gateway.port": 0})

    assert config.gateway.port == 0


def test_wrong_value_on_the_command_line_is_told_without_a_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load_text(tmp_path, "", overrides={"gateway.port": -1})

    assert caught.value.errors[0].key == "gateway.port"
    assert caught.value.errors[0].line is None


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("penny:\n  profile: fast\n", "penny.profile", 2),
        (
            "penny:\n  modes:\n    SELF_HOSTED: {enabled: false}\n",
            "penny.default_mode",
            1,
        ),
        ("penny:\n  modes:\n    SELF_HOSTED:\n      endpoint: http://x\n", None, 4),
        ("kb:\n  default_ref: empresa\n", "kb.default_ref", 2),
        ("gateway:\n  heartbeat_s: .nan\n", "gateway.heartbeat_s", 2),
        (
            "profiles:\n  mine:\n    engines: {kokoro: {threadz: 1}}\n",
            "profiles.mine.engines.kokoro.threadz",
            3,
        ),
    ],
)
def test_sections_check_what_types_cannot(
    tmp_path: Path, text: str, key: str | None, line: int
) -> None:
    errors = errors_of(tmp_path, text)

    assert errors[0].key == (key or "penny.modes.SELF_HOSTED.endpoint")
    assert errors[0].line == line


def test_own_rows_add_to_the_tables(tmp_path: Path) -> None:
    config = load_text(
        tmp_path,
        "models:\n  aliases: {mine: gpt-live-1}\n  prices: {own-model: {per_minute: 1}}\n"
        "profiles:\n  whisper: {stt: faster-whisper}\n",
    )

    assert config.models.current("mine") == "gpt-live-1"
    assert config.models.current("gpt-4o-realtime") == "gpt-realtime-2.1"
    assert config.models.prices["own-model"].per_minute == 1
    assert config.models.prices["claude-haiku-5-5"].text_in == 0.1
    assert set(config.profiles) >= {"embedded", "gpu", "whisper"}


def test_place_names_the_nearest_line_that_the_file_has(tmp_path: Path) -> None:
    config = load_text(tmp_path, "gateway:\n  port: 1\nkb:\n  watch: true\n")

    assert config.origin.place("gateway.port") == "penny.yaml:2: gateway.port"
    assert config.origin.place("kb.documents") == "penny.yaml:3: kb.documents"
    assert config.origin.place("logs.level") == "logs.level"


@given(st.text(max_size=200) | st.text("ab:${}[]-'\"&*!?|>%@ \n\t#01.~,", max_size=60))
def test_any_text_is_a_document_or_a_list_of_errors(text: str) -> None:
    document = read_document(text, {})

    assert all(isinstance(error, ConfigError) for error in document.errors)


def test_a_renamed_key_counts_under_its_new_name_and_is_told(tmp_path: Path) -> None:
    config = load_text(tmp_path, "runpod:\n  floor:\n    - {workers: 3}\n")
    assert [window.workers for window in config.runpod.min_workers] == [3]
    assert config.origin.retired == {"runpod.floor": "has a new name: write runpod.min_workers"}
    assert config.origin.place("runpod.floor") == "penny.yaml:2: runpod.floor"


def test_an_error_in_a_renamed_key_names_the_line_that_the_file_has(tmp_path: Path) -> None:
    errors = errors_of(tmp_path, "runpod:\n  slots: 2\n  floor:\n    - workers: many\n")
    assert [(error.key, error.line) for error in errors] == [("runpod.min_workers[0].workers", 4)]


def test_the_new_name_wins_where_the_file_has_both(tmp_path: Path) -> None:
    config = load_text(
        tmp_path, "runpod:\n  floor: [{workers: 3}]\n  min_workers: [{workers: 1}]\n"
    )
    assert [window.workers for window in config.runpod.min_workers] == [1]
    assert list(config.origin.retired) == ["runpod.floor"]


def test_a_retired_key_of_every_profile_is_ignored_and_told(tmp_path: Path) -> None:
    engines = "engines: {faster_whisper: {word_times: false, beam_size: 2}}"
    config = load_text(tmp_path, f"profiles:\n  mine: {{stt: faster-whisper, {engines}}}\n")

    assert list(config.origin.retired) == ["profiles.mine.engines.faster_whisper.word_times"]
    assert config.profiles["mine"].engines == {"faster_whisper": {"beam_size": 2}}


def test_a_retired_key_without_a_successor_is_ignored_and_told() -> None:
    document = read_document("gateway:\n  port: 9000\n  colour: blue\n", {})
    keys = {"gateway.colour": Retired("choose one on the page"), "none.such": Retired("-")}
    told = take_retired(document, keys)
    assert document.data == {"gateway": {"port": 9000}}
    assert told == {"gateway.colour": "is not used any more: choose one on the page"}


@pytest.mark.parametrize("text", ["runpod: 3\n", "runpod:\n", "runpod: [floor]\n", ""])
def test_a_file_without_such_a_section_has_no_retired_key(text: str) -> None:
    assert take_retired(read_document(text, {})) == {}


def test_every_retired_key_is_gone_and_its_new_name_exists() -> None:
    known = {key.split("<")[0].rstrip(".") for key, _ in walk()}
    for name, retired in RETIRED_KEYS.items():
        assert name not in known
        if retired.renamed_to:
            assert any(f"{key}.".startswith(f"{retired.renamed_to}.") for key in known)


@pytest.mark.parametrize(
    ("label", "es", "en"),
    [("Solo uno", "Solo uno", "Solo uno"), ("{es: Propio, en: Own}", "Propio", "Own")],
)
def test_a_text_that_callers_see_is_one_for_all_or_one_a_language(
    tmp_path: Path, label: str, es: str, en: str
) -> None:
    text = f"penny: {{modes: {{SELF_HOSTED: {{label: {label}}}}}}}\n"
    told = load_text(tmp_path, text).penny.modes.SELF_HOSTED.label
    assert (in_language(told, "es"), in_language(told, "en")) == (es, en)
    copied = pickle.loads(pickle.dumps(told))
    assert in_language(copied, "es") == es


@pytest.mark.parametrize("label", ["{es: Propio}", "''", "3", "[a]", "x" * 301])
def test_a_text_that_callers_see_is_refused_by_name(tmp_path: Path, label: str) -> None:
    [error] = errors_of(tmp_path, f"penny: {{modes: {{EXTERNAL: {{label: {label}}}}}}}\n")
    assert error.key == "penny.modes.EXTERNAL.label"
    assert "{es: …, en: …}" in error.message


def test_the_latency_that_was_written_by_hand_is_ignored_and_told(tmp_path: Path) -> None:
    text = 'penny: {modes: {SELF_HOSTED: {latency: "menos de 1 s"}}}\n'
    told = load_text(tmp_path, text).origin.retired
    assert "latency_ms of GET /v1/modes" in told["penny.modes.SELF_HOSTED.latency"]


# --- a file over another --------------------------------------------------------------------


def test_a_file_is_laid_over_the_one_that_it_extends(tmp_path: Path) -> None:
    base = tmp_path / "base.yaml"
    base.write_text("gateway: {port: 1, max_sessions: 7}\nkb: {documents: docs}\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "own.yaml").write_text("extends: ../${BASE}.yaml\ngateway: {port: 2}\n")
    config = load(inner / "own.yaml", {"BASE": "base"})
    assert (config.gateway.port, config.gateway.max_sessions) == (2, 7)
    assert config.resolve(config.kb.documents) == tmp_path / "docs"
    assert config.origin.place("gateway.port") == "own.yaml:2: gateway.port"


@pytest.mark.parametrize(
    ("base", "own", "message"),
    [
        ("gateway: {port: x}", "extends: base.yaml", r"own\.yaml: gateway\.port: "),
        ("gateway: {port: 1\n", "extends: base.yaml", r"base\.yaml:\d: not YAML"),
        ("", "extends: base.yaml\ngateway:\n  port: x", r"own\.yaml:3: gateway\.port: "),
        ("extends: own.yaml", "extends: base.yaml", "names one file, which in the end extends"),
        ("", "extends: [base.yaml]", "names one file"),
        ("", "extends: none.yaml", r"none\.yaml is not here"),
    ],
)
def test_what_is_wrong_with_a_file_or_its_base_is_placed(
    tmp_path: Path, base: str, own: str, message: str
) -> None:
    (tmp_path / "base.yaml").write_text(base)
    (tmp_path / "own.yaml").write_text(own)
    with pytest.raises(ConfigErrors, match=message):
        load(tmp_path / "own.yaml", {})


def test_a_default_may_hold_another_variable(tmp_path: Path) -> None:
    path = tmp_path / "penny.yaml"
    path.write_text("session: {greeting: '${A:-${B:-${C:-x}}}'}\n")
    for environment, greeting in (({"B": "b", "C": "c"}, "b"), ({"C": "c"}, "c"), ({}, "x")):
        assert load(path, environment).session.greeting == greeting
