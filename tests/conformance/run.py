"""`make conformance`: four unmodified clients from PyPI talk with a running Penny.

Starts Penny as a user would, unless PENNY_URL names one that runs. Each client works in its own
process and in its own environment, all four at once. Prints a table client x case; exit code 1
when any cell failed.
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
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.conformance import cases
from tests.doubles.speech import silence, speak


ROOT = Path(__file__).parent.parent.parent
CLIENTS_PYTHON = ROOT / ".venv-peers/bin/python"
CLIENTS = {
    "openai": "tests.conformance.client_openai",
    "openai-agents": "tests.conformance.client_agents",
    "livekit": "tests.conformance.client_livekit",
    "pipecat": "tests.conformance.client_pipecat",
}
START_LIMIT_S = 60.0
CLIENT_LIMIT_S = 150.0
LISTENS = re.compile(r"Penny listens on (http://\S+)")

Results = dict[tuple[str, str], str]


@asynccontextmanager
async def running_penny(logs: Path) -> AsyncIterator[str]:
    """The address of PENNY_URL, or of a Penny started for this run."""
    given = os.environ.get("PENNY_URL")
    if given:
        yield given.rstrip("/")
        return
    with (logs / "penny.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "penny", "serve", "--port", "0", stdout=PIPE, stderr=log, cwd=ROOT
        )
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
    raise RuntimeError("Penny ended before she listened; penny.log says why")


def write_speech(folder: Path) -> None:
    question = silence(300) + speak(cases.QUESTION) + silence(1200)
    (folder / "question.pcm").write_bytes(question)
    interruption = silence(200) + speak(cases.INTERRUPTION) + silence(900)
    (folder / "interruption.pcm").write_bytes(interruption)


async def run_client(name: str, module: str, url: str, speech: Path, logs: Path) -> Results:
    """What each case of one client came to; '' is passed."""
    results: Results = {}
    with (logs / f"{name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(CLIENTS_PYTHON),
            "-W",
            "ignore",
            "-m",
            module,
            url,
            str(speech),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=log,
            cwd=ROOT,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(CLIENT_LIMIT_S):
                while line := await process.stdout.readline():
                    with suppress(ValueError):  # a client's own chatter
                        result = json.loads(line)
                        results[name, result["case"]] = result["problem"]
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            results[name, "process"] = f"ran longer than {CLIENT_LIMIT_S:g} s"
    if process.returncode or not results:
        results[name, "process"] = f"ended with {process.returncode}; see {logs / name}.log"
    return results


def print_table(results: Results) -> None:
    width = max(map(len, CLIENTS)) + 2
    print(" " * width + "  ".join(cases.CASES))
    for client in CLIENTS:
        cells = []
        for case in cases.CASES:
            problem = results.get((client, case))
            cell = "-" if problem is None else "FAIL" if problem else "ok"
            cells.append(cell.ljust(len(case)))
        print(client.ljust(width) + "  ".join(cells))
    for (client, case), problem in results.items():
        if problem:
            print(f"{client}, {case}: {problem}")


async def main() -> int:
    began_s = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="penny-conformance-"))
    write_speech(folder)
    results: Results = {}
    async with running_penny(folder) as url:
        work = (run_client(*client, url, folder, folder) for client in CLIENTS.items())
        for part in await asyncio.gather(*work):
            results.update(part)
    print_table(results)
    print(f"{time.monotonic() - began_s:.0f} s; logs in {folder}")
    return 1 if any(results.values()) or {c for c, _ in results} != set(CLIENTS) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
