"""`make conformance`: unmodified clients from PyPI and npm talk with Penny, in both modes.

Starts Penny as a user would: private, then EXTERNAL with a second Penny for the vendor (`penny
demo`); with TLS for the client that takes nothing else; with an MCP server that it may reach.
PENNY_URL names one that runs instead, without MCP. Each client works in its own process and
environment. Prints a table client x case for each mode, and writes it into README.md beside this
file; exit code 1 when any cell failed.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trustme
import yaml

from tests.conformance import cases
from tests.doubles.http import serving
from tests.doubles.mcp_server import McpServer, tool
from tests.doubles.speech import silence, speak


ROOT = Path(__file__).parent.parent.parent
TABLE = Path(__file__).parent / "README.md"
TABLE_BEGINS = "<!-- written by `make conformance` -->\n"
PEERS = (str(ROOT / ".venv-peers/bin/python"), "-W", "ignore", "-m")
NODE = Path(__file__).parent / "node"
START_LIMIT_S = 120.0
CLIENT_LIMIT_S = 300.0
AT_ONCE = 4
"""Clients that run side by side: each takes a worker's time as a caller does."""
WAVER, WAVER_HZ = 0.03, 3.0
"""How much and how often a caller's pitch changes."""
LISTENS = re.compile(r"Penny listens on (https?://\S+)")
MODES = {
    "SELF_HOSTED": ("serve",),
    "EXTERNAL": ("demo",),
}
CONFIGS = {"SELF_HOSTED": "penny.yaml", "EXTERNAL": "modes/external/offline.yaml"}

Results = dict[tuple[str, str], str]


@dataclass(frozen=True)
class Client:
    """One client: how it is started, and whether it takes wss:// alone."""

    name: str
    command: Sequence[str]
    tls: bool = False


def _python(name: str, module: str) -> Client:
    return Client(name, (*PEERS, f"tests.conformance.client_{module}"))


def _node(name: str, file: str, *, tls: bool = False) -> Client:
    return Client(name, ("node", str(NODE / f"client_{file}.mjs")), tls)


def _of_own_environment() -> Sequence[Client]:
    """semantic-kernel, where SEMANTIC_KERNEL names a Python that has it: a package that it needs
    has no wheel, and the environments made here hold wheels alone."""
    python = os.environ.get("SEMANTIC_KERNEL")
    if not python:
        return ()
    command = (python, "-W", "ignore", "-m", "tests.conformance.client_semantic")
    return (
        Client("semantic-kernel", (*command, "websocket")),
        Client("semantic-kernel, WebRTC", (*command, "webrtc")),
    )


CLIENTS = (
    _python("openai", "openai"),
    _python("openai-agents", "agents"),
    _python("livekit", "livekit"),
    _python("pipecat", "pipecat"),
    _python("pydantic-ai", "pydantic"),
    _python("ag2", "ag2"),
    _node("openai-node", "openai", tls=True),
    _node("agents-js", "agents"),
    Client("agents-js, WebRTC", (sys.executable, "-m", "tests.conformance.client_browser")),
    _node("ai-sdk", "ai_sdk"),
    _node("livekit-js", "livekit"),
    *_of_own_environment(),
)


def write_tls(folder: Path) -> tuple[dict[str, str], Path]:
    """``gateway.tls`` of a certificate made here, and the file that clients trust it by."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    cert, key, trusted = (folder / name for name in ("cert.pem", "key.pem", "ca.pem"))
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(trusted))
    return {"cert": str(cert), "key": str(key)}, trusted


def write_config(name: str, folder: Path, mcp_url: str, tls: dict[str, str] | None = None) -> Path:
    """That penny.yaml with an MCP server and ``gateway.tls``, its folders where they were."""
    source = ROOT / name
    sections = yaml.safe_load(source.read_text())
    sections.setdefault("privacy", {})["mcp_servers"] = [mcp_url]
    sections.setdefault("gateway", {})["tls"] = tls
    kept = {"folder": str(folder / "calls"), "url": f"sqlite:///{folder / 'calls.sqlite'}"}
    sections["calls"] = {**sections.get("calls", {}), **kept}
    for section, name in (("kb", "documents"), ("kb", "index"), ("keys", "file")):
        given = sections.get(section, {}).get(name)
        if given:
            sections[section][name] = str((source.parent / given).resolve())
    written = folder / f"{'tls-' if tls else ''}{source.name}"
    written.write_text(yaml.safe_dump(sections, allow_unicode=True))
    return written


@asynccontextmanager
async def running_penny(logs: Path, mode: str, *options: str) -> AsyncIterator[str]:
    """The address of PENNY_URL, or of a Penny started for this run."""
    given = os.environ.get("PENNY_URL")
    if given:
        yield given.rstrip("/")
        return
    command = (sys.executable, "-m", "penny", *MODES[mode], "--port", "0", *options)
    with (logs / f"penny-{mode}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=log, cwd=ROOT)
    try:
        async with asyncio.timeout(START_LIMIT_S):
            address = await _read_address(process)
        yield address
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _read_address(process: Process) -> str:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        found = LISTENS.search(line.decode())
        if found:
            return found[1]
    raise RuntimeError("Penny ended before she listened; penny-*.log says why")


def write_speech(folder: Path) -> None:
    """In another voice than Penny's, which would be taken out of what she hears as an echo; and
    quiet for long enough after it to decide what it was, as a microphone goes on."""
    for name, text in (("question", cases.QUESTION), ("interruption", cases.INTERRUPTION)):
        spoken = silence(300) + waver(speak(text, voice="cedar")) + silence(1500)
        (folder / f"{name}.pcm").write_bytes(spoken)


def waver(pcm: bytes) -> bytes:
    """A synthesiser's voice with a pitch as unsteady as a person's: two of them that hold theirs
    are echoes of each other."""
    samples = np.frombuffer(pcm, "<i2")
    at = np.arange(samples.size)
    depth = WAVER * cases.RATE_HZ / (2 * np.pi * WAVER_HZ)
    when = at + depth * np.sin(2 * np.pi * WAVER_HZ * at / cases.RATE_HZ)
    return np.interp(when, at, samples).astype("<i2").tobytes()


async def run_client(
    client: Client, url: str, folder: Path, trusted: Path, mcp_url: str
) -> Results:
    """What each case of one client came to; '' is passed."""
    results: Results = {}
    with (folder / f"{client.name}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *client.command,
            url,
            str(folder),
            mcp_url,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=log,
            cwd=ROOT,
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(trusted)},
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(CLIENT_LIMIT_S):
                while line := await process.stdout.readline():
                    with suppress(ValueError):  # a client's own chatter
                        result = json.loads(line)
                        results[client.name, result["case"]] = result["problem"]
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            results[client.name, "process"] = f"ran longer than {CLIENT_LIMIT_S:g} s"
    if process.returncode or not results:
        results[client.name, "process"] = f"ended with {process.returncode}; see {log.name}"
    return results


async def run_mode(mode: str, folder: Path) -> Results:
    tls, trusted = write_tls(folder)
    server = McpServer([tool(cases.MCP_TOOL, cases.MCP_DESCRIPTION)])
    results: Results = {}
    async with serving({"POST /mcp": server.handle, "DELETE /mcp": server.handle}) as address:
        url = f"{address}/mcp"
        options = ["--speaker-config", str(write_config(CONFIGS["SELF_HOSTED"], folder, url))]
        for secure in (None, tls):
            config = write_config(CONFIGS[mode], folder, url, secure)
            more = ["--config", str(config), *(options if mode == "EXTERNAL" else ())]
            chosen = [client for client in CLIENTS if client.tls == bool(secure)]
            async with running_penny(folder, mode, *more) as penny:
                reached = "" if "PENNY_URL" in os.environ else url
                results.update(await run_clients(chosen, penny, folder, trusted, reached))
    return results


async def run_clients(clients: Sequence[Client], *about: Any) -> Results:
    """What they came to, some side by side."""
    places = asyncio.Semaphore(AT_ONCE)

    async def work(client: Client) -> Results:
        async with places:
            return await run_client(client, *about)

    results: Results = {}
    for part in await asyncio.gather(*map(work, clients)):
        results.update(part)
    return results


def make_table(mode: str, results: Results) -> str:
    """In Markdown; a dash where a client has no such case."""
    lines = [f"| {mode} | {' | '.join(cases.CASES)} |", "|---" * (len(cases.CASES) + 1) + "|"]
    for client in CLIENTS:
        found = [results.get((client.name, case)) for case in cases.CASES]
        cells = ["-" if each is None else "FAIL" if each else "ok" for each in found]
        lines.append(f"| {client.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


async def main() -> int:
    began_s = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="penny-conformance-"))
    write_speech(folder)
    tables, failed = [], False
    for mode in [sys.argv[1]] if len(sys.argv) > 1 else MODES:
        results = await run_mode(mode, folder)
        tables.append(make_table(mode, results))
        print(tables[-1])
        for (client, case), problem in results.items():
            if problem:
                print(f"{client}, {case}: {problem}")
        failed |= any(results.values()) or {c for c, _ in results} != {c.name for c in CLIENTS}
    if len(tables) == len(MODES) and "PENNY_URL" not in os.environ:
        text = TABLE.read_text()
        TABLE.write_text(text[: text.index(TABLE_BEGINS)] + TABLE_BEGINS + "\n".join(tables))
    print(f"{time.monotonic() - began_s:.0f} s; logs in {folder}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
