"""Body and headers of one delivery, signed as Standard Webhooks says. Pure.

Each attempt is signed anew with its own time, so that a retry of hours later is not too old; the
id stays. With several secrets there are as many signatures, and a receiver may know any of them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

from penny import __version__
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.events import Event, thin
from penny.webhooks.secrets import PREFIX
from penny.writable import dump_json


def write_body(event: Event, endpoint: Endpoint) -> bytes:
    """What is sent: ``{"type", "timestamp", "data"}``."""
    data = thin(event.type, event.data) if endpoint.is_thin else event.data
    name = _legacy_name(event) if endpoint.is_legacy else event.type
    return dump_json({"type": name, "timestamp": event.at.isoformat(), "data": data})


def sign(event_id: str, body: bytes, endpoint: Endpoint, now_s: float) -> dict[str, str]:
    """The headers of an attempt at ``now_s``, Unix time."""
    moment = datetime.fromtimestamp(int(now_s), UTC)
    headers = {
        "content-type": "application/json",
        "user-agent": f"Penny/{__version__}",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now_s)),
        "webhook-signature": _signatures(event_id, moment, body, endpoint.secrets),
    }
    if endpoint.is_legacy:
        # It bears one signature: of the secret that its receiver knows until the rotation is over.
        key = endpoint.secrets[-1].encode()
        headers["x-webhook-signature"] = hmac.new(key, body, hashlib.sha256).hexdigest()
    return headers


def _signatures(event_id: str, moment: datetime, body: bytes, known: Sequence[str]) -> str:
    text = body.decode()
    return " ".join(Webhook(_key(secret)).sign(event_id, moment, text) for secret in known)


def _key(secret: str) -> str | bytes:
    return secret if secret.startswith(PREFIX) else secret.encode()


def _legacy_name(event: Event) -> str:
    """``call_started``; an alert has its kind in its name: ``sentiment_alert``."""
    if event.type == "alert.raised":
        return f"{event.data['kind']}_alert"
    return event.type.replace(".", "_")
