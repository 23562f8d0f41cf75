"""The newcomer's way: `python -m penny talk` against a real Penny with real embedded engines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from penny.audio.level import rms_dbfs
from penny.audio.wav import read_audio, write_wav
from tests.doubles.process import ROOT
from tests.doubles.speech import speak


pytestmark = [pytest.mark.engines, pytest.mark.process]

Json = dict[str, Any]


def talk(url: str, *arguments: str) -> tuple[int, list[Json]]:
    """Run the command; its exit status and its JSON lines."""
    socket = url.replace("http", "ws", 1) + "/ws"
    done = subprocess.run(
        [sys.executable, "-m", "penny", "talk", "--url", socket, "--json", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def record(path: Path, text: str, language: str) -> str:
    write_wav(path, speak(text, language), 24_000)
    return str(path)


def test_a_spanish_question_of_the_documents_is_heard_and_answered_aloud(
    penny_url: str, tmp_path: Path
) -> None:
    question = record(tmp_path / "q.wav", "¿Qué plazo tengo para pagar?", "es")
    reply = tmp_path / "reply.wav"
    status, lines = talk(penny_url, question, "--out", str(reply))
    assert status == 0
    summary = lines[-1]
    assert summary["type"] == "summary"
    (turn,) = summary["turns"]
    assert "plazo" in turn["user"]
    assert turn["penny"]
    assert turn["latency_ms"]["first_audio"] > 0
    pcm, rate_hz = read_audio(reply)
    assert len(pcm) / 2 / rate_hz > 1.0
    assert rms_dbfs(pcm) > -40


def test_english_is_answered_in_english(penny_url: str) -> None:
    status, lines = talk(penny_url, "--text", "what are your opening hours")
    assert status == 0
    (turn,) = lines[-1]["turns"]
    assert {"the", "from", "to"} & set(turn["penny"].lower().split())


def test_a_question_over_the_answer_cuts_it_and_is_answered(penny_url: str, tmp_path: Path) -> None:
    first = record(tmp_path / "1.wav", "¿Qué plazo tengo para pagar?", "es")
    second = record(tmp_path / "2.wav", "Quiero hablar con una persona", "es")
    status, lines = talk(penny_url, first, second, "--over", "900")
    assert status == 0
    one, two = lines[-1]["turns"]
    assert one["interrupted"] is True
    assert one["penny"].startswith(one["heard"])  # of a slow machine's filler, when it cut that
    assert two["penny"]


def test_what_is_typed_is_answered_aloud(penny_url: str) -> None:
    status, lines = talk(penny_url, "--text", "¿Cuándo vence la factura F-2024-1234?")
    assert status == 0
    (turn,) = lines[-1]["turns"]
    assert "quince de enero" in turn["penny"] or "15 de enero" in turn["penny"]


def test_no_penny_at_the_address_is_said_with_the_way_to_start_her() -> None:
    status, lines = talk("http://127.0.0.1:9", "--text", "hola")
    assert status == 1
    assert lines == [] or lines[-1]["type"] in ("summary", "error")
