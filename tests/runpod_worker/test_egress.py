"""A guarded process, for real: every way out that a library may take is refused and counted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runpod_worker.egress import hosts_of
from runpod_worker.settings import WorkerSettings


ROOT = Path(__file__).resolve().parents[2]
PRELUDE = """
import asyncio, socket, sys, urllib.request, uvloop, aiohttp
from penny.aio.allow_list import AllowList, EgressRefused
from runpod_worker.egress import guard_process, guarded_hosts, new_guarded_loop
guard_process(AllowList(["allowed.invalid"]))
def attempt(act):
    try:
        act()
    except EgressRefused:
        print("refused", dict(guarded_hosts().refused))
    except OSError as error:
        print("reached the network:", type(error).__name__)
def run(work):
    with asyncio.Runner(loop_factory=new_guarded_loop) as runner:
        return runner.run(work)
"""
ATTEMPTS = {
    "connect": "socket.socket().connect(('192.0.2.1', 443))",
    "connect_ex": "socket.socket().connect_ex(('192.0.2.1', 443))",
    "connect by name": "socket.create_connection(('192.0.2.1', 443), 1)",
    "look-up": "socket.getaddrinfo('tracker.invalid', 443)",
    "look-up in bytes": "socket.getaddrinfo(b'tracker.invalid', 443)",
    "old look-up": "socket.gethostbyname('tracker.invalid')",
    "datagram": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    "uvloop": "run(uvloop_connect())",
    "uvloop look-up": "run(uvloop_look_up())",
    "uvloop look-up in bytes": "run(uvloop_look_up(b'tracker.invalid'))",
    "uvloop datagram": "run(uvloop_datagram())",
}
ASYNC = """
async def uvloop_connect():
    await asyncio.get_running_loop().create_connection(asyncio.Protocol, '192.0.2.1', 443)
async def uvloop_look_up(host='tracker.invalid'):
    await asyncio.get_running_loop().getaddrinfo(host, 443)
async def uvloop_datagram():
    await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=('127.0.0.1', 0))
"""


def run_guarded(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + ASYNC + code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_way_out_is_refused_counted_and_logged() -> None:
    code = "".join(f"attempt(lambda: {act})\n" for act in ATTEMPTS.values())

    lines = [line for line in run_guarded(code).splitlines() if not line.startswith("20")]

    assert len(lines) == len(ATTEMPTS)
    assert all(line.startswith("refused") for line in lines), lines
    assert lines[-1] == "refused {'192.0.2.1': 5, 'tracker.invalid': 5, '(any)': 1}"


def test_a_leases_gateway_is_reached_once_its_job_was_taken() -> None:
    code = """
from runpod_worker.handler import allow_gateway
def dial():
    try:
        socket.create_connection(('192.0.2.7', 8443), 0.2)
    except TimeoutError:
        raise OSError
attempt(dial)
allow_gateway('wss://192.0.2.7:8443/worker')
attempt(dial)
attempt(lambda: socket.create_connection(('192.0.2.8', 8443), 0.2))
"""
    lines = [line for line in run_guarded(code).splitlines() if not line.startswith("20")]

    assert lines == [
        "refused {'192.0.2.7': 1}",
        "reached the network: OSError",
        "refused {'192.0.2.7': 1, '192.0.2.8': 1}",
    ]


@pytest.mark.parametrize("host", ["'localhost'", "b'localhost'"])
def test_addresses_of_an_allowed_name_are_learned_in_whatever_form_it_is_asked_for(
    host: str,
) -> None:
    code = f"""
hosts = guarded_hosts()
hosts.learn = lambda name, addresses: print(name, '127.0.0.1' in addresses)
socket.getaddrinfo({host}, 80)
async def look_up():
    await asyncio.get_running_loop().getaddrinfo({host}, 80)
run(look_up())
"""
    assert run_guarded(code).splitlines() == ["localhost True", "localhost True"]


def test_loopback_and_configured_hosts_are_reached() -> None:
    code = """
listener = socket.create_server(('127.0.0.1', 0))
attempt(lambda: socket.create_connection(listener.getsockname(), 1).close())
print('loopback reached')
attempt(lambda: socket.getaddrinfo('allowed.invalid', 443))
"""
    assert run_guarded(code).splitlines() == ["loopback reached", "reached the network: gaierror"]


def test_libraries_meet_the_refusal_as_a_network_error() -> None:
    code = """
async def ask():
    async with aiohttp.ClientSession() as http:
        try:
            await http.get('http://tracker.invalid/')
        except aiohttp.ClientConnectorError as error:
            print('aiohttp', type(error.os_error).__name__)
run(ask())
try:
    urllib.request.urlopen('http://tracker.invalid/')
except OSError as error:
    print('urllib', type(error.reason).__name__)
"""
    lines = [line for line in run_guarded(code).splitlines() if not line.startswith("20")]
    assert lines == ["aiohttp EgressRefused", "urllib EgressRefused"]


def test_the_sdk_of_a_model_server_meets_the_refusal_as_an_unreachable_server() -> None:
    code = """
from penny.errors import EngineError
from runpod_worker.engines.openai_llm import OpenAiLlm
from runpod_worker.settings import OpenAiCompatibleSettings
from runpod_worker.stages import LlmRequest
async def ask(url):
    llm = OpenAiLlm(OpenAiCompatibleSettings(base_url=url))
    try:
        async for _ in llm.generate(LlmRequest('', ())):
            pass
    except EngineError as error:
        print(error.code, dict(guarded_hosts().refused))
    await llm.aclose()
run(ask('http://192.0.2.1:8000/v1'))
run(ask('http://tracker.invalid/v1'))
"""
    lines = [line for line in run_guarded(code).splitlines() if not line.startswith("20")]
    assert lines == [
        "llm_unreachable {'192.0.2.1': 1}",
        "llm_unreachable {'192.0.2.1': 1, 'tracker.invalid': 1}",
    ]


def test_the_list_is_what_the_settings_and_runpod_name() -> None:
    settings = WorkerSettings.model_validate(
        {
            "engines": {"openai_compatible": {"base_url": "http://llm.example:8000/v1"}},
            "allowed_hosts": ["metrics.example:9090"],
        }
    )
    environment = {"RUNPOD_WEBHOOK_GET_JOB": "https://jobs.example/v2/ep/job-take/$ID?gpu=x"}

    hosts = hosts_of(settings, environment)

    assert hosts.allows("llm.example", 8000)
    assert hosts.allows("metrics.example", 9090)
    assert hosts.allows("jobs.example", 443)
    assert not hosts.allows("huggingface.example", 443)


def test_a_second_guard_is_refused() -> None:
    code = """
try:
    guard_process(AllowList())
except RuntimeError as error:
    print(error)
"""
    assert run_guarded(code) == "this process is guarded already\n"


pytestmark = pytest.mark.process
