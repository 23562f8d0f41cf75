"""Saving: what Asterisk reads is what was meant, whatever fields hold; or nothing changes."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.telephony import TelephonySection
from penny.errors import ProtocolError
from penny.telephony.install import File, install
from penny.telephony.reception import read_reception
from penny.telephony.store import ChangedByHand, LinesUnavailable, TelephonyStore
from tests.penny.telephony.asterisk_reader import read_file
from tests.penny.telephony.shapes import a_trunk, an_fxo


pytestmark = pytest.mark.pure

Json = dict[str, Any]


def open_store(folder: Path, environ: dict[str, str] | None = None, **asterisk: Any) -> Any:
    section = TelephonySection.model_validate({"asterisk": asterisk})
    return TelephonyStore(folder, section, environ or {})


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_gateways_lines_are_rendered_as_asterisk_reads_them(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.save("default", read_reception(an_fxo()))
    pjsip = read_file(store.files / "penny_pjsip.conf")
    plan = read_file(store.files / "penny_extensions.conf")

    assert set(pjsip) == {"fxo-1", "fxo-1-auth", "fxo-1-identify", "gateway"}
    endpoint = dict(pjsip["fxo-1"])
    assert (endpoint["allow"], endpoint["context"]) == ("alaw,ulaw", "penny-fxo-1")
    assert (endpoint["aors"], endpoint["permit"]) == ("gateway", "192.168.1.50")
    assert dict(pjsip["fxo-1-auth"])["password"] == "p;a\"s's#w=>o${d}"
    assert dict(pjsip["fxo-1-identify"])["match"] == "192.168.1.50"
    steps = [value for _, value in plan["penny-fxo-1"]]
    assert steps[0] == "+5255123456,1,Set(GROUP(penny)=fxo-1)"
    assert [step.split(",")[0] for step in steps if ",1," in step][1:] == ["_X.", "_+X.", "s"]
    assert steps.count("n,Hangup(1)") == 3
    wire = "n,TryExec(AudioSocket(${PENNY_UUID},127.0.0.1:9019))"  # one that fails ends no call
    assert wire in [value for _, value in plan["penny-talk"]]


def test_a_trunk_registers_or_is_known_by_its_addresses(tmp_path: Path) -> None:
    store = open_store(tmp_path, wire="websocket", gateway_url="https://penny.example/gw")
    store.save("default", read_reception(a_trunk(transport="tls", port=5061)))
    pjsip = read_file(store.files / "penny_pjsip.conf")
    registration = dict(pjsip["trunk-1-registration"])
    assert registration["server_uri"] == "sip:sip.carrier.example:5061;transport=tls"
    assert registration["client_uri"] == "sip:acme@sip.carrier.example"
    trunk = dict(pjsip["trunk-1"])
    assert ("auth" in trunk, trunk["identify_by"]) == (False, "ip")  # whoever says "trunk-1"
    # A minute apart for years: Asterisk's own ten would leave a carrier that was away a while.
    assert (registration["retry_interval"], registration["max_retries"]) == ("60", "1000000")
    assert registration["fatal_retry_interval"] == "600"
    plan = read_file(store.files / "penny_extensions.conf")
    numbers = [v.split(",")[0] for k, v in plan["penny-trunk-1"] if k == "exten"]
    assert numbers == ["+34910000001", "_X.", "_+X.", "s"]  # the inactive number is refused
    assert any("WebSocket/penny/c(slin)f(json)" in v for _, v in plan["penny-talk"])
    client = read_file(store.files / "penny_websocket_client.conf")
    assert dict(client["penny"])["uri"] == "wss://penny.example/gw/asterisk/media"

    by_ip = a_trunk(auth_type="ip_auth", match=["203.0.113.0/24", "198.51.100.7"], user="")
    store.save("default", read_reception(by_ip))
    pjsip = read_file(store.files / "penny_pjsip.conf")
    assert "trunk-1-registration" not in pjsip
    matches = [value for name, value in pjsip["trunk-1-identify"] if name == "match"]
    assert matches == ["203.0.113.0/24", "198.51.100.7/32"]


def test_a_password_is_kept_once_by_reference_and_in_no_other_file(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    lines = store.save("default", read_reception(an_fxo(password="s3cr3t;0")))
    secret = tmp_path / "secrets" / "fxo-1.conf"

    assert store.password(lines.fxo[0]) == "s3cr3t;0"
    assert (mode_of(secret), mode_of(secret.parent)) == (0o600, 0o700)
    assert mode_of(store.files / "penny_pjsip.conf") == 0o640
    holders = [name for name, text in everything(tmp_path).items() if b"s3cr3t" in text]
    assert holders == [str(secret)]
    again = store.save("default", read_reception(an_fxo(password="", fxo_ports=8)))
    assert store.password(again.fxo[0]) == "s3cr3t;0"
    assert store.save("default", read_reception({"method": ""})).fxo[0].password_ref == "file:fxo-1"
    assert list(read_file(store.files / "penny_pjsip.conf")) == []


def test_a_password_may_stand_in_the_environment(tmp_path: Path) -> None:
    env = {"PENNY_FXO_PASSWORD": "de fuera"}
    store = open_store(tmp_path, env)
    named = read_reception(an_fxo(password="env:PENNY_FXO_PASSWORD"))
    lines = store.save("default", named, is_house=True)

    assert lines.fxo[0].password_ref == "env:PENNY_FXO_PASSWORD"
    assert store.password(lines.fxo[0]) == "de fuera"
    pjsip = read_file(store.files / "penny_pjsip.conf")
    assert dict(pjsip["fxo-1-auth"])["password"] == "de fuera"
    env["PENNY_FXO_PASSWORD"] = "a\n[evil]"
    before = everything(tmp_path)
    with pytest.raises(ProtocolError, match="characters that Asterisk cannot read"):
        store.save("default", read_reception(an_fxo(password="")))
    del env["PENNY_FXO_PASSWORD"]
    with pytest.raises(LinesUnavailable, match="PENNY_FXO_PASSWORD is not set"):
        store.save("default", read_reception(an_fxo(password="")))
    assert everything(tmp_path) == before
    # Another variable is a password like any other, and names nothing.
    other = store.save("acme", read_reception(a_trunk(password="env:OPENAI_API_KEY")))
    assert other.trunks[0].password_ref == "file:trunk-1"


def test_a_tenant_names_no_variable_but_its_own_as_a_password(tmp_path: Path) -> None:
    env = {"PENNY_ACME_ES_PASSWORD": "suya", "PENNY_OTHER_PASSWORD": "ajena"}
    store = open_store(tmp_path, env)
    foreign = read_reception(a_trunk(password="env:PENNY_OTHER_PASSWORD"))
    with pytest.raises(ProtocolError, match="env:PENNY_ACME_ES_PASSWORD") as refused:
        store.save("acme.es", foreign)
    assert refused.value.field == "carrier_grade.password"
    own = store.save("acme.es", read_reception(a_trunk(password="env:PENNY_ACME_ES_PASSWORD")))
    assert store.password(own.trunks[0]) == "suya"
    given = store.save("acme.es", foreign, is_house=True)
    assert store.password(given.trunks[0]) == "ajena"
    store.save("acme.es", read_reception(a_trunk(password="")))  # it stays, for that server


@pytest.mark.parametrize("new", [{"host": "thief.example"}, {"port": 5070}, {"user": "otro"}])
def test_a_kept_password_goes_to_no_other_server(tmp_path: Path, new: Json) -> None:
    store = open_store(tmp_path)
    store.save("default", read_reception(a_trunk()))
    before = everything(tmp_path)
    with pytest.raises(ProtocolError, match="write it again") as refused:
        store.save("default", read_reception(a_trunk(**{"password": "", **new})))
    assert refused.value.field == "carrier_grade.password"
    assert everything(tmp_path) == before
    lines = store.save("default", read_reception(a_trunk(**{"password": "nueva", **new})))
    assert store.password(lines.trunks[0]) == "nueva"


def test_tenants_have_lines_of_their_own_and_no_number_twice(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.save("default", read_reception(an_fxo()))
    with pytest.raises(ProtocolError) as taken:
        store.save("acme", read_reception(a_trunk(dids=[{"number": "+5255123456"}])))
    assert taken.value.field == "carrier_grade.dids.0.number"
    with pytest.raises(ProtocolError) as same:
        store.save("acme", read_reception(an_fxo(dids=[])))
    assert same.value.field == "fxo_gateway.ip"
    lines = store.save("acme", read_reception(a_trunk()))
    assert [line.id for line in lines.receiving()] == ["fxo-1", "trunk-1"]
    assert lines.reception_of("acme").method == "carrier_grade"
    assert lines.reception_of("default").fxo_gateway is not None


@pytest.mark.parametrize(
    ("told", "field"),
    [
        (a_trunk(host="b.example", match=["198.51.100.9", "192.0.0.0/8"]), "carrier_grade.match.1"),
        (a_trunk(host="b.example", match=["203.0.113.128/25"]), "carrier_grade.match.0"),
        (a_trunk(host="b.example", match=["::ffff:203.0.113.7"]), "carrier_grade.match.0"),
        (a_trunk(host="203.0.113.7"), "carrier_grade.host"),
        (an_fxo(ip="192.168.1.50", user="other", dids=[]), "fxo_gateway.ip"),
        (an_fxo(ip="203.0.113.200", user="other", dids=[]), "fxo_gateway.ip"),
        (an_fxo(ip="192.168.1.51", dids=[]), "fxo_gateway.user"),
    ],
)
def test_no_two_tenants_calls_come_from_one_address(tmp_path: Path, told: Json, field: str) -> None:
    store = open_store(tmp_path)
    store.save("default", read_reception(an_fxo()))
    theirs = a_trunk(match=["203.0.113.0/24"], dids=[{"number": "+34910000009"}])
    store.save("acme", read_reception(theirs))
    before = everything(tmp_path)
    if told["method"] == "carrier_grade":
        told["carrier_grade"]["dids"] = []
    with pytest.raises(ProtocolError) as refused:
        store.save("other", read_reception(told))
    assert refused.value.field == field
    assert everything(tmp_path) == before
    apart = a_trunk(host="sip.other.example", match=["203.0.112.0/24", "::ffff:198.51.100.9"])
    apart["carrier_grade"]["dids"] = []
    store.save("other", read_reception(apart))
    store.save("acme", read_reception(theirs))  # its own addresses are no one else's


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {}),
        ({}, {"auth_type": "ip_auth", "match": ["203.0.113.7"]}),
        ({"host": "203.0.113.7"}, {"auth_type": "ip_auth", "match": ["203.0.113.7"]}),
        ({"match": ["203.0.113.7"]}, {"auth_type": "ip_auth", "match": ["203.0.113.7"]}),
        ({"match": ["203.0.113.0/24"]}, {"auth_type": "ip_auth", "match": ["203.0.113.0/24"]}),
        ({"auth_type": "ip_auth", "match": ["203.0.113.7"]}, {"host": "203.0.113.7"}),
    ],
)
def test_two_trunks_of_one_carrier_share_its_address(
    tmp_path: Path, one: Json, other: Json
) -> None:
    store = open_store(tmp_path)
    store.save("default", read_reception(a_trunk(**one)))
    store.save("acme", read_reception(a_trunk(**other, dids=[{"number": "+34910000003"}])))
    plan = read_file(store.files / "penny_extensions.conf")
    for line in ("trunk-1", "trunk-2"):  # whichever Asterisk takes the call for
        steps = [value for _, value in plan[f"penny-{line}"]]
        for number, credited in (("+34910000001", "trunk-1"), ("+34910000003", "trunk-2")):
            at = steps.index(f"{number},1,Set(PENNY_DID={number})")
            assert steps[at + 1] == f"n,Set(PENNY_LINE={credited})"


def test_what_does_not_come_onto_the_disk_changes_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.save("default", read_reception(an_fxo()))
    before = everything(tmp_path)
    with pytest.raises(LinesUnavailable, match="there is no group"):
        open_store(tmp_path, group="no-such-group").save("default", read_reception(a_trunk()))
    blocked = tmp_path / "asterisk" / f".penny_websocket_client.conf.{os.getpid()}"
    blocked.mkdir()
    with pytest.raises(LinesUnavailable, match="not saved"):
        store.save("default", read_reception(a_trunk()))
    blocked.rmdir()
    assert everything(tmp_path) == before


def test_the_last_file_stays_beside_the_new_one(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.save("default", read_reception(an_fxo()))
    first = (store.files / "penny_pjsip.conf").read_text()
    store.save("default", read_reception(an_fxo(codec="ulaw")))
    assert (store.files / "penny_pjsip.conf.previous").read_text() == first


def test_a_file_that_was_changed_by_hand_is_overwritten_only_on_demand(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.save("default", read_reception(an_fxo()))
    plan = store.files / "penny_extensions.conf"
    plan.write_text(plan.read_text() + "exten => 200,1,Dial(PJSIP/200)\n")
    before = everything(tmp_path)
    with pytest.raises(ChangedByHand) as refused:
        store.save("default", read_reception(an_fxo(fxo_ports=9)))
    assert "-exten => 200,1,Dial(PJSIP/200)" in refused.value.diff
    assert everything(tmp_path) == before
    store.save("default", read_reception(an_fxo(fxo_ports=9)), overwrite=True)
    assert "PJSIP/200" not in plan.read_text()
    store.save("default", read_reception(an_fxo(fxo_ports=8)))


def test_one_of_several_tenants_neither_sees_nor_undoes_what_was_changed(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.save("default", read_reception(an_fxo()))
    store.save("acme", read_reception(a_trunk()))
    plan = store.files / "penny_extensions.conf"
    plan.write_text(plan.read_text() + "exten => 200,1,Dial(PJSIP/200)\n")
    before = everything(tmp_path)
    for overwrite in (False, True):
        with pytest.raises(ChangedByHand) as refused:
            store.save("acme", read_reception(a_trunk(dids=[])), overwrite=overwrite)
        assert (refused.value.code, refused.value.diff) == ("changed_by_operator", "")
    assert everything(tmp_path) == before
    with pytest.raises(ChangedByHand) as shown:
        store.save("acme", read_reception(a_trunk(dids=[])), is_house=True)
    assert "-exten => 200,1,Dial(PJSIP/200)" in shown.value.diff
    store.save("acme", read_reception(a_trunk(dids=[])), overwrite=True, is_house=True)
    assert "PJSIP/200" not in plan.read_text()


def test_what_was_changed_into_no_text_is_told_kept_and_put_back(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.save("default", read_reception(an_fxo()))
    plan = store.files / "penny_extensions.conf"
    by_hand = plan.read_bytes() + b"; caf\xe9\n"
    plan.write_bytes(by_hand)
    with pytest.raises(ChangedByHand) as refused:
        store.save("default", read_reception(an_fxo()))
    assert "-; caf\ufffd" in refused.value.diff

    def refuse() -> None:
        assert plan.read_bytes() == b"new"
        raise LinesUnavailable("not loaded")

    with pytest.raises(LinesUnavailable, match="not loaded"):
        install({plan: File(b"new")}, "", refuse)
    assert plan.read_bytes() == by_hand
    store.save("default", read_reception(an_fxo()), overwrite=True)
    assert plan.with_name("penny_extensions.conf.previous").read_bytes() == by_hand


def test_a_refused_call_is_noted_while_a_save_waits_for_asterisk(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.save("default", read_reception(an_fxo()))
    with ThreadPoolExecutor(1) as pool, (tmp_path / ".lock").open("a") as saving:
        fcntl.flock(saving, fcntl.LOCK_EX)  # as a save does until Asterisk has loaded
        noted = pool.submit(store.note_refused, "default", "+525500000001", 1)
        try:
            noted.result(timeout=30)
        finally:
            fcntl.flock(saving, fcntl.LOCK_UN)
    assert [each["number"] for each in store.refused("default")] == ["+525500000001"]


def test_a_file_that_is_not_pennys_is_told_and_left(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    (tmp_path / "lines.json").write_text('{"version": 2}')
    with pytest.raises(LinesUnavailable, match="mend it or take it away"):
        store.read()
    with pytest.raises(LinesUnavailable):
        store.save("default", read_reception(an_fxo()))
    assert (tmp_path / "lines.json").read_text() == '{"version": 2}'


def test_a_folder_that_asterisk_cannot_name_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "a;b"
    with pytest.raises(ProtocolError) as refused:
        open_store(folder).save("default", read_reception(an_fxo()))
    assert refused.value.field == "telephony.folder"


HOSTILE = st.text(
    st.sampled_from(list("a1;[](){}!+=>#\\\"'$,:|&^~-_. \n\r\t\x00\x7f\u2028é\ud800")), max_size=12
) | st.sampled_from(
    [
        "x\n[evil]\ntype=endpoint",
        "x;--\n--;",
        "](evil)",
        "x\r[evil]",
        "(+)",
        "${SHELL(id)}",
        "\\;",
        "\\",
        ">x",
        "#include /etc/passwd",
        "fxo-1",
        "x\u2028[evil]",
    ]
)
TEXTS_FXO = ("ip", "user", "password", "codec")
TEXTS_TRUNK = ("host", "user", "password", "outbound_caller_id", "auth_type", "transport")


@given(
    st.dictionaries(st.sampled_from(TEXTS_FXO), HOSTILE, max_size=2),
    st.dictionaries(st.sampled_from(TEXTS_TRUNK), HOSTILE, max_size=2),
    st.lists(st.tuples(HOSTILE, HOSTILE), max_size=1),
    st.lists(HOSTILE, max_size=1),
)
@settings(max_examples=60)
def test_no_value_makes_a_section_or_an_option(
    fxo: Json, trunk: Json, dids: list[tuple[str, str]], match: list[str]
) -> None:
    extra: Json = {"dids": [{"number": n, "label": label} for n, label in dids]} if dids else {}
    for told in (
        an_fxo(**fxo, **extra),
        a_trunk(**trunk, **extra, **({"match": match} if match else {})),
    ):
        with tempfile.TemporaryDirectory() as folder:
            store = open_store(Path(folder))
            try:
                lines = store.save("default", read_reception(told))
            except ProtocolError:
                assert not (Path(folder) / "lines.json").exists()
                continue
            [line] = lines.receiving()
            pjsip = read_file(store.files / "penny_pjsip.conf")
            own = {f"{line.id}{end}" for end in ("", "-auth", "-identify", "-aor", "-registration")}
            assert set(pjsip) <= own | {line.user}
            names = {name for options in pjsip.values() for name, _ in options}
            assert len(names & {"type", "username", "password"}) <= 3
            if line.password_ref:
                part = told[told["method"]]["password"]
                assert dict(pjsip[f"{line.id}-auth"])["password"] == part
            assert [name for name, _ in pjsip[line.id]].count("type") == 1
            plan = read_file(store.files / "penny_extensions.conf")
            assert set(plan) == {
                f"penny-{line.id}",
                "penny-busy",
                "penny-talk",
                "penny-away",
                "penny-to",
                "penny-whisper",
            }
            assert {name for options in plan.values() for name, _ in options} == {"exten", "same"}
            assert json.loads((Path(folder) / "lines.json").read_text())["version"] == 1
