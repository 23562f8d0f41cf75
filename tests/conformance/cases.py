"""What every client has to get through, and how it says that it did.

Imported in the clients' own environment: the standard library only.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any


CASES = (
    "voice turn",
    "interruption",
    "function call",
    "text turn",
    "system item",
    "out of band",
    "transcription",
    "MCP",
    "keys",
)
CASE_LIMIT_S = 40.0
RATE_HZ = 24_000
FRAME_BYTES = RATE_HZ * 2 // 50

QUESTION = "¿Cuál es el horario de atención?"
INTERRUPTION = "Espera un momento, por favor"
TOOL_REQUEST = "Quiero consultar la factura F-2024-1234"
TOOL_NAME = "consultar_factura"
TOOL_DESCRIPTION = "Consulta el estado de una factura"
TOOL_OUTPUT = "La factura está pendiente de pago."
MCP_SERVER = {"type": "mcp", "server_label": "almacen"}
MCP_REQUEST = "Quiero consultar el pedido P-2024-1234"
MCP_TOOL = "consultar_pedido"
"""Which the sample company of ``penny demo`` does not have: its own actions answer first."""
MCP_DESCRIPTION = "Consulta el estado de un pedido"
MCP_OUTPUT = "pendiente de pago"
KEYS = "159#"

Json = dict[str, Any]
Case = Callable[["Penny"], Awaitable[None]]


class Penny:
    """Where she listens, speech to say to her (PCM16 at 24 000 Hz), and an MCP server that she may
    reach (its address; '' where the run has none)."""

    def __init__(self, url: str, speech: Path, mcp_url: str) -> None:
        self.http_url = url
        self.ws_url = url.replace("http", "ws", 1)
        self.folder = speech
        self.mcp_url = mcp_url
        self.question = (speech / "question.pcm").read_bytes()
        self.interruption = (speech / "interruption.pcm").read_bytes()


def check_words(transcript: str) -> None:
    """Fail unless half of the question's words were heard: the embedded ears are no Whisper."""
    asked = set(_words(QUESTION))
    heard = asked & set(_words(transcript))
    assert len(heard) * 2 >= len(asked), f"heard: {transcript}"


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


async def stream(pcm: bytes, send: Callable[[bytes], Awaitable[None]], speed: float = 4.0) -> None:
    """Send ``pcm`` in 20 ms frames, ``speed`` times as fast as it was spoken."""
    for at in range(0, len(pcm), FRAME_BYTES):
        await send(pcm[at : at + FRAME_BYTES])
        await asyncio.sleep(0.02 / speed)


async def run_all(client: str, penny: Penny, cases: dict[str, Case]) -> None:
    """Run each case on its own and print one line of JSON for it."""
    for name, case in cases.items():
        assert name in CASES, name
        if name == "MCP" and not penny.mcp_url:
            continue
        problem = ""
        try:
            async with asyncio.timeout(CASE_LIMIT_S):
                await case(penny)
        except Exception as error:  # whatever a client raises is that case's result
            traceback.print_exc(file=sys.stderr)
            problem = f"{type(error).__name__}: {error}".splitlines()[0]
        print(json.dumps({"client": client, "case": name, "problem": problem}), flush=True)


def main(client: str, cases: dict[str, Case]) -> None:
    url, folder, mcp_url = sys.argv[1:]
    asyncio.run(run_all(client, Penny(url, Path(folder), mcp_url), cases))
