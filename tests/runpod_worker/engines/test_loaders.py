"""Engines by name, and what a profile that cannot be loaded says."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from penny.errors import EngineError
from runpod_worker.engines import registry
from runpod_worker.engines.fallback_tts import FallbackTts
from runpod_worker.engines.registry import load_engines
from runpod_worker.settings import EngineChoice, WorkerSettings


pytestmark = pytest.mark.engines


def settings(tmp_path: Path, choice: dict[str, str], **engines: object) -> WorkerSettings:
    return WorkerSettings.model_validate(
        {
            "choice": choice,
            "engines": engines,
            "models": tmp_path,
            "library": {"documents": tmp_path / "documents", "index": tmp_path / "index"},
        }
    )


@pytest.mark.parametrize(
    ("stage", "table"),
    [
        ("vad", registry._VADS),
        ("stt", registry._STTS),
        ("llm", registry._LLMS),
        ("tts", registry._TTSS),
        ("turn", registry._TURNS),
    ],
)
def test_every_choice_has_its_loader(stage: str, table: dict[str, object]) -> None:
    assert set(get_args(EngineChoice.model_fields[stage].annotation)) == set(table)


async def test_servers_by_url_need_no_server_to_load_and_have_a_voice_behind_them(
    tmp_path: Path,
) -> None:
    choice = dict.fromkeys(("stt", "llm", "tts"), "openai-compatible") | {"turn": "auto"}
    away = {"base_url": "http://127.0.0.1:9/v1"}
    engines = await load_engines(settings(tmp_path, choice, openai_compatible=away))
    try:
        assert isinstance(engines.tts, FallbackTts)
        assert "espeak" in engines.tts.info.name
    finally:
        await engines.aclose()


@pytest.mark.parametrize(
    ("choice", "engines", "told"),
    [
        ({"tts": "xtts"}, {}, r"worker\.engines\.xtts\.accept_license"),
        (
            {"tts": "xtts"},
            {"xtts": {"accept_license": True, "model": "nowhere"}},
            "python -m penny models pull xtts-v2",
        ),
        ({"turn": "smart-turn"}, {"smart_turn": {"model": "nowhere"}}, "smart-turn-v3"),
        (
            {"llm": "openai-compatible"},
            {"openai_compatible": {"tokenizer": "nowhere.json"}},
            r"worker\.engines\.openai_compatible\.tokenizer",
        ),
    ],
)
async def test_what_is_missing_is_named_with_its_remedy(
    choice: dict[str, str], engines: dict[str, object], told: str, tmp_path: Path
) -> None:
    whole = {"stt": "openai-compatible", "llm": "openai-compatible"} | choice
    away = {"base_url": "http://127.0.0.1:9/v1"}
    engines.setdefault("openai_compatible", away)
    with pytest.raises(EngineError, match=told) as caught:
        await load_engines(settings(tmp_path, whole, **engines))
    assert not caught.value.retryable or "tokenizer" in told
