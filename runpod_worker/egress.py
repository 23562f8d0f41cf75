"""Nothing leaves a worker but to the hosts its settings name: enforced for the whole process.

Python reports every ``connect``, ``sendto`` and name look-up to audit hooks, and a hook that
raises stops it: no library can forget to ask. uvloop speaks to the kernel past Python, so its
loop is guarded on its own. What compiled code and child processes do no hook sees: the kernel's
own guard binds them (``system_guard.py``), set by ``lock_down``.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import uvloop
from pydantic import BaseModel

from penny.aio.allow_list import AllowList, split_address
from penny.tracing.settings import TracingSettings
from runpod_worker.settings import WorkerSettings
from runpod_worker.system_guard import SystemGuard, ports_of, probe, restrict


QUIET = {
    "DO_NOT_TRACK": "1",
    "DISABLE_TELEMETRY": "1",
    "ANONYMIZED_TELEMETRY": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
}
"""Libraries that would phone home, or look for newer weights, read these when imported."""

_guarded: AllowList | None = None


def silence_libraries() -> None:
    """Before any engine is imported: no telemetry, no look for newer weights."""
    os.environ.update(QUIET)


def hosts_of(settings: WorkerSettings, environment: Mapping[str, str] = os.environ) -> AllowList:
    """Every address that the settings name, and RunPod's own where RunPod runs this worker."""
    allowed = AllowList(settings.allowed_hosts)
    # A collector of spans is no engine: to be reached it stands in allowed_hosts itself.
    for url in _urls(settings.model_copy(update={"tracing": TracingSettings()})):
        allowed.add(url)
    for name, value in environment.items():
        if name.startswith("RUNPOD_WEBHOOK_") and "://" in value:
            allowed.add(value)
    return allowed


def _urls(section: BaseModel) -> Iterator[str]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _urls(value)
        elif isinstance(value, str) and "://" in value and not value.startswith("kb://"):
            yield value


def find_used_addresses(settings: WorkerSettings) -> list[tuple[str, int | None]]:
    """Host and port of everything that these settings will really call: the engines chosen, the
    embedding server, a collector of spans, and ``allowed_hosts``. A port of None is any port."""
    engines, choice = settings.engines, settings.choice
    urls = list(settings.allowed_hosts)
    urls += [engines.triton.url] if choice.stt == "triton" else []
    urls += [engines.openai_stt.base_url] if choice.stt == "openai-compatible" else []
    urls += [engines.openai_compatible.base_url] if choice.llm == "openai-compatible" else []
    urls += [engines.openai_tts.base_url] if choice.tts == "openai-compatible" else []
    library = settings.library
    urls += [library.embedding_server.url] if library.embedding == "openai-compatible" else []
    urls += [settings.tracing.endpoint] if settings.tracing.enabled else []
    return [split_address(url) for url in urls]


def lock_down(settings: WorkerSettings) -> SystemGuard:
    """Have the kernel refuse this process and its children every connection but those of
    :func:`find_used_addresses`. Cannot be taken back; a listening socket must be open already."""
    return _locked(settings, restrict)


def probe_lock_down(settings: WorkerSettings) -> SystemGuard:
    """What :func:`lock_down` would do here, without doing it to this process."""
    return _locked(settings, probe)


def _locked(
    settings: WorkerSettings, act: Callable[[Collection[int], bool], SystemGuard]
) -> SystemGuard:
    addresses = find_used_addresses(settings)
    if any(port is None for _, port in addresses):
        return SystemGuard(missing="privacy.allowed_hosts names a host without a port; write one")
    return act(*ports_of([(host, port) for host, port in addresses if port is not None]))


def guard_process(allowed: AllowList) -> None:
    """From now on this process reaches only ``allowed``. Cannot be taken back; call it once.

    Raises RuntimeError on a second call: two lists would contradict each other.
    """
    global _guarded
    if _guarded is not None:
        raise RuntimeError("this process is guarded already")
    _guarded = allowed
    resolve = socket.getaddrinfo

    def resolve_and_learn(host: Any, *arguments: Any, **options: Any) -> Any:
        found = resolve(host, *arguments, **options)
        if name := _name_of(host):
            allowed.learn(name, [str(entry[4][0]) for entry in found])
        return found

    socket.getaddrinfo = resolve_and_learn
    sys.addaudithook(_audit)


def guarded_hosts() -> AllowList | None:
    """The list in force; None when this process is not guarded."""
    return _guarded


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    allowed = _guarded
    if allowed is None or not event.startswith("socket."):
        return
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        if isinstance(address, tuple) and len(address) >= 2:
            allowed.check(str(address[0]), int(address[1]))
    elif event == "socket.getaddrinfo":
        host, port = arguments[0], arguments[1]
        if name := _name_of(host):
            allowed.check(name, port if isinstance(port, int) and port else None)
    elif event in ("socket.gethostbyname", "socket.gethostbyaddr"):
        allowed.check(_name_of(arguments[0]), None)


def _name_of(host: Any) -> str:
    """The name in a look-up: anyio, for one, gives it as IDNA bytes. Empty where there is none."""
    return host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else host or ""


class GuardedLoop(uvloop.Loop):
    """uvloop whose outgoing connections and look-ups are checked against the list in force."""

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        name = _name_of(host)
        if _guarded is not None and name:
            _guarded.check(name, port if isinstance(port, int) and port else None)
        found = await super().getaddrinfo(host, port, **options)
        if _guarded is not None and name:
            _guarded.learn(name, [str(entry[4][0]) for entry in found])
        return found

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        if _guarded is not None and (name := _name_of(host)):
            _guarded.check(name, int(port))
        return await super().create_connection(protocol_factory, host, port, **options)

    async def create_datagram_endpoint(
        self, protocol_factory: Any, local_addr: Any = None, remote_addr: Any = None, **options: Any
    ) -> Any:
        if _guarded is not None:
            # One without a fixed peer could send anywhere: no worker needs it.
            host, port = remote_addr or ("(any)", 0)
            _guarded.check(str(host), int(port))
        return await super().create_datagram_endpoint(
            protocol_factory, local_addr=local_addr, remote_addr=remote_addr, **options
        )


def new_guarded_loop() -> GuardedLoop:
    return GuardedLoop()
