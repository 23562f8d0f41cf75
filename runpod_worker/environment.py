"""A rented worker's settings: from its environment, because its image holds no penny.yaml."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from penny.errors import ConfigError, ConfigErrors
from runpod_worker.settings import WorkerSettings


SETTINGS_VARIABLE = "PENNY_WORKER_SETTINGS"


def read_settings(environment: Mapping[str, str]) -> WorkerSettings:
    """``PENNY_WORKER_SETTINGS`` (JSON, as `python -m penny worker --settings` writes it).

    Raises ConfigErrors, one error per wrong key, without the values.
    """
    text = environment.get(SETTINGS_VARIABLE, "").strip()
    if not text:
        return WorkerSettings()
    try:
        # Not model_validate_json: it refuses the defaults that are paths.
        return WorkerSettings.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        reason = f"{SETTINGS_VARIABLE}: not JSON: {error.msg} at character {error.pos}"
        raise ConfigErrors([ConfigError(reason, key=SETTINGS_VARIABLE)]) from None
    except ValidationError as failure:
        raise ConfigErrors([_explain(fault) for fault in _faults(failure)]) from None


def _faults(failure: ValidationError) -> list[ErrorDetails]:
    return failure.errors(include_url=False, include_input=False)


def _explain(fault: ErrorDetails) -> ConfigError:
    key = ".".join(str(part) for part in fault["loc"]) or "(all)"
    return ConfigError(f"{SETTINGS_VARIABLE}: {key}: {fault['msg']}", key=SETTINGS_VARIABLE)
