"""Secrets of endpoints: made, and read from the environment."""

from __future__ import annotations

import base64
import binascii
import secrets

from penny.errors import ConfigError


PREFIX = "whsec_"
SECRET_BYTES = (24, 64)
"""Of a secret, by the specification."""
NEW_BYTES = 32
SHORTEST = 16
"""Characters of a secret that is not written as the specification says: its bytes are the key."""


def make_secret() -> str:
    """A new secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(NEW_BYTES)).decode()


def read_secrets(text: str, variable: str) -> tuple[str, ...]:
    """The secrets of an environment variable, the newest first.

    Raises:
        ConfigError: there is none, or one that cannot be.
    """
    remedy = "`python -m penny webhooks rotate` makes one"
    found = tuple(text.split())
    if not found:
        raise ConfigError(f"{variable} is not set: deliveries are signed with it; {remedy}")
    for secret in found:
        if not secret.startswith(PREFIX):
            size, least = len(secret), SHORTEST
        else:
            try:
                size = len(base64.b64decode(secret.removeprefix(PREFIX), validate=True))
            except binascii.Error:
                raise ConfigError(f"{variable}: after {PREFIX} stands base64; {remedy}") from None
            least = SECRET_BYTES[0]
        if not least <= size <= SECRET_BYTES[1]:
            raise ConfigError(f"{variable}: a secret has {least} to 64 bytes; {remedy}")
    return found
