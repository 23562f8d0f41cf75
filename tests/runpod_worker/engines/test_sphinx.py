from __future__ import annotations

import psutil
import pytest

from penny.errors import EngineError
from runpod_worker.engines.sphinx import SphinxPool
from runpod_worker.stages import Voice
from tests.runpod_worker.engines.speech import speak


pytestmark = pytest.mark.engines
PHRASE = "quiero cambiar de tarifa"


def children() -> list[psutil.Process]:
    running = psutil.Process().children()
    return [child for child in running if "sphinx_child" in " ".join(child.cmdline())]


async def test_a_child_that_dies_fails_its_utterance_and_is_replaced() -> None:
    pool = SphinxPool([PHRASE], size=1)
    await pool.start()
    (child,) = children()
    first = pool.begin("es")
    first.feed(bytes(3200))

    child.kill()
    with pytest.raises(EngineError, match="ended in the middle"):
        await first.finish()

    second = pool.begin("es")
    second.feed(await speak(PHRASE, Voice(name="coral")))
    assert (await second.finish()).spanish.text == PHRASE
    await pool.aclose()
    assert children() == []


async def test_an_utterance_beyond_the_pool_waits_for_a_free_child() -> None:
    pool = SphinxPool([PHRASE, "hola"], size=1)
    await pool.start()
    pcm = await speak(PHRASE, Voice(name="coral"))
    first, second = pool.begin("es"), pool.begin("es")
    second.feed(pcm)
    first.feed(await speak("hola", Voice(name="coral")))

    heard_first = await first.finish()
    heard_second = await second.finish()

    assert heard_first.spanish.text == "hola"
    assert heard_second.spanish.text == PHRASE
    await pool.aclose()


async def test_an_answer_that_was_given_up_never_reaches_the_next_utterance() -> None:
    pool = SphinxPool([PHRASE, "hola"], size=1)
    await pool.start()
    given_up = pool.begin("es")
    given_up.feed(await speak("hola", Voice(name="coral")))
    given_up.pause()
    given_up.cancel()

    following = pool.begin("es")
    following.feed(await speak(PHRASE, Voice(name="coral")))

    assert (await following.finish()).spanish.text == PHRASE
    assert following.early is None
    await pool.aclose()


async def test_closing_the_pool_fails_what_waits() -> None:
    pool = SphinxPool([PHRASE], size=1)
    waiting = pool.begin("es")

    await pool.aclose()

    with pytest.raises(EngineError, match="closed"):
        await waiting.finish()
