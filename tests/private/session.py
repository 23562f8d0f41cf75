"""A whole private session inside a network namespace that has nothing but loopback.

Run by ``test_private_session.py`` under ``unshare``. Prints one JSON object: what the session
gave, and what the kernel, the gateway and the worker counted of attempts to leave.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

from runpod_worker.engines.espeak import EspeakTts
from runpod_worker.stages import Voice
from tests.doubles.caller import calling
from tests.doubles.process import running_process, write_config


QUESTION = "¿Qué plazo tengo para pagar?"
SILENCE = bytes(48_000)


def packets_without_a_route() -> int:
    """Sends that the kernel refused because they led out of this namespace, of any process."""
    count = 0
    lines = Path("/proc/net/snmp").read_text().splitlines()
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        if names.startswith("Ip:"):
            count += int(dict(zip(names.split(), values.split(), strict=True))["OutNoRoutes"])
    for line in Path("/proc/net/snmp6").read_text().splitlines():
        if line.startswith("Ip6OutNoRoutes"):
            count += int(line.split()[1])
    return count


def attempt_to_leave() -> None:
    """What an escape would look like: shows that the kernel's count is not always zero."""
    with socket.socket() as outward, suppress(OSError):
        outward.connect(("192.0.2.1", 443))


async def speak(text: str) -> bytes:
    tts = EspeakTts(pool_size=1)
    try:
        parts = [part async for part in tts.synthesize(text, Voice(name="", language="es"))]
    finally:
        await tts.aclose()
    return b"".join(parts)


async def converse(url: str) -> dict[str, object]:
    question = await speak(QUESTION)
    async with calling(url) as caller:
        await caller.send("session_start", mode="SELF_HOSTED")
        await caller.until("session_started")
        await caller.speak(SILENCE + question + 2 * SILENCE)
        heard = await caller.until("transcript_final", role="user")
        spoken = await caller.until("transcript_final", role="penny")
        await caller.send("text_input", text="¿Cuándo vence mi factura?")
        typed = await caller.until("transcript_final", role="penny")
        await caller.send("session_end")
        ended = await caller.until("session_ended")
    return {
        "heard": heard["text"],
        "answers": [spoken["text"], typed["text"]],
        "audio_bytes": len(caller.audio),
        "reason": ended["reason"],
    }


def refused_by_the_gateway(url: str) -> float:
    page = urllib.request.urlopen(f"{url}/metrics").read().decode()
    found = re.search(r"^penny_private_egress_refused_total (\S+)$", page, re.MULTILINE)
    assert found is not None
    return float(found.group(1))


def main(folder: Path) -> None:
    interfaces = [name for _, name in socket.if_nameindex()]
    log = folder / "penny.log"
    before = packets_without_a_route()
    with running_process(write_config(folder), log) as (url, _):
        said = asyncio.run(converse(url))
        refused = refused_by_the_gateway(url)
    left = packets_without_a_route() - before
    attempt_to_leave()
    control = packets_without_a_route() - before - left
    refusals = log.read_text().count("egress_refused")
    print(
        json.dumps(
            {
                **said,
                "interfaces": interfaces,
                "attempts": left,
                "attempts_of_the_control": control,
                "refused_by_the_gateway": refused,
                "refusals_logged": refusals,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
