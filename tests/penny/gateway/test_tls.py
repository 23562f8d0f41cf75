"""``gateway.tls``: the gateway speaks https and wss with the operator's certificate."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import trustme

from config.schema import Config
from penny.errors import ConfigError
from penny.gateway.app import Gateway
from penny.gateway.listener import load_tls
from penny.gateway.process import banner
from tests.doubles.house import make_engines, running_worker
from tests.doubles.realtime_client import RealtimeClient
from tests.doubles.speech import silence, speak


pytestmark = pytest.mark.engines

Files = dict[str, str]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def write(authority: trustme.CA, folder: Path) -> Files:
    """A certificate for 127.0.0.1 and its key, as ``gateway.tls``."""
    issued = authority.issue_cert("127.0.0.1")
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    return {"cert": str(cert), "key": str(key)}


def config_with(tls: Files, endpoint: str = "") -> Config:
    modes = {"SELF_HOSTED": {"endpoint": endpoint}} if endpoint else {}
    return Config.model_validate({"gateway": {"tls": tls}, "penny": {"modes": modes}})


async def test_a_client_talks_by_wss_and_the_banner_says_https(
    authority: trustme.CA, tmp_path: Path
) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with running_worker(make_engines()) as endpoint:
        gateway = Gateway(config_with(write(authority, tmp_path), endpoint))
        await gateway.start("127.0.0.1", 0)
        try:
            url = f"https://127.0.0.1:{gateway.port}"
            assert banner(gateway).startswith(f"Penny listens on {url}\n")
            async with aiohttp.ClientSession() as http:
                async with http.get(f"{url}/healthz", ssl=trusting) as answer:
                    assert answer.status == 200
                address = f"wss://127.0.0.1:{gateway.port}/v1/realtime?model=penny"
                async with http.ws_connect(address, ssl=trusting, max_msg_size=0) as socket:
                    client = RealtimeClient(socket)
                    await client.until("session.created")
                    await client.stream(silence(300) + speak("buenos días") + silence(1500))
                    done = await client.until("response.done")
                    assert done["response"]["status"] == "completed"
                with pytest.raises(aiohttp.ClientConnectorCertificateError):
                    await http.get(f"{url}/healthz", ssl=ssl.create_default_context())
        finally:
            await gateway.stop(drain_s=1.0)


@pytest.mark.parametrize(
    ("spoil", "key"),
    [
        (lambda tls, other: Path(tls["cert"]).unlink(), "gateway.tls.cert"),
        (lambda tls, other: Path(tls["key"]).unlink(), "gateway.tls.key"),
        (lambda tls, other: Path(tls["key"]).write_text("no key"), "gateway.tls.key"),
        (lambda tls, other: Path(other["key"]).rename(tls["key"]), "gateway.tls.key"),
    ],
    ids=["no certificate", "no key", "not a key", "another's key"],
)
async def test_files_that_cannot_be_used_are_named_before_anything_starts(
    authority: trustme.CA, tmp_path: Path, spoil: Callable[[Files, Files], object], key: str
) -> None:
    (tmp_path / "other").mkdir()
    tls, other = write(authority, tmp_path), write(authority, tmp_path / "other")
    spoil(tls, other)
    with pytest.raises(ConfigError) as refused:
        await Gateway(config_with(tls)).start("127.0.0.1", 0)
    assert refused.value.key == key
    assert tls[key.rpartition(".")[2]] in refused.value.message


def test_without_it_the_gateway_speaks_in_the_clear() -> None:
    assert load_tls(Config()) is None
