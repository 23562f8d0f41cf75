"""Whether a request is Twilio's: its signature over the public address, by the vendor's validator.

The address is the configured one: ``Host`` and ``X-Forwarded-*`` are the sender's to write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twilio.request_validator import (  # type: ignore[import-untyped]
    RequestValidator,
    get_signature_algorithm,
)


SIGNATURE = "X-Twilio-Signature"
SETTINGS = "X-Twilio-Webhooks-Signature-Settings"


class Signatures:
    """Checks signatures of webhooks and of WebSocket upgrades.

    Args:
        public_url: https address under which this gateway is reached, without a path or with the
            one that a proxy takes away.
    """

    def __init__(self, auth_token: str, public_url: str) -> None:
        self._validator = RequestValidator(auth_token)
        self.public_url = public_url.rstrip("/")

    @property
    def stream_url(self) -> str:
        """The same address for streams: ``wss``, which is what their signature covers."""
        return "wss" + self.public_url.removeprefix("https")

    def is_webhook(self, path: str, form: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
        """Whether Twilio sent this form. ``path`` is as it was asked for, with its query."""
        return self._is_signed(self.public_url + path, form, headers)

    def is_stream(self, path: str, headers: Mapping[str, str]) -> bool:
        """Whether Twilio asks for this upgrade."""
        return self._is_signed(self.stream_url + path, {}, headers)

    def _is_signed(self, url: str, form: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
        given = headers.get(SIGNATURE, "")
        if not given or not given.isascii():
            return False
        algorithm = get_signature_algorithm(headers.get(SETTINGS, ""))
        try:
            return bool(self._validator.validate(url, form, given, algorithm))
        except ValueError:  # an algorithm that it does not know
            return False
