"""How long a CRM holds a call that begins: one that is well, slow, absent, or answers nonsense.

    python -m tests.bench.crm [--calls 100]

Twenty's double is in this process; a call waits for ``crm.wait_ms`` (250) at most.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import Any

from aiohttp import web

from config.schema import Config
from penny.crm.desk import CrmDesks
from penny.session.mode import SessionSpec
from tests.doubles.twenty_server import KEY, TwentyServer


async def _hang(_request: web.Request) -> web.Response:
    await asyncio.sleep(3600)
    return web.Response()


async def _drip(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b" ")
        await asyncio.sleep(0.05)


HOW: dict[str, Any] = {
    "well": None,
    "never answers": _hang,
    "drips": _drip,
    "answers 500": lambda _request: web.Response(status=500),
    "answers a page": lambda _request: web.Response(text="<html>"),
    "absent": None,
}


class _Mode:
    name = "EXTERNAL"


async def _measure(how: str, calls: int) -> str:
    async with TwentyServer(fails=HOW[how]) as twenty:
        twenty.add("Ana", "612345678")
        url = "http://127.0.0.1:9" if how == "absent" else twenty.url
        section = {"kind": "twenty", "url": url, "requests_per_minute": 6000}
        config, now = Config.model_validate({"crm": section}), asyncio.get_running_loop().time

        async def get(_call_id: str) -> None:
            return None

        desks = CrmDesks(config, {"TWENTY_CRM_API_KEY": KEY}, get, now, time.time)
        took_ms, known = [], 0
        for number in range(calls):
            caller = {"caller": "+34612345678" if number % 2 else f"+3460000{number:04}"}
            spec = SessionSpec(f"sess_{number}", "es", context=caller)
            began_s = now()
            known += "crm" in (await desks.know(_Mode(), spec)).context  # type: ignore[arg-type]
            took_ms.append((now() - began_s) * 1000)
        await desks.aclose()
    took_ms.sort()
    return f"{how:<15} {took_ms[len(took_ms) // 2]:7.1f} {took_ms[-1]:7.1f}   {known} known"


async def _run(calls: int) -> None:
    sys.stdout.write("the CRM          median   worst (ms a call)\n")
    for how in HOW:
        sys.stdout.write(await _measure(how, calls) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100)
    asyncio.run(_run(parser.parse_args().calls))
