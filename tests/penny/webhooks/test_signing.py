"""Deliveries as Standard Webhooks' own library reads them, during a rotation and years apart."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from time import time

import orjson
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from penny.errors import ConfigError
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.sample import make_sample
from penny.webhooks.secrets import make_secret, read_secrets
from penny.webhooks.signing import sign, write_body


pytestmark = pytest.mark.pure

OLD, NEW = make_secret(), make_secret()


def delivery(*secrets: str, now_s: float | None = None, legacy: bool = False, **more: bool):  # type: ignore[no-untyped-def]
    endpoint = Endpoint("crm", "https://crm.example", secrets, is_legacy=legacy, **more)
    event = make_sample("call.ended", datetime(2026, 11, 30, 12, tzinfo=UTC))
    body = write_body(event, endpoint)
    return body, sign(event.id, body, endpoint, time() if now_s is None else now_s), event


def test_a_receiver_with_the_old_or_the_new_secret_reads_it_during_a_rotation() -> None:
    body, headers, event = delivery(NEW, OLD)
    for secret in (OLD, NEW):
        told = Webhook(secret).verify(body, headers)
        assert told["type"] == "call.ended"
    assert headers["webhook-id"] == event.id
    with pytest.raises(WebhookVerificationError):
        Webhook(make_secret()).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(body.replace(b"busy", b"b").replace(b"{", b"{ ", 1), headers)


def test_an_attempt_is_signed_with_its_own_time() -> None:
    body, first, event = delivery(NEW, now_s=time() - 36_000)
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(NEW).verify(body, first)
    endpoint = Endpoint("crm", "https://crm.example", (NEW,))
    again = sign(event.id, body, endpoint, time())
    assert again["webhook-id"] == first["webhook-id"]
    Webhook(NEW).verify(body, again)


def test_a_free_text_is_a_secret_by_its_bytes() -> None:
    body, headers, _ = delivery("a secret of the documents"[:24].replace(" ", "-"))
    Webhook(b"a-secret-of-the-document").verify(body, headers)


def test_older_receivers_have_their_signature_and_their_names() -> None:
    body, headers, _ = delivery(NEW, legacy=True)
    expected = hmac.new(NEW.encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-webhook-signature"] == expected
    body, headers, _ = delivery(NEW, OLD, legacy=True)  # until the rotation is over, the old one's
    expected = hmac.new(OLD.encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-webhook-signature"] == expected
    told = orjson.loads(body)
    assert told["type"] == "call_ended"
    assert set(told) == {"type", "timestamp", "data"}
    alert = make_sample("alert.raised", datetime(2026, 11, 30, tzinfo=UTC))
    legacy = Endpoint("crm", "https://crm.example", (NEW,), is_legacy=True)
    assert orjson.loads(write_body(alert, legacy))["type"] == "sentiment_alert"
    plain = Endpoint("crm", "https://crm.example", (NEW,))
    assert "x-webhook-signature" not in sign("msg_1", b"{}", plain, 0.0)


def test_a_secret_is_not_shown_by_its_endpoint() -> None:
    assert NEW not in repr(Endpoint("crm", "https://crm.example", (NEW,)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not set"),
        ("short", "16 to 64 bytes"),
        ("whsec_AAAA", "24 to 64 bytes"),
        ("whsec_!", "base64"),
        (f"{NEW} short", "16 to 64 bytes"),
    ],
    ids=["unset", "short", "few bytes", "no base64", "a second one"],  # not the secret made here
)
def test_a_secret_that_is_none_is_told_by_its_variable(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as told:
        read_secrets(text, "CRM_SECRET")
    assert told.value.message.startswith("CRM_SECRET")
    assert text == "" or text.split()[-1] not in told.value.message
    assert read_secrets(f" {NEW}  {OLD} ", "CRM_SECRET") == (NEW, OLD)
