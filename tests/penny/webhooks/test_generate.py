"""The written schema and page are the models'; every sample and its envelope fit the schema."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from jsonschema import Draft202012Validator

from config.webhooks import EventType
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.events import MODELS
from penny.webhooks.generate import build_schema, render
from penny.webhooks.sample import make_sample
from penny.webhooks.signing import write_body


pytestmark = pytest.mark.pure


def test_what_is_written_is_current() -> None:
    for path, text in render().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: make it anew"


@pytest.mark.parametrize("kind", list(MODELS))
def test_what_is_sent_fits_the_schema(kind: EventType) -> None:
    event = make_sample(kind, datetime(2026, 11, 30, tzinfo=UTC))
    body = orjson.loads(write_body(event, Endpoint("crm", "https://crm.example", ("x" * 16,))))
    Draft202012Validator(build_schema()).validate(body)
    assert len(orjson.dumps(body)) < 20_000
