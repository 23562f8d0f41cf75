"""Sign-in by an OpenID provider, attacked: forged answers, spoilt tokens, another's browser."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp

from tests.attacks.attack import attack
from tests.attacks.house import House
from tests.doubles.openid_browser import OpenIdBrowser
from tests.doubles.openid_house import signing, wish
from tests.doubles.openid_provider import CLIENT_ID


Json = dict[str, Any]

SPOILT: dict[str, Json] = {
    "alg none": {"alg": "none"},
    "signed by the public key": {"alg": "HS256"},
    "signed by a stranger": {"stranger": True},
    "an unknown key's": {"kid": "unknown"},
    "another issuer's": {"claims": {"iss": "https://evil.example"}},
    "for another client": {"claims": {"aud": "other"}},
    "for two, issued to the other": {"claims": {"aud": [CLIENT_ID, "other"], "azp": "other"}},
    "for two, issued to nobody": {"claims": {"aud": [CLIENT_ID, "other"]}},
    "of another attempt": {"claims": {"nonce": "of-another"}},
    "without a nonce": {"claims": {"nonce": None}},
    "over": {"claims": {"exp": 1_000_000_000}},
    "without an end": {"claims": {"exp": None}},
    "of nobody": {"claims": {"sub": None}},
    "of one in no group": {"claims": {"groups": ["others"]}},
    "with groups that are no list": {"claims": {"groups": {"acme-admins": True}}},
}


@attack("people", "403 at each, nobody is signed in; a right one is, in its own tenant")
async def the_providers_answer_is_spoilt(house: House) -> str:
    """OpenID: tokens, states, codes forged, replayed, of others; a sign-in that leads elsewhere"""
    folder = house.folder / "openid"
    folder.mkdir()
    async with signing(folder) as (gateway, provider):
        for name, wishes in SPOILT.items():
            async with OpenIdBrowser(gateway.url) as browser:
                await wish(browser, provider, **wishes)
                status, code = await browser.sign_in()
                assert (status, code) in ((403, "sign_in_refused"), (403, "no_group")), name
                assert await browser.whoami() == {}, name
        async with OpenIdBrowser(gateway.url) as browser, OpenIdBrowser(gateway.url) as victim:
            await wish(browser, provider)
            refused = await _forged(browser, victim)
            await _led_elsewhere(browser)
            assert await browser.sign_in() == (303, "/calls")
            assert (await browser.whoami())["tenant"] == "acme"
            await _rides(browser, gateway.url)
        assert "signed_in" in gateway.log
        assert "eyJ" not in gateway.log  # no token, no code
    return f"403 x{len(SPOILT) + refused}"


async def _forged(browser: OpenIdBrowser, victim: OpenIdBrowser) -> int:
    """States that are not this browser's, and a code used twice."""
    there = await browser.at_provider(await browser.begin())
    forged = [
        await victim.back(there),  # the attacker's answer, in the browser of somebody else
        await browser.back(there, state="forged"),
    ]
    there = await browser.at_provider(await browser.begin())
    forged.append(await browser.back(there, iss="https://evil.example"))
    there = await browser.at_provider(await browser.begin())
    forged.append(await browser.back(there, code="invented"))
    there = await browser.at_provider(await browser.begin())
    kept = {each.key: each.value for each in browser.http.cookie_jar}
    assert await browser.back(there) == (303, "/calls")
    browser.http.cookie_jar.clear()
    forged.append(await browser.back(there))  # the cookie is gone: whoever finds the address
    browser.http.cookie_jar.update_cookies(kept)
    forged.append(await browser.back(there))  # with the cookie, too, a code is good once
    browser.http.cookie_jar.clear()
    assert forged == [(403, "sign_in_refused")] * len(forged)
    assert await victim.whoami() == {}
    return len(forged)


async def _led_elsewhere(browser: OpenIdBrowser) -> None:
    """Every address but a page's leads to the first one; PKCE and redirect_uri are Penny's own."""
    for to in (
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/calls/../..",
        "/web/",
    ):
        assert await browser.sign_in(to) == (303, "/"), to
    asked = parse_qs(urlsplit(await browser.begin("https://evil.example")).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert "evil" not in str(asked)
    for changed in (("code_challenge", ""), ("redirect_uri", "https://evil.example/")):
        address = urlsplit(await browser.begin())
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        there = address._replace(query="").geturl()
        query[changed[0]] = changed[1]
        async with browser.http.get(there, params=query, allow_redirects=False) as answer:
            assert answer.status == 400 or "error=" in answer.headers["Location"], changed


async def _rides(browser: OpenIdBrowser, url: str) -> None:
    """A foreign page with the signed-in person's cookie, and a change without its token."""
    (cookie,) = (each.value for each in browser.http.cookie_jar if each.key == "penny_page")
    async with aiohttp.ClientSession(url, headers={"Cookie": f"penny_page={cookie}"}) as http:
        foreign = {"Origin": "https://evil.example"}
        for headers in ({}, foreign):
            async with http.delete("/v1/calls/none", headers=headers) as answer:
                assert answer.status == 403
        async with http.get("/v1/calls", headers=foreign) as answer:
            assert answer.status == 403
