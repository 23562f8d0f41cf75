"""Which secrets a mode needs, by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.credentials import (
    find_notice,
    find_problems,
    is_secret,
    missing_brain_key,
    read_secret,
    required_keys,
)
from config.loader import load
from config.modes import ExternalMode
from config.schema import Config
from penny.localized import in_language


pytestmark = pytest.mark.pure


ROOT = Path(__file__).parents[2]
KEYS = {"OPENAI_API_KEY": "sk-1", "ANTHROPIC_API_KEY": "sk-2"}


def test_external_without_keys_lacks_the_speaker_s_and_names_the_remedy() -> None:
    [problem] = find_problems(Config(), "EXTERNAL", {})

    assert problem.reason == "OPENAI_API_KEY is not set"
    assert "export OPENAI_API_KEY=" in problem.remedy
    assert in_language(problem.reason, "es-ES") == "falta la variable OPENAI_API_KEY"
    assert in_language(problem.remedy, "es").endswith("antes de arrancar Penny")
    assert in_language(problem.remedy, "en") == problem.remedy


def test_external_without_the_brain_s_key_can_talk_and_says_what_it_lacks() -> None:
    environment = {"OPENAI_API_KEY": "sk-1"}

    assert find_problems(Config(), "EXTERNAL", environment) == ()
    notice = find_notice(Config(), "EXTERNAL", environment)
    assert "ANTHROPIC_API_KEY is not set" in notice["en"]
    assert "base de conocimiento" in notice["es"]
    assert find_notice(Config(), "EXTERNAL", KEYS) == {}
    assert find_notice(Config(), "SELF_HOSTED", {}) == {}
    without_brain = Config.model_validate({"brain": {"enabled": False}})
    assert find_notice(without_brain, "EXTERNAL", environment) == {}


def test_modes_with_all_they_need_have_no_problem() -> None:
    assert find_problems(Config(), "EXTERNAL", KEYS) == ()
    assert find_problems(Config(), "SELF_HOSTED", {}) == ()


def test_offline_configuration_needs_no_key_at_all() -> None:
    config = load(ROOT / "modes/external/offline.yaml", {})

    assert find_problems(config, "EXTERNAL", {}) == ()
    assert "ANTHROPIC_API_KEY" in find_notice(config, "EXTERNAL", {})["en"]
    assert [name for name, _ in config.penny.modes.enabled()] == ["EXTERNAL"]
    assert config.penny.modes.EXTERNAL.portavoz_model not in config.models.prices


def test_blank_key_counts_as_unset() -> None:
    assert read_secret("OPENAI_API_KEY", {"OPENAI_API_KEY": "  "}) is None


def test_secret_does_not_print() -> None:
    assert "sk-1" not in repr(read_secret("OPENAI_API_KEY", KEYS))


@pytest.mark.parametrize(
    ("url", "keys"),
    [
        (None, ("OPENAI_API_KEY",)),
        ("http://127.0.0.1:8080/v1", ()),
        ("http://[::1]:8080/v1", ()),
        ("http://localhost:8080/v1", ()),
        ("https://127.0.0.1.example.com/v1", ("OPENAI_API_KEY",)),
    ],
)
def test_server_on_loopback_needs_no_key(url: str | None, keys: tuple[str, ...]) -> None:
    assert required_keys(ExternalMode(portavoz_base_url=url)) == keys
    brain = missing_brain_key(ExternalMode(cerebro_base_url=url), {})
    assert brain == ("ANTHROPIC_API_KEY" if keys else None)


def test_variable_missing_in_a_mode_is_that_mode_s_problem_alone(tmp_path: Path) -> None:
    path = tmp_path / "penny.yaml"
    path.write_text("penny:\n  modes:\n    SELF_HOSTED:\n      endpoint: wss://${PENNY_POD}/ws\n")
    config = load(path, {})

    [problem] = find_problems(config, "SELF_HOSTED", {})
    assert problem.reason == "PENNY_POD is not set"
    assert "line 4" in problem.remedy
    assert find_problems(config, "EXTERNAL", KEYS) == ()


def test_names_that_hold_secrets_are_known_by_their_endings() -> None:
    assert is_secret("OPENAI_API_KEY")
    assert is_secret("ACME_TOKEN")
    assert not is_secret("PENNY_ENDPOINT")
