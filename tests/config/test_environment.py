"""``deploy/config`` and ``deploy/.env.example``: every variable sets the key that it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.loader import load
from config.schema import Config
from penny.errors import ConfigErrors


pytestmark = pytest.mark.pure

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ENVIRONMENT = DEPLOY / "config/environment.yaml"
TWILIO = {
    "PENNY_CARRIER": "twilio",
    "TWILIO_ACCOUNT_SID": f"AC{'0' * 32}",
    "TWILIO_PHONE_NUMBER": "+34910000000",
    "PENNY_PUBLIC_URL": "https://penny.example",
}
BOTH = {"STORAGE_BACKEND": "both", "PENNY_S3_HOST": "s3.us-east-1.amazonaws.com"}
TWENTY = {"PENNY_CRM": "twenty", "TWENTY_CRM_URL": "https://crm.example"}
RENTED = {"PENNY_ENDPOINT": "abc123", "PENNY_GATEWAY_URL": "wss://penny.example/worker"}
LLM = "worker.engines.openai_compatible"
WHISPER = "worker.engines.faster_whisper"


def value_at(config: Config, key: str) -> object:
    found: object = config
    for part in key.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    return found


@pytest.mark.parametrize(
    ("environment", "key", "value"),
    [
        ({"LLM_PROVIDER": "openai"}, "penny.default_mode", "EXTERNAL"),
        ({"LLM_PROVIDER": "openai"}, "brain.enabled", False),
        ({"LLM_PROVIDER": "anthropic"}, "penny.default_mode", "EXTERNAL"),
        ({"LLM_PROVIDER": "anthropic"}, "brain.enabled", True),
        ({"LLM_PROVIDER": "mixtral"}, f"{LLM}.model", "mixtral"),
        ({"LLM_PROVIDER": "mixtral"}, f"{LLM}.base_url", "http://127.0.0.1:11434/v1"),
        ({"LLM_PROVIDER": "lm_studio"}, f"{LLM}.base_url", "http://127.0.0.1:1234/v1"),
        ({"LLM_PROVIDER": "lm_studio", "LM_STUDIO_URL": "http://a:1/v1"}, f"{LLM}.base_url", "http://a:1/v1"),
        ({"LLM_PROVIDER": "lm_studio"}, "profiles.environment.llm", "openai-compatible"),
        ({"LLM_PROVIDER": "llama", "LLAMA_MODEL": "llama3.1:8b"}, f"{LLM}.model", "llama3.1:8b"),
        ({"LLM_PROVIDER": "llama", "LLAMA_API_URL": "http://a:1"}, f"{LLM}.base_url", "http://a:1/v1"),
        ({"LLM_PROVIDER": "llama", "LLAMA_CONTEXT_SIZE": "4096"}, f"{LLM}.context_tokens", 4096),
        ({}, "profiles.environment.llm", "reader"),
        ({"PENNY_PROFILE": "embedded"}, "penny.profile", "embedded"),
        ({"STT_MODEL": "medium", "WHISPER_MODEL": "small"}, f"{WHISPER}.model", "medium"),
        ({"WHISPER_MODEL": "small"}, f"{WHISPER}.model", "small"),
        ({"STT_DEVICE": "cpu", "WHISPER_DEVICE": "cuda"}, f"{WHISPER}.device", "cpu"),
        ({"WHISPER_DEVICE": "cuda", "DEVICE": "cpu"}, f"{WHISPER}.device", "cuda"),
        ({"DEVICE": "cuda"}, f"{WHISPER}.device", "cuda"),
        ({"DEVICE": "cuda"}, "worker.engines.xtts.device", "cuda"),
        ({"WHISPER_COMPUTE_TYPE": "float16"}, f"{WHISPER}.compute_type", "float16"),
        ({"OMP_NUM_THREADS": "4"}, f"{WHISPER}.cpu_threads", 4),
        ({"TTS_DEVICE": "cpu", "DEVICE": "cuda"}, "worker.engines.kokoro.device", "cpu"),
        ({"XTTS_MODEL_PATH": "/models/x"}, "worker.engines.xtts.model", Path("/models/x")),
        ({"XTTS_VOICE_DIR": "/voices"}, "worker.engines.xtts.voices", Path("/voices")),
        ({"LANGUAGE": "en"}, "session.language", "en"),
        ({"USE_TRITON": "true"}, "profiles.environment.stt", "triton"),
        ({"USE_TRITON": "false"}, "profiles.environment.stt", "faster-whisper"),
        ({"TRITON_HTTP_PORT": "8020"}, "worker.engines.triton.url", "http://127.0.0.1:8020"),
        ({"REDIS_URL": "redis://redis:6379"}, "redis.url", "redis://redis:6379"),
        ({}, "redis.url", None),
        ({"STORAGE_BACKEND": "local"}, "calls.storage", "local"),
        ({"STORAGE_LOCAL_PATH": "./data/recordings"}, "calls.folder", Path("data/recordings")),
        (BOTH, "calls.storage", "both"),
        ({"S3_BUCKET": "sound"}, "calls.s3.bucket", "sound"),
        ({"S3_REGION": "eu-west-1"}, "calls.s3.region", "eu-west-1"),
        ({"S3_ENDPOINT": "http://s3:9000"}, "calls.s3.endpoint", "http://s3:9000"),
        (TWILIO, "telephony.twilio.enabled", True),
        (TWILIO, "telephony.twilio.account_sid", f"AC{'0' * 32}"),
        (TWILIO, "telephony.twilio.public_url", "https://penny.example"),
        (TWILIO, "telephony.numbers.+34910000000.tenant", "default"),
        (TWILIO, "telephony.dialing.default.caller_ids", ("+34910000000",)),
        ({"VOCODE_API_URL": "http://10.0.0.2:8000"}, "telephony.asterisk.gateway_url", "http://10.0.0.2:8000"),
        ({"PENNY_ASTERISK": "true"}, "telephony.asterisk.enabled", True),
        (RENTED, "runpod.endpoint_id", "abc123"),
        ({"ENABLE_OFFLINE_BATCH": "true"}, "analysis.enabled", True),
        ({"BATCH_MAX_CONCURRENT": "5"}, "analysis.max_concurrent", 5),
        (TWENTY, "crm.kind", "twenty"),
        (TWENTY, "crm.url", "https://crm.example"),
        ({"WEBHOOK_URL": "https://crm.example/penny"}, "webhooks.url", "https://crm.example/penny"),
    ],
)  # fmt: skip
def test_a_variable_sets_its_key(environment: dict[str, str], key: str, value: object) -> None:
    assert value_at(load(ENVIRONMENT, environment), key) == value


DOCUMENTS = """
TWILIO_ACCOUNT_SID TWILIO_AUTH_TOKEN TWILIO_PHONE_NUMBER REDIS_URL VOCODE_API_URL PENNY_ENDPOINT
POSTGRES_PASSWORD LANGUAGE DEVICE OMP_NUM_THREADS XTTS_MODEL_PATH XTTS_VOICE_DIR TTS_DEVICE
WHISPER_MODEL WHISPER_DEVICE WHISPER_COMPUTE_TYPE STT_MODEL STT_DEVICE USE_TRITON TRITON_STT_MODEL
TRITON_COMPUTE_TYPE TRITON_HTTP_PORT TRITON_GRPC_PORT TRITON_METRICS_PORT LLAMA_API_URL LLAMA_MODEL
LLAMA_CONTEXT_SIZE LLM_PROVIDER LM_STUDIO_URL OPENAI_API_KEY STORAGE_BACKEND STORAGE_LOCAL_PATH
S3_BUCKET S3_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY ENABLE_DENOISE ENABLE_TARGET_EXTRACTION
ENABLE_PROSODY_ANALYSIS ENABLE_STT_CORRECTION ENABLE_ONLINE_CORRECTION ENABLE_OFFLINE_BATCH
BATCH_MAX_CONCURRENT WEBHOOK_ENABLED WEBHOOK_URL WEBHOOK_SECRET TWENTY_CRM_API_KEY TWENTY_CRM_URL
"""
"""That other voice stacks are set up with."""


def told() -> dict[str, str]:
    """Each variable of the example with what it says of it."""
    lines = (DEPLOY / ".env.example").read_text(encoding="utf-8").splitlines()
    found = (re.fullmatch(r"#?([A-Z0-9_]+)=\S*\s+# (.+)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def test_the_example_names_every_variable_with_its_key_or_the_reason_why_it_has_none() -> None:
    assert told().keys() >= set(DOCUMENTS.split())
    texts = "".join(path.read_text("utf-8") for path in (DEPLOY / "config").glob("*.yaml"))
    named = set(re.findall(r"\$\{([A-Z0-9_]+)", texts))
    for name, meaning in told().items():
        secret = meaning.startswith("secret:") or name in (
            "POSTGRES_PASSWORD",
            "PENNY_ADMIN_API_KEY",
        )
        elsewhere = meaning.startswith("no meaning: ") or name.startswith("TRITON_")
        assert name in named or secret or elsewhere, name


def test_a_provider_that_is_none_is_named_with_the_file_that_is_not_there() -> None:
    with pytest.raises(ConfigErrors, match=r"llm-mistrall\.yaml is not here"):
        load(ENVIRONMENT, {"LLM_PROVIDER": "mistrall"})


PRODUCTION = {
    "S3_BUCKET": "sound",
    "PENNY_CONTROLLER": "Acme",
    "PENNY_CONTACT": "dpo@acme.example",
    "WEBHOOK_URL": "https://crm.example/penny",
}


@pytest.mark.parametrize(
    ("name", "storage", "device", "model"),
    [
        ("development", "local", "cpu", "medium"),
        ("development-gpu", "local", "cuda", "large-v3"),
        ("production", "both", "cuda", "large-v3"),
    ],
)
def test_a_profile_is_penny_yaml_with_its_own_values(
    name: str, storage: str, device: str, model: str
) -> None:
    config = load(DEPLOY / f"config/{name}.yaml", PRODUCTION)
    whisper = config.worker_settings().engines.faster_whisper
    assert (config.calls.storage, whisper.device, whisper.model) == (storage, device, model)
    assert config.resolve(config.kb.documents) == ROOT / "kb/documents"
    shipped = load(ROOT / "penny.yaml", {})
    assert config.brain == shipped.brain
    assert config.penny.profile == name
