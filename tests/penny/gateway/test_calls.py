"""Kept calls through a real gateway: a call talks, ends, and is found, read and heard."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import soundfile
from pydantic import ValidationError

from penny.calls.store import CallStore
from tests.doubles.engines import FixedStt
from tests.doubles.house import make_engines, running_penny
from tests.doubles.operator import OPERATOR
from tests.doubles.realtime_client import RealtimeClient, connected_to
from tests.doubles.speech import silence, speak
from tests.penny.calls.calls import a_call, a_turn


pytestmark = pytest.mark.engines

Json = dict[str, Any]


@asynccontextmanager
async def house(folder: Path, **calls: Any) -> AsyncIterator[str]:
    section = {"folder": str(folder), "url": f"sqlite:///{folder / 'calls.sqlite'}", **calls}
    stt = FixedStt("cuándo vence mi factura")
    async with running_penny(make_engines(stt), calls=section) as url:
        yield url


async def ask(url: str, path: str, method: str = "GET", **options: Any) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession(headers=OPERATOR) as http,
        http.request(method, f"{url}{path}", **options) as answer,
    ):
        is_json = answer.content_type == "application/json"
        return answer.status, await (answer.json() if is_json else answer.read())


NOTICE = {"controller": "Ejemplo S.A.", "contact": "datos@ejemplo.es"}


async def talk(client: RealtimeClient) -> None:
    """One question, and a second of the answer is heard: then the client cuts it."""
    await client.configure(audio={"input": {"transcription": {"model": "penny"}}})
    await client.stream(silence(300) + speak("¿Cuándo vence mi factura?") + silence(1000))
    (item,) = (await client.until("response.done"))["response"]["output"]
    cut = {"item_id": item["id"], "content_index": 0, "audio_end_ms": 1000}
    await client.send("conversation.item.truncate", **cut)
    await client.until("conversation.item.truncated")


async def kept_calls(url: str, count: int = 1) -> list[Json]:
    """The list, once so many are in it."""
    async with asyncio.timeout(60):
        while True:
            _, body = await ask(url, "/v1/calls")
            if len(body["calls"]) >= count:
                return list(body["calls"])
            await asyncio.sleep(0.05)


async def test_a_newcomers_call_is_found_read_and_heard(tmp_path: Path) -> None:
    async with house(tmp_path) as url:
        async with connected_to(url) as client:
            await talk(client)
            _, nothing = await ask(url, "/v1/calls")
            assert nothing["calls"] == []
        (row,) = await kept_calls(url)
        assert (row["edge"], row["mode"], row["status"]) == ("realtime", "SELF_HOSTED", "completed")
        assert row["sound_state"] == "stored"
        path = f"/v1/calls/{row['id']}"
        _, call = await ask(url, path)
        assert call["turns"][0]["words"] == "cuándo vence mi factura"
        (answer,) = call["turns"][0]["items"]
        assert answer["heard_ms"] == 1000
        assert answer["text"].startswith(answer["heard_text"])
        assert 0 < len(answer["heard_text"]) < len(answer["text"])
        assert call["sound"]["channels"] == ["caller", "penny"]
        _, metrics = await ask(url, f"/conversations/{row['id']}/metrics")
        assert metrics == call["metrics"]
        assert (metrics["conversation_id"], metrics["total_turns"]) == (row["id"], 1)
        status, flac = await ask(url, f"{path}/audio")
        assert status == 200
        samples, rate_hz = soundfile.read(io.BytesIO(flac))
        assert rate_hz == 24_000
        assert abs(samples[:, 0]).max() > 0.05
        assert abs(samples[:, 1]).max() > 0.05
        status, part = await ask(url, f"{path}/audio", headers={"Range": "bytes=0-3"})
        assert (status, part) == (206, b"fLaC")
        _, text = await ask(url, f"{path}/transcript?format=text")
        assert "Caller: cuándo vence mi factura" in text.decode()
        _, vtt = await ask(url, f"{path}/transcript?format=vtt")
        assert vtt.decode().startswith("WEBVTT\n\n00:00:00.")
        _, found = await ask(url, "/v1/calls?text=CUANDO%20vence")
        assert [each["id"] for each in found["calls"]] == [row["id"]]
        assert not list((tmp_path / "spool").glob("*/sess_*"))


async def test_a_client_that_asked_for_no_words_leaves_them_by_the_id_it_saw(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as url:
        async with connected_to(url) as client:
            session = (await client.until("session.created"))["session"]
            await client.stream(silence(300) + speak("¿Cuándo vence mi factura?") + silence(1000))
            await client.until("response.done")
            assert not [e for e in client.events if "input_audio_transcription" in e["type"]]
        await kept_calls(url)
        status, call = await ask(url, f"/v1/calls/{session['id']}")
        assert status == 200
        assert call["turns"][0]["words"] == "cuándo vence mi factura"


async def test_words_in_flight_at_hang_up_are_in_the_record(tmp_path: Path) -> None:
    async with house(tmp_path) as url:
        async with connected_to(url) as client:
            await client.stream(silence(300) + speak("¿Cuándo vence mi factura?"))
            await client.until("input_audio_buffer.speech_started")
        (row,) = await kept_calls(url)
        _, call = await ask(url, f"/v1/calls/{row['id']}")
        assert call["turns"][-1]["words"] == "cuándo vence mi factura"


async def test_callers_are_told_before_anything_is_kept(tmp_path: Path) -> None:
    async with house(tmp_path, recording="announce", notice=NOTICE) as url:
        async with connected_to(url) as client:
            told = (await client.until("response.done"))["response"]["output"][0]["content"][0]
            assert told["transcript"].startswith("Ejemplo S.A. graba esta llamada para mejorar")
            await talk(client)
        (row,) = await kept_calls(url)
        _, call = await ask(url, f"/v1/calls/{row['id']}")
        assert call["sound"]["state"] == "stored"
        assert call["consent"]["policy"] == "announce"
        heard = call["consent"]["told"][0]["heard"]  # the client speaks into it
        assert heard.startswith("Ejemplo S.A.")
        assert told["transcript"].startswith(heard)


async def test_a_notice_without_whom_to_ask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="tells callers of it"):
        async with house(tmp_path, recording="ask", notice={"controller": "Ejemplo S.A."}):
            pass


async def test_reading_hearing_and_erasing_are_in_the_audit_log(tmp_path: Path) -> None:
    async with house(tmp_path) as url:
        async with connected_to(url) as client:
            await talk(client)
        (row,) = await kept_calls(url)
        path = f"/v1/calls/{row['id']}"
        await ask(url, path)
        await ask(url, f"{path}/audio")
        status, _ = await ask(url, f"{path}/hold", "POST", json={"held": True})
        assert status == 200
        status, refusal = await ask(url, path, "DELETE")
        assert (status, refusal["error"]["code"]) == (409, "held")
        await ask(url, f"{path}/hold", "POST", json={"held": False})
        status, gone = await ask(url, path, "DELETE")
        assert (status, gone) == (200, {"erased": [row["id"]]})
        assert (await ask(url, path))[0] == 404
        assert not list((tmp_path / "sound").rglob("*.flac"))
    store = CallStore(f"sqlite:///{tmp_path / 'calls.sqlite'}")
    actions = [entry["action"] for entry in await store.audit_of(row["id"])]
    await store.aclose()
    assert actions == ["read", "heard", "held", "erased", "released", "erased"]


async def test_who_has_no_right_reads_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as url, aiohttp.ClientSession() as http:
        for path in ("/v1/calls", "/v1/calls/x", "/v1/calls/x/audio", "/storage/stats"):
            async with http.get(f"{url}{path}") as answer:
                assert answer.status in (401, 403), path


async def test_an_export_is_safe_for_a_spreadsheet(tmp_path: Path) -> None:
    async with house(tmp_path) as url:
        store = CallStore(f"sqlite:///{tmp_path / 'calls.sqlite'}")
        await store.start()
        for number in range(3):
            await store.put(a_call(number, caller='=HYPERLINK("http://x")'))
        await store.aclose()
        _, text = await ask(url, "/v1/calls/export?format=csv")
        rows = list(csv.DictReader(io.StringIO(text.decode())))
        assert len(rows) == 3
        assert {row["caller"] for row in rows} == {'\'=HYPERLINK("http://x")'}
        _, lines = await ask(url, "/v1/calls/export?format=jsonl&limit=2")
        assert lines.count(b"\n") == 3


async def test_calls_go_out_as_a_zip_with_their_sound_and_its_sum(tmp_path: Path) -> None:
    async with house(tmp_path) as url:
        async with connected_to(url) as client:
            await talk(client)
        (row,) = await kept_calls(url)
        status, body = await ask(url, f"/v1/calls/export?format=zip&id={row['id']}")
        assert status == 200
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            (told,) = json.loads(archive.read("manifest.json"))["calls"]
            record = json.loads(archive.read(f"{row['id']}/record.json"))
            assert set(archive.namelist()) == {"manifest.json", *told["sha256"]}
            for name, digest in told["sha256"].items():
                assert hashlib.sha256(archive.read(name)).hexdigest() == digest
        assert told["sha256"][f"{row['id']}/audio.flac"] == record["sound"]["sha256"]
        _, empty = await ask(url, "/v1/calls/export?format=zip&caller=nobody")
        with zipfile.ZipFile(io.BytesIO(empty)) as archive:
            assert json.loads(archive.read("manifest.json")) == {"calls": []}


async def test_a_live_recording_is_paused_and_goes_on(tmp_path: Path) -> None:
    async with house(tmp_path) as url:
        async with connected_to(url) as client:
            await client.until("session.created")
            _, live = await ask(url, "/admin/v1/sessions")
            (session_id,) = [session["session_id"] for session in live["sessions"]]
            path = f"/v1/calls/{session_id}/recording"
            status, body = await ask(url, path, "POST", json={"paused": True})
            assert (status, body["paused"]) == (200, True)
            await talk(client)
            status, _ = await ask(url, path, "POST", json={"paused": False})
            assert status == 200
        (row,) = await kept_calls(url)
        _, call = await ask(url, f"/v1/calls/{row['id']}")
        assert call["sound"]["state"] == "absent"
        status, _ = await ask(url, path, "POST", json={"paused": True})
        assert status == 404


async def test_two_calls_at_once_keep_their_own_state(tmp_path: Path) -> None:
    async with house(tmp_path) as url:
        async with connected_to(url) as one, connected_to(url) as other:
            ids = [
                (await client.until("session.created"))["session"]["id"] for client in (one, other)
            ]
            for body in ({"withdrawn": True}, {"paused": False}):
                status, _ = await ask(url, f"/v1/calls/{ids[0]}/recording", "POST", json=body)
                assert status == 200
            status, _ = await ask(url, f"/v1/calls/{ids[1]}/links", "POST", json={"parent": ids[0]})
            assert status == 200
            await asyncio.gather(talk(one), talk(other))
        rows = {row["id"]: row for row in await kept_calls(url, 2)}
        assert [rows[each]["sound_state"] for each in ids] == ["absent", "stored"]
        assert [rows[each]["parent"] for each in ids] == ["", ids[0]]
        calls = [(await ask(url, f"/v1/calls/{each}"))[1] for each in ids]
        assert [[leg["id"] for leg in call["legs"]] for call in calls] == [[ids[1]], [ids[0]]]
        assert [[bool(turn["words"]) for turn in call["turns"]] for call in calls] == [
            [False],
            [True],
        ]
        stopped = [[each["stopped"] for each in call["recorded"]] for call in calls]
        assert stopped == [["withdrawn"], ["end"]]


@pytest.mark.parametrize("links", [{}, {"parent": "sess_of_nobody"}, {"parnt": "x"}])
async def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path, links: Json) -> None:
    async with house(tmp_path) as url:
        store = CallStore(f"sqlite:///{tmp_path / 'calls.sqlite'}")
        await store.put(a_call())
        await store.aclose()
        path = "/v1/calls/sess_default_0/links"
        status, refusal = await ask(url, path, "POST", json=links)
        assert (status, refusal["error"]["param"]) == (400, next(iter(links), "parent"))
        status, _ = await ask(url, path, "POST", json={"pbx_recording": "1732980000.42"})
        assert status == 200
        _, call = await ask(url, "/v1/calls/sess_default_0")
        assert (call["pbx_recording"], call["legs"]) == ("1732980000.42", [])


async def test_what_is_shown_is_what_is_stored_and_exported(tmp_path: Path) -> None:
    turns = [a_turn(f"pregunta {n}", f"respuesta {n}", number=n, from_ms=n * 5000) for n in (1, 2)]
    turns.append(a_turn("", "Hasta luego.", number=3, from_ms=15_000))
    async with house(tmp_path) as url:
        store = CallStore(f"sqlite:///{tmp_path / 'calls.sqlite'}")
        await store.put(a_call(turns=turns))
        await store.aclose()
        path = "/v1/calls/sess_default_0"
        _, shown = await ask(url, path)
        assert len(shown["turns"]) == 3
        _, told = await ask(url, f"{path}/transcript")
        _, lines = await ask(url, "/v1/calls/export?format=jsonl")
        (exported,) = [json.loads(line) for line in lines.splitlines()]
        assert shown["turns"] == told == exported["turns"]
        said = [t["words"] for t in told if t["words"]] + [t["heard_text"] for t in told]
        for form in ("text", "vtt"):
            _, text = await ask(url, f"{path}/transcript?format={form}")
            assert [words in text.decode() for words in said] == [True] * 5
            count = text.decode().count("Penny" if form == "text" else " --> ")
            assert count == (3 if form == "text" else 5)


async def test_no_sound_is_kept_where_it_is_off(tmp_path: Path) -> None:
    async with house(tmp_path, recording="off") as url:
        async with connected_to(url) as client:
            await talk(client)
        (row,) = await kept_calls(url)
        assert row["sound_state"] == "absent"
        status, refusal = await ask(url, f"/v1/calls/{row['id']}/audio")
        assert (status, refusal["error"]["code"]) == (404, "sound_absent")


async def test_a_wrong_filter_is_named(tmp_path: Path) -> None:
    async with house(tmp_path) as url:
        for query, field in (("limit=0", "limit"), ("sinc=1", "sinc"), ("cursor=x", "cursor")):
            status, refusal = await ask(url, f"/v1/calls?{query}")
            assert (status, refusal["error"]["param"]) == (400, field)


async def test_a_gateway_whose_folder_cannot_be_written_talks_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "calls").write_text("a file where a folder should be")
    folder = tmp_path / "calls"
    async with running_penny(calls={"folder": str(folder)}) as url:
        _, ready = await ask(url, "/readyz")
        assert any("calls are not kept" in fault for fault in ready["degraded"])
        async with connected_to(url) as client:
            await client.until("session.created")


def test_a_call_of_two_turns_is_measured_by_the_documents_names() -> None:
    turns = [a_turn(), a_turn(number=2, is_interrupted=True)]
    assert a_call(turns=turns).metrics == {
        "conversation_id": "sess_default_0",
        "duration_seconds": 30.0,
        "total_turns": 2,
        "avg_stt_latency_ms": 200.0,
        "avg_llm_latency_ms": 100.0,
        "avg_tts_latency_ms": 150.0,
        "total_latency_ms": 450.0,
        "interruptions_count": 1,
        "sentiment_trend": None,
        "final_sentiment": None,
        "outcome": None,
        "topics": None,
        "quality_score": None,
    }
