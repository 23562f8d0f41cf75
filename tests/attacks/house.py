"""The houses that are attacked: real processes, started once and shared by many attacks.

They run under a loop of their own in a thread, so that each attack may have its own.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from penny.trust.keys import KeyFile
from tests.doubles.anthropic_server import AnthropicDouble, folio
from tests.doubles.processes import PennyProcess, gateway_process, worker_process
from tests.doubles.realtime_server import RealtimeDouble


Json = dict[str, Any]

ACME_FACT = "La contraseña de Acme es murciélago azul."
BOLT_FACT = "La contraseña de Bolt es elefante verde."
TURN_USD = 0.4
"""What an answer of the vendor's double costs in these houses: 40 tokens of audio."""
VENDOR_KEYS = {"OPENAI_API_KEY": "sk-test", "ANTHROPIC_API_KEY": "sk-ant-test"}
REFUND: Json = {
    "description": "Devuelve un importe.",
    "callable": "tests.attacks.house:refund",
    "parameters": {
        "type": "object",
        "properties": {
            "amount": {"type": "number", "maximum": 100},
            "why": {"enum": ["damage", "delay"]},
        },
        "required": ["amount"],
        "additionalProperties": False,
    },
}


def refund(arguments: Json, _session: Json) -> Json:
    """An action of Acme's alone."""
    return {"refunded": arguments["amount"]}


@dataclass
class House:
    """The processes of one house, as an attack sees them."""

    folder: Path
    gateway: PennyProcess
    worker: PennyProcess | None
    keys: KeyFile
    vendor: RealtimeDouble | None = None
    sections: Json = field(default_factory=dict)
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held from a call's start until its vendor's side is known: they come in no other order."""
    _made: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.gateway.url

    def key(self, tenant: str = "acme", role: str = "caller") -> str:
        if (tenant, role) not in self._made:
            self._made[tenant, role] = self.keys.create(tenant, role, role=role)[0]
        return self._made[tenant, role]

    def headers(self, tenant: str = "acme", role: str = "caller") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key(tenant, role)}"}

    def http(self, tenant: str = "acme", role: str = "caller") -> aiohttp.ClientSession:
        return aiohttp.ClientSession(self.url, headers=self.headers(tenant, role))

    async def mint(self, tenant: str = "acme", **body: Any) -> str:
        """A client secret of that tenant's."""
        async with (
            self.http(tenant) as http,
            http.post("/v1/realtime/client_secrets", json=body) as answer,
        ):
            assert answer.status == 200, await answer.text()
            return str((await answer.json())["value"])


def tenants(**limits: Json) -> Json:
    """Acme has its own prompt, documents and action; Bolt has documents."""
    return {
        "acme": {
            "kb_collections": ["kb://acme/docs"],
            "actions": ["refund"],
            "own_instructions": False,
            "instructions": "Eres de Acme.",
            **limits.get("acme", {}),
        },
        "bolt": {
            "kb_collections": ["kb://bolt/docs"],
            "calls": {"recording": "on"},
            **limits.get("bolt", {}),
        },
    }


def documents(folder: Path) -> Json:
    for name, fact in (("acme", ACME_FACT), ("bolt", BOLT_FACT)):
        at = folder / "documents" / name / "docs"
        at.mkdir(parents=True, exist_ok=True)
        (at / "secreto.md").write_text(f"# Contraseña\n\n{fact}\n", encoding="utf-8")
    return {
        "documents": str(folder / "documents"),
        "index": str(folder / "index"),
        "default_ref": "kb://bolt/docs",
    }


@asynccontextmanager
async def guarded(folder: Path, **sections: Json) -> AsyncIterator[House]:
    """Private mode before a worker of fixed engines; keys are asked for, tenants stand apart."""
    file = folder / "keys.sqlite"
    keys = KeyFile(file, time.time)
    keys.create("default", "the first")
    given = {
        "keys": {"file": str(file), "required": "always"},
        "tenants": tenants(),
        "actions": {"table": {"refund": REFUND}},
        "kb": documents(folder),
        **sections,
    }
    async with (
        worker_process(folder) as worker,
        gateway_process(folder, worker.port, **given) as gateway,
    ):
        await gateway.logged("kb_indexed")
        yield House(folder, gateway, worker, keys, sections=given)


@asynccontextmanager
async def external(folder: Path, **sections: Json) -> AsyncIterator[House]:
    """EXTERNAL before a vendor's double in this process; each answer costs ``TURN_USD``."""
    file = folder / "keys.sqlite"
    keys = KeyFile(file, time.time)
    keys.create("default", "the first")
    price = {"audio_out": TURN_USD * 1_000_000 / 40, "text_in": 0, "text_cached": 0}
    async with RealtimeDouble() as vendor, AnthropicDouble() as claude:
        vendor.may_break = True
        for kind in ("turn", "review"):
            claude.on(kind, None, answer=folio("Consulta"), times=None)
        given = {
            "penny": {
                "default_mode": "EXTERNAL",
                "modes": {
                    "SELF_HOSTED": {"enabled": False},
                    "EXTERNAL": {
                        "portavoz_base_url": vendor.base_url,
                        "cerebro_base_url": claude.base_url,
                        "portavoz_model": "gpt-realtime-2.1",
                    },
                },
            },
            "models": {"prices": {"gpt-realtime-2.1": price | {"text_out": 0, "audio_in": 0}}},
            "keys": {"file": str(file), "required": "always"},
            "tenants": tenants(),
            "actions": {"table": {"refund": REFUND}},
            "kb": documents(folder),
            **sections,
        }
        async with gateway_process(folder, 1, environment=VENDOR_KEYS, **given) as gateway:
            await gateway.logged("kb_indexed")
            yield House(folder, gateway, None, keys, vendor, given)
        vendor.connections.clear()  # what an attack left open is no fault of the double's
        vendor._taken = 0


HOUSES: dict[str, Callable[[Path], AbstractAsyncContextManager[House]]] = {
    "guarded": guarded,
    "external": external,
}


class Street(AbstractContextManager["Street"]):
    """The houses that stand, each started when first asked for. ``own``: an attack starts one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._standing: dict[str, tuple[AbstractAsyncContextManager[House], House]] = {}

    def house(self, name: str) -> House:
        if name not in self._standing:
            folder = self._folder / name
            folder.mkdir(exist_ok=True)
            opened = HOUSES[name](folder)
            self._standing[name] = opened, self.call(opened.__aenter__())
        return self._standing[name][1]

    def call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def __enter__(self) -> Street:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for opened, _house in self._standing.values():
            self.call(opened.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
