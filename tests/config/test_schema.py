"""penny.yaml, the schema and the README say the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from config.credentials import PURPOSES
from config.document import read_document
from config.loader import load
from config.prices import ALIASES, PRICES
from config.reference import README, replace_table
from config.schema import Config
from kb.local_embedder import LocalEmbedder
from penny.errors import ConfigErrors


pytestmark = pytest.mark.pure


ROOT = Path(__file__).parents[2]


def test_what_is_kept_of_a_call_is_its_numbers_then_its_tenants_then_the_houses() -> None:
    notice = {"controller": "Acme S.A.", "contact": "datos@acme.es"}
    tenant = {"recording": "announce", "numbers": {"200": {"text": False}}}
    house = {"notice": notice, "numbers": {"+34910000000": {"recording": "off"}}}
    config = Config.model_validate({"calls": house, "tenants": {"acme": {"calls": tenant}}})
    own = config.tenant_calls("acme")
    assert config.calls.policy(own) == ("announce", True)
    assert config.calls.policy(own, "200") == ("announce", False)
    assert config.calls.policy(own, "+34910000000") == ("off", True)
    assert config.calls.policy(config.tenant_calls("other"), "200") == ("auto", True)


def test_a_number_that_asks_needs_its_notice() -> None:
    with pytest.raises(ValueError, match="tells callers of it"):
        Config.model_validate({"calls": {"numbers": {"910000000": {"recording": "ask"}}}})


def keys_of_model(section: BaseModel, prefix: str = "") -> Iterator[str]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        yield prefix + name
        if isinstance(value, BaseModel):
            yield from keys_of_model(value, f"{prefix}{name}.")


def keys_of_data(data: dict[str, object], prefix: str = "") -> Iterator[str]:
    for name, value in data.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from keys_of_data(value, f"{prefix}{name}.")


def test_penny_yaml_holds_every_default() -> None:
    assert load(ROOT / "penny.yaml", {}).model_dump() == Config().model_dump()


def test_penny_yaml_has_every_key_of_the_schema() -> None:
    data = yaml.safe_load((ROOT / "penny.yaml").read_text(encoding="utf-8"))

    assert set(keys_of_model(Config())) - set(keys_of_data(data)) == set()


def test_penny_yaml_has_every_row_of_the_tables() -> None:
    data = yaml.safe_load((ROOT / "penny.yaml").read_text(encoding="utf-8"))

    assert data["models"]["aliases"] == ALIASES
    assert set(data["models"]["prices"]) == set(PRICES)
    assert set(data["profiles"]) == set(Config().profiles)


def test_every_key_of_penny_yaml_says_why() -> None:
    text = (ROOT / "penny.yaml").read_text(encoding="utf-8")
    lines = read_document(text, {}).lines
    by_name = {".".join(map(str, key)): line for key, line in lines.items()}

    bare = [
        key for key in keys_of_model(Config()) if "  # " not in text.splitlines()[by_name[key] - 1]
    ]
    assert bare == []


def test_readme_table_is_made_from_the_schema() -> None:
    text = README.read_text(encoding="utf-8")

    assert replace_table(text) == text


def test_every_alias_leads_to_a_model_with_a_price() -> None:
    assert {target for target in ALIASES.values() if target not in PRICES} == set()
    assert not set(ALIASES) & set(ALIASES.values())


def test_default_models_have_prices() -> None:
    external = Config().penny.modes.EXTERNAL

    assert external.portavoz_model in PRICES
    assert external.cerebro_model in PRICES


def test_dump_and_repr_hold_no_secret() -> None:
    config = load(ROOT / "penny.yaml", dict.fromkeys(PURPOSES, "canary"))

    assert "canary" not in config.model_dump_json() + repr(config) + repr(config.origin)


def test_the_embedding_server_reaches_the_gateways_kb_and_the_workers(tmp_path: Path) -> None:
    path = tmp_path / "penny.yaml"
    path.write_text("kb:\n  embedding: openai-compatible\n  embedding_server: {model: e5}\n")
    config = load(path, {})

    settings = config.kb_settings({})
    assert settings.embedder is not None
    assert "e5" in settings.embedder.name
    assert config.worker_settings().library.embedding_server == config.kb.embedding_server
    assert isinstance(Config().kb_settings({}).embedder, LocalEmbedder)
    assert Config().worker_settings().library.embedding == "local"
    path.write_text("kb:\n  embedding: none\n")
    assert load(path, {}).kb_settings({}).embedder is None


def test_a_wrong_embedding_address_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "penny.yaml"
    path.write_text("kb:\n  embedding_server:\n    url: 127.0.0.1:8000\n")

    with pytest.raises(ConfigErrors, match=r"penny.yaml:3: kb.embedding_server.url: .*http"):
        load(path, {})


def test_a_profile_sets_keys_of_its_engines_over_the_files() -> None:
    config = Config.model_validate(
        {
            "penny": {"profile": "natural"},
            "worker": {"engines": {"faster_whisper": {"beam_size": 3, "device": "cuda"}}},
        }
    )

    whisper = config.worker_settings().engines.faster_whisper

    assert (whisper.model, whisper.device) == ("natural/whisper-base", "cpu")
    assert whisper.beam_size == 3
    embedded = config.with_profile("embedded").worker_settings().engines.faster_whisper
    assert (embedded.model, embedded.device) == ("large-v3", "cuda")


def test_noise_is_reduced_as_the_tenant_says_else_as_the_house() -> None:
    tenants = {"acme": {"noise_reduction": "far_field"}, "plain": {}}
    config = Config.model_validate({"tenants": tenants})
    assert config.noise_reduction("acme") == {"type": "far_field"}
    assert config.noise_reduction("plain") is None
    house = Config.model_validate(
        {"tenants": tenants, "session": {"noise_reduction": "near_field"}}
    )
    assert house.noise_reduction("plain") == house.noise_reduction("x") == {"type": "near_field"}
    assert house.noise_reduction("acme") == {"type": "far_field"}
