"""A gateway whose people sign in at an OpenID provider, both as processes; no worker is needed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from config.sign_in import BACK
from penny.trust.keys import KeyFile
from tests.doubles.openid_browser import OpenIdBrowser
from tests.doubles.openid_provider import CLIENT_ID, CLIENT_SECRET, provider_process
from tests.doubles.processes import PennyProcess, free_port, gateway_process


Json = dict[str, Any]

GROUPS: Json = {
    f"{tenant}-{role}s": {"role": role, "tenant": tenant}
    for role in ("operator", "supervisor", "auditor", "admin")
    for tenant in ("acme", "bolt")
}
"""At the provider: ``acme-admins`` and so on."""


@asynccontextmanager
async def signing(
    folder: Path, **sections: Json
) -> AsyncIterator[tuple[PennyProcess, PennyProcess]]:
    """The gateway and the provider. The gateway asks for keys."""
    port = free_port()
    back = f"http://127.0.0.1:{port}{BACK}"
    file = folder / "keys.sqlite"
    KeyFile(file, time.time).create("default", "the first")
    async with provider_process(folder, back) as provider:
        openid = {
            "issuer": provider.url,
            "client_id": CLIENT_ID,
            "client_secret": "PENNY_OPENID_SECRET",
            "redirect_url": back,
            "groups": GROUPS,
        }
        async with gateway_process(
            folder,
            1,
            port=port,
            environment={"PENNY_OPENID_SECRET": CLIENT_SECRET},
            keys={"file": str(file), "required": "always"},
            sign_in={"openid": openid},
            **sections,
        ) as gateway:
            yield gateway, provider


async def wish(browser: OpenIdBrowser, provider: PennyProcess, **wishes: Any) -> None:
    """What the provider's next tokens are like; of groups, acme's admins unless said otherwise."""
    claims = {"groups": ["acme-admins"], **wishes.pop("claims", {})}
    body = {"claims": claims, **wishes}
    async with browser.http.post(f"{provider.url}/control", json=body) as answer:
        assert answer.status == 200
