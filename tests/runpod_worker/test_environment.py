"""A rented worker's settings travel as one variable."""

from __future__ import annotations

import pytest

from config.schema import Config
from penny.cli.worker import describe_settings
from penny.errors import ConfigErrors
from runpod_worker.environment import SETTINGS_VARIABLE, read_settings
from runpod_worker.settings import WorkerSettings


pytestmark = pytest.mark.pure


def test_what_the_command_line_prints_is_what_a_worker_reads() -> None:
    config = Config.model_validate(
        {
            "penny": {"profile": "gpu"},
            "runpod": {"slots": 6},
            "worker": {"turns": {"silence_duration_ms": 400}},
        }
    )
    printed = describe_settings(config)

    settings = read_settings({SETTINGS_VARIABLE: printed})

    assert settings.choice == config.profile.choice
    assert settings.turns.silence_duration_ms == 400
    assert settings.slots == 6
    assert settings.models == WorkerSettings().models  # folders are each machine's own


def test_without_the_variable_the_defaults_hold() -> None:
    assert read_settings({}) == WorkerSettings()


def test_every_wrong_key_is_named_and_no_value_is_shown() -> None:
    with pytest.raises(ConfigErrors) as refused:
        read_settings({SETTINGS_VARIABLE: '{"slots": "s3cret", "nope": 1}'})
    messages = [error.message for error in refused.value.errors]
    assert len(messages) == 2
    assert messages[0].startswith("PENNY_WORKER_SETTINGS: slots:")
    assert "s3cret" not in "".join(messages)


def test_what_is_no_json_is_told_with_its_place() -> None:
    with pytest.raises(ConfigErrors, match="not JSON: .* at character 1"):
        read_settings({SETTINGS_VARIABLE: "{slots: 4}"})
