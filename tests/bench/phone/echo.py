"""E17: Penny's own voice, returned by the line, is no interruption."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from tempfile import TemporaryDirectory

import aiohttp
import numpy as np

from runpod_worker.engines.espeak import EspeakTts
from runpod_worker.engines.registry import Engines
from runpod_worker.engines.silero import SileroVad
from tests.bench.phone.row import Measure, Row
from tests.bench.phone.twilio import LINE, WIRE
from tests.doubles.engines import FixedLlm, FixedStt
from tests.doubles.house import running_penny
from tests.doubles.phone_wire import SILENCE
from tests.doubles.twilio_stream import (
    ACCOUNT,
    AUTH_TOKEN,
    PUBLIC,
    TwilioStream,
    new_sid,
    post_webhook,
    read_connect,
    sign,
    voice_form,
)


ECHO_DB, ECHO_CALLS, ECHO_FRAMES, ECHO_S = -12.0, 10, 6, 31.0
GREETING = (
    "Le atiende el asistente virtual. "
    + "Su factura vence el quince de enero y son mil quinientos euros, que puede pagar en su "
    "banco, en la tienda o por teléfono. Tenga a mano el número de su contrato. " * 3
)[:480]


class EchoStream(TwilioStream):
    """A line that returns what is played, 120 ms later and at ``ECHO_DB``."""

    async def _step(self) -> None:
        self.is_patient = False
        played = getattr(self, "_played", [])
        if len(played) >= ECHO_FRAMES:
            pcm = np.frombuffer(LINE.to_pcm16(played[-ECHO_FRAMES]), "<i2") * 10 ** (ECHO_DB / 20)
            self.voice.append(LINE.from_pcm16(pcm.astype("<i2").tobytes()))
        before = len(self.heard)
        await super()._step()
        played.append(self.heard[-1][1] if len(self.heard) > before else SILENCE)
        self._played = played


async def _hear_greeting(http: aiohttp.ClientSession, url: str) -> tuple[int, float]:
    """One call under its own echo: interruptions, and seconds of speech that were heard."""
    sid = new_sid()
    answer = await post_webhook(http, url, "/twilio/voice", voice_form(sid))
    _, parameters, _ = read_connect(await answer.text())
    address = url + "/twilio/stream"
    public = "wss" + PUBLIC.removeprefix("https") + "/twilio/stream"
    headers = {"x-twilio-signature": sign(public, {})}
    async with http.ws_connect(address, headers=headers, autoclose=False) as socket:
        stream = EchoStream(socket, sid, parameters)
        running = asyncio.ensure_future(stream.run())
        async with asyncio.timeout(120):
            while not stream.loud_ms():
                await asyncio.sleep(0.05)
            await asyncio.sleep(ECHO_S)
        await socket.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return len(stream.clears), stream.loud_ms() / 1000


async def measure_echo() -> Row:
    os.environ.setdefault("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
    engines = Engines(SileroVad(), FixedStt("sí, dígame usted"), FixedLlm("."), EspeakTts())
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        telephony = {
            "folder": folder,
            "numbers": {"+34910000000": {"greeting": GREETING}},
            "twilio": {"enabled": True, "account_sid": ACCOUNT, "public_url": PUBLIC},
        }
        url = await stack.enter_async_context(running_penny(engines, telephony=telephony))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        heard = await asyncio.gather(*(_hear_greeting(http, url) for _ in range(ECHO_CALLS)))
    figures = {
        "interruptions": float(sum(clears for clears, _ in heard)),
        "speech_s": round(sum(seconds for _, seconds in heard), 1),
    }
    ok = figures["interruptions"] == 0 and figures["speech_s"] >= 240
    what = f"interruptions by Penny's own echo at {ECHO_DB:g} dB, {ECHO_CALLS} calls at once"
    return Row("E17", what, WIRE, figures, "none", ok)


ROWS: list[tuple[str, Measure]] = [("E17", measure_echo)]
