"""Names of the environment variables that hold secrets. Values are read late and never kept here.

A secret never stands in ``penny.yaml``, not even by ``${NAME}``: what is in the file appears in
dumps, in ``check`` and in errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import SecretStr

from config.crm import KEY as TWENTY_KEY
from config.modes import ExternalMode
from config.schema import Config
from penny.localized import Localized


OPENAI_API_KEY = "OPENAI_API_KEY"
ANTHROPIC_API_KEY = "ANTHROPIC_API_KEY"
RUNPOD_API_KEY = "RUNPOD_API_KEY"
LLM_API_KEY = "PENNY_LLM_API_KEY"
WORKER_TOKEN = "PENNY_WORKER_TOKEN"
REDIS_PASSWORD = "PENNY_REDIS_PASSWORD"

PURPOSES: dict[str, str] = {
    OPENAI_API_KEY: "EXTERNAL's speaker (portavoz)",
    ANTHROPIC_API_KEY: "EXTERNAL's brain (cerebro)",
    RUNPOD_API_KEY: "workers leased on RunPod",
    LLM_API_KEY: "the server of engines.openai_compatible, where it asks for a key",
    REDIS_PASSWORD: "the Redis of redis.url, where it asks for a password",
    TWENTY_KEY: "the CRM of crm.kind, where there is one",
    WORKER_TOKEN: "what a worker reached by URL asks of the gateway, where it asks",
}

_PROVIDER_KEYS = {
    "openai": OPENAI_API_KEY,
    "openai_live": OPENAI_API_KEY,
    "anthropic": ANTHROPIC_API_KEY,
}
_SECRET_ENDINGS = ("_API_KEY", "_TOKEN", "_SECRET", "_PASSWORD")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a mode cannot talk, as far as the file and the environment tell, and the remedy."""

    reason: str
    remedy: str


def is_secret(name: str) -> bool:
    return name in PURPOSES or name.endswith(_SECRET_ENDINGS)


def read_secret(name: str, environment: Mapping[str, str]) -> SecretStr | None:
    """The value of a credential, wrapped so that it does not print; None when unset or empty."""
    value = environment.get(name, "").strip()
    return SecretStr(value) if value else None


def find_problems(config: Config, mode: str, environment: Mapping[str, str]) -> tuple[Problem, ...]:
    """What the file and the environment lack for ``mode``. Nothing is connected to."""
    missing = [
        Problem(
            is_not_set(variable.name),
            Localized(
                en=f"export {variable.name}=… ({variable.key}, line {variable.line})",
                es=f"export {variable.name}=… ({variable.key}, línea {variable.line})",
            ),
        )
        for variable in config.origin.missing
        if variable.key.startswith(f"penny.modes.{mode}.")
    ]
    if mode == "EXTERNAL":
        # The speaker's alone: without the brain's the speaker still talks, see find_notice.
        missing += [
            Problem(is_not_set(name), export_first(name))
            for name in required_keys(config.penny.modes.EXTERNAL)
            if read_secret(name, environment) is None
        ]
    return tuple(missing)


def find_notice(config: Config, mode: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What works less well in ``mode`` than it could, by language; empty when nothing does."""
    if mode != "EXTERNAL" or not config.brain.enabled:
        return {}
    name = missing_brain_key(config.penny.modes.EXTERNAL, environment)
    if name is None:
        return {}
    return {
        "es": f"{name} no está definida: el cerebro solo tiene la base de conocimiento.",
        "en": f"{name} is not set: the brain has the knowledge base alone.",
    }


def is_not_set(name: str) -> Localized:
    """That a variable of the environment is missing, as the reason of a mode that cannot talk."""
    return Localized(en=f"{name} is not set", es=f"falta la variable {name}")


def export_first(name: str) -> Localized:
    """What an operator does about ``is_not_set``."""
    return Localized(
        en=f"export {name}=… before starting Penny", es=f"export {name}=… antes de arrancar Penny"
    )


def required_keys(mode: ExternalMode) -> tuple[str, ...]:
    """The credentials without which EXTERNAL cannot talk: the speaker's.

    A server on loopback, such as Penny's own, needs none.
    """
    if _is_loopback_url(mode.portavoz_base_url):
        return ()
    return (_PROVIDER_KEYS[mode.portavoz_provider],)


def missing_brain_key(mode: ExternalMode, environment: Mapping[str, str]) -> str | None:
    """The credential that the brain lacks to think; None when it has it or needs none."""
    name = _PROVIDER_KEYS[mode.cerebro_provider]
    if _is_loopback_url(mode.cerebro_base_url) or read_secret(name, environment) is not None:
        return None
    return name


def _is_loopback_url(url: str | None) -> bool:
    return is_loopback(urlsplit(url).hostname if url else None)


def is_loopback(host: str | None) -> bool:
    """Whether a host, as listened on or connected to, is this machine and nothing else."""
    if not host:
        return False
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
