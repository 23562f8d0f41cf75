"""A call in which a word is asked about: over a real socket, with a recogniser that has doubts."""

from __future__ import annotations

import pytest

from runpod_worker.asking_back import AskingSettings
from runpod_worker.settings import WorkerSettings
from runpod_worker.stages import SttOptions, TimedWord, Transcript
from tests.doubles.engines import NO_FILLER, FixedLlm, FixedStt, FixedUtterance
from tests.doubles.speech import silence, speak
from tests.runpod_worker.test_connection import TRANSCRIBE, connected, make_engines


pytestmark = pytest.mark.engines


class DoubtfulUtterance(FixedUtterance):
    async def finish(self) -> Transcript:
        heard = await super().finish()
        words = tuple(
            TimedWord(word, 0, 0, 0.3 if word == "setenta" else 0.95) for word in heard.text.split()
        )
        return Transcript(heard.text, heard.language, heard.understood, words=words)


class DoubtfulStt(FixedStt):
    """Is never sure of "setenta"."""

    def begin(self, options: SttOptions) -> FixedUtterance:
        self.options.append(options)
        return DoubtfulUtterance(self)


async def test_a_doubtful_amount_is_asked_about_and_what_was_meant_is_answered() -> None:
    stt = DoubtfulStt("me cobran setenta euros", "no sesenta")
    llm = FixedLlm("Miro los sesenta euros.")
    settings = WorkerSettings(asking=AskingSettings(enabled=True), spoken=NO_FILLER)
    speech = speak("Me cobran setenta euros.") + silence(1500)
    async with connected(make_engines(stt, llm), settings) as client:
        await client.until("session.created")
        await client.send("session.update", session=TRANSCRIBE)
        await client.stream(silence(300) + speech)
        asked = await client.until("penny.clarification")
        first = await client.until("response.done")
        await client.stream(silence(300) + speech)
        clarified = await client.until("penny.clarified")
        second = await client.until("response.done")
    assert stt.options[-1].words
    said = [each["response"]["output"][0]["content"][0]["transcript"] for each in (first, second)]
    assert said == ["Setenta euros, ¿verdad?", "Miro los sesenta euros."]
    assert (asked["slot"], asked["way"]) == ("amount", "implicit")
    assert clarified["outcome"] == "replaced"
    assert len(llm.requests) == 1
    last = llm.requests[0].items[-1]["content"][0]
    assert last == {"type": "input_text", "text": "me cobran sesenta euros"}


async def test_nothing_is_asked_where_it_is_off() -> None:
    stt = DoubtfulStt("me cobran setenta euros")
    settings = WorkerSettings(asking=AskingSettings(enabled=False), spoken=NO_FILLER)
    async with connected(make_engines(stt), settings) as client:
        await client.until("session.created")
        await client.send("session.update", session=TRANSCRIBE)
        await client.stream(silence(300) + speak("Me cobran setenta euros.") + silence(1500))
        done = await client.until("response.done")
    assert "setenta" not in done["response"]["output"][0]["content"][0]["transcript"].lower()
    assert not stt.options[-1].words
