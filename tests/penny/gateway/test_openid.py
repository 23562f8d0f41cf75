"""Sign-in at an OpenID provider, from the link to the rights: real processes on both sides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from penny.gateway.guard import OPEN, OWN, ROUTES
from penny.trust.rights import ROLES
from tests.doubles.openid_browser import OpenIdBrowser
from tests.doubles.openid_house import signing, wish


pytestmark = pytest.mark.process

GUARDED = {route: right for route, right in ROUTES.items() if right not in (OPEN, OWN)}


async def test_who_signs_in_has_the_rights_of_the_first_group_and_no_other(tmp_path: Path) -> None:
    async with signing(tmp_path) as (gateway, provider):
        for role in ("operator", "supervisor", "auditor", "admin"):
            async with OpenIdBrowser(gateway.url) as browser:
                await wish(browser, provider, claims={"groups": ["x", f"bolt-{role}s"]})
                assert await browser.sign_in() == (303, "/calls")
                me = await browser.whoami()
                assert (me["tenant"], set(me["rights"])) == ("bolt", ROLES[role])
                assert me["key_id"].startswith("person_")
                token = {"X-Penny-CSRF": me["csrf"]}
                for route, right in GUARDED.items():
                    method, path = route.split(" ", 1)
                    there = gateway.url + re.sub(r"\{\w+\}", "none", path)
                    async with browser.http.request(method, there, headers=token) as answer:
                        assert (answer.status != 403) is (right in ROLES[role]), (route, role)
        async with OpenIdBrowser(gateway.url) as browser:
            await wish(browser, provider, rotate=True)  # its key is not known yet
            assert await browser.sign_in("/nowhere") == (403, "sign_in_refused")
            browser.http.headers["Accept"] = "text/html,*/*;q=0.8"  # as a person's browser
            told = "?refused=sign_in_refused"
            assert await browser.sign_in("/calls") == (303, f"/calls{told}")
            assert await browser.sign_in("https://evil.example") == (303, f"/admin{told}")
            del browser.http.headers["Accept"]
            async with browser.http.get(f"{gateway.url}/calls") as page:
                assert 'href="/v1/sign-in/openid?to=/calls"' in await page.text()


async def test_a_provider_that_is_away_or_another_shuts_out_nobody_with_a_key(
    tmp_path: Path,
) -> None:
    async with signing(tmp_path) as (gateway, provider), OpenIdBrowser(gateway.url) as browser:
        await wish(browser, provider, calls_itself="https://evil.example")
        start = f"{gateway.url}/v1/sign-in/openid"
        async with browser.http.get(start, allow_redirects=False) as answer:
            assert answer.status == 503
            assert (await answer.json())["error"]["param"] == "issuer"
        provider.process.kill()
        await provider.wait()
        async with browser.http.get(start, allow_redirects=False) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (503, "provider_away")
        async with browser.http.get(f"{gateway.url}/healthz") as answer:
            assert answer.status == 200
