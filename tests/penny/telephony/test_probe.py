"""A test of a connection against a SIP server of ours, over real sockets."""

from __future__ import annotations

import socket

import pytest

from penny.errors import LimitReached
from penny.telephony.lines import Fxo, Lines, Trunk
from penny.telephony.probe import MOST_IN_WINDOW, WINDOW_S, Probe, Step, is_own
from penny.telephony.reception import read_reception
from penny.telephony.wire import Timing
from tests.doubles.sip_peer import SipPeer, listening_tcp, listening_udp
from tests.penny.telephony.shapes import a_trunk, an_fxo


pytestmark = pytest.mark.socket

PATIENT = Timing(t1_s=0.05, limit_s=20.0, other_s=20.0)
HASTY = Timing(t1_s=0.02, limit_s=0.3, other_s=0.3)


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def line_of(told: dict[str, object], tenant: str = "default") -> Fxo | Trunk:
    line = Lines().with_reception(tenant, read_reception(told)).receiving_of(tenant)
    assert line is not None
    return line


def trunk(peer: SipPeer, **over: object) -> Fxo | Trunk:
    return line_of(a_trunk(host="127.0.0.1", port=peer.port, **over))


async def ask(line: Fxo | Trunk, password: str | None, timing: Timing = PATIENT) -> list[Step]:
    return await Probe(Clock(), allow_loopback=True, timing=timing).test(line, password)


def codes(steps: list[Step]) -> list[str]:
    return [step.code for step in steps]


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_a_trunk_that_answers_takes_the_credentials_and_keeps_its_bindings(
    algorithm: str,
) -> None:
    async with listening_udp(SipPeer(algorithm=algorithm)) as peer:
        steps = await ask(trunk(peer), "secreto")

    assert codes(steps) == ["resolved", "reachable", "credentials_accepted"]
    assert steps[1].facts["server"] == "Carrier 1.0"
    assert steps[1].facts["status"] == 200
    assert peer.methods == ["OPTIONS", "REGISTER", "REGISTER"]
    assert peer.malformed == []
    assert all("secreto" not in request for request in peer.requests)


async def test_requests_that_are_lost_are_sent_again() -> None:
    async with listening_udp(SipPeer(drops=2)) as peer:
        steps = await ask(trunk(peer), "secreto")

    assert codes(steps)[1] == "reachable"
    assert peer.methods[:3] == ["OPTIONS"] * 3
    assert len(set(peer.requests[:3])) == 1  # the same transaction


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "reachable"),
        (403, "reachable"),
        (404, "reachable"),
        (405, "reachable"),
        (501, "reachable"),
        (503, "up_but_unwell"),
        (500, "up_but_unwell"),
    ],
)
async def test_any_answer_is_one_of_a_living_server(status: int, code: str) -> None:
    async with listening_udp(SipPeer(options=status)) as peer:
        steps = await ask(line_of(an_fxo(ip="127.0.0.1", sip_port=peer.port)), "x")

    assert codes(steps) == ["resolved", code, "gateway_registers_itself"]


@pytest.mark.parametrize("again", [False, True])
async def test_a_wrong_password_is_told(again: bool) -> None:
    async with listening_udp(SipPeer(challenges_again=again)) as peer:
        steps = await ask(trunk(peer), "otro")
        assert codes(steps)[2] == "credentials_refused"
        assert codes(await ask(trunk(peer), None))[2] == "password_unset"


async def test_an_answer_that_tells_nothing_of_credentials_is_unknown() -> None:
    async with listening_udp(SipPeer(register=480)) as peer:
        steps = await ask(trunk(peer), "secreto")

    assert (steps[2].state, steps[2].code) == ("unknown", "not_told")


async def test_silence_and_a_closed_port_are_failures() -> None:
    async with listening_udp(SipPeer(silent=True)) as peer:
        steps = await ask(trunk(peer), "x", HASTY)
        assert codes(steps) == ["resolved", "no_answer"]
        port = peer.port
    closed = line_of(a_trunk(host="127.0.0.1", port=port))
    assert codes(await ask(closed, "x")) == ["resolved", "port_closed"]


async def test_another_transport_that_answers_is_named() -> None:
    async with listening_tcp(SipPeer()) as peer:
        steps = await ask(trunk(peer, transport="udp"), "secreto", Timing(0.02, 5.0, 20.0))
        assert steps[1].facts["answering"] == ["tcp"]
        assert codes(await ask(trunk(peer, transport="tcp"), "secreto"))[1:] == [
            "reachable",
            "credentials_accepted",
        ]


async def test_a_carrier_that_knows_us_by_address_is_not_asked_to_register() -> None:
    async with listening_udp(SipPeer()) as peer:
        line = trunk(peer, auth_type="ip_auth", match=["203.0.113.0/24"], user="", password="")
        steps = await ask(line, None)

    assert codes(steps) == ["resolved", "reachable", "known_by_address"]
    assert peer.methods == ["OPTIONS"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0", "::1", "::ffff:127.0.0.1"]
)
async def test_it_asks_no_address_of_the_machine_itself(host: str) -> None:
    probe = Probe(Clock(), allow_loopback=False, timing=HASTY)

    [step] = await probe.test(line_of(a_trunk(host=host)), "x")

    assert (step.state, step.code) == ("failed", "address_refused")


def own_address() -> str:
    """One that this machine has in a network; loopback's where it is in none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return "127.0.0.1"
        return str(asking.getsockname()[0])


async def test_it_asks_this_machine_by_none_of_its_addresses() -> None:
    own = own_address()
    assert is_own(own)
    assert is_own("127.0.0.1")
    assert not is_own("192.0.2.1")
    assert not is_own("2001:db8::1")
    async with listening_udp(SipPeer(), own) as peer:
        line = line_of(a_trunk(host=own, port=peer.port))
        probe = Probe(Clock(), allow_loopback=False, timing=PATIENT)
        assert codes(await probe.test(line, "x")) == ["address_refused"]
        assert peer.requests == []
        assert codes(await ask(line, "secreto"))[1:] == ["reachable", "credentials_accepted"]


async def test_one_tenants_tests_are_none_of_anothers() -> None:
    probe = Probe(Clock(), allow_loopback=False, timing=HASTY)
    told = a_trunk(host="127.0.0.1")
    await probe.test(line_of(told), "x")
    with pytest.raises(LimitReached):
        await probe.test(line_of(told), "x")
    assert codes(await probe.test(line_of(told, "acme"), "x")) == ["address_refused"]


@pytest.mark.parametrize("length", ["²", "-5", "9" * 5000, "x"])
async def test_a_length_that_is_no_number_ends_no_reader(length: str) -> None:
    class Odd(SipPeer):
        """Tells a length of no sense."""

        def answer(self, data: bytes) -> bytes | None:
            told = super().answer(data)
            return told and told.replace(b"Length: 0", f"Length: {length}".encode("latin-1"))

    async with listening_tcp(Odd()) as peer:
        steps = await ask(trunk(peer, transport="tcp"), "secreto")
    assert codes(steps)[1:] == ["reachable", "credentials_accepted"]


async def test_it_asks_seldom() -> None:
    clock = Clock()
    probe = Probe(clock, allow_loopback=False, timing=HASTY)
    line = line_of(a_trunk(host="127.0.0.1"))
    await probe.test(line, "x")
    with pytest.raises(LimitReached):
        await probe.test(line, "x")
    for _ in range(MOST_IN_WINDOW - 1):
        clock.now_s += 1.0
        await probe.test(line, "x")
    clock.now_s += 1.0
    with pytest.raises(LimitReached) as refused:
        await probe.test(line, "x")
    assert 0 < refused.value.retry_after_s <= WINDOW_S
    clock.now_s += WINDOW_S
    await probe.test(line, "x")


async def test_answers_to_other_questions_are_no_answer() -> None:
    class Confused(SipPeer):
        """Answers with another call's id first."""

        def answer(self, data: bytes) -> bytes | None:
            told = super().answer(data)
            return told and told.replace(b"i: ", b"i: other-")

    async with listening_udp(Confused()) as peer:
        assert codes(await ask(trunk(peer), "x", HASTY)) == ["resolved", "no_answer"]
