"""What is fuzzed: each target takes bytes and may raise nothing but its documented errors.

Anything else, a hang included, is a failure. ``run`` mutates the seeds, ``guided`` lets coverage
choose, ``tests/fuzz/test_targets.py`` replays every seed and a short random run in each CI.
"""

from __future__ import annotations

import json
import tempfile
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from config.loader import load
from config.trust import LimitsSection, TenantSection
from kb.base import KnowledgeBase
from kb.settings import KbSettings
from penny.audio.format import PCM24K
from penny.edges.player import Frame, Player
from penny.edges.socket.sent_log import SentLog
from penny.edges.socket.translate import Translator
from penny.errors import ConfigErrors, ProtocolError
from penny.protocol.codec import check_audio, dump, parse_client_message
from penny.protocol.conversation import Playback
from penny.protocol.session import SessionStart, StreamFormat
from penny.realtime import commands
from penny.realtime.core import RealtimeCore
from penny.realtime.settings import CoreSettings
from penny.trust.addresses import check_address, is_public
from penny.trust.origins import is_allowed
from penny.trust.tenants import Policy


Json = dict[str, Any]
Target = Callable[[bytes], None]

NOW_S = 1_800_000_000.0
PCM = StreamFormat(encoding="pcm16", rate_hz=24000)


def protocol(data: bytes) -> None:
    """One message of ``/ws``; what is accepted can be written again."""
    with suppress(ProtocolError):
        message = parse_client_message(data)
        again = parse_client_message(message.model_dump_json(exclude_unset=True))
        assert type(again) is type(message)
        if isinstance(message, SessionStart):
            message.audio.agree()
    with suppress(ProtocolError):
        check_audio(len(data), PCM)


def realtime_session(data: bytes) -> None:
    """A whole Realtime session: a message on each line, audio where a line is not JSON."""
    counter = iter(range(10**9))
    core = RealtimeCore(CoreSettings(), lambda prefix: f"{prefix}_{next(counter)}")
    outputs = list(core.open(NOW_S))
    for number, line in enumerate(data.split(b"\n")[:64]):
        outputs += core.receive(line)
        if line[:1] not in (b"{", b"["):
            audio = b64encode(line[: len(line) // 2 * 2]).decode()
            outputs += core.receive({"type": "input_audio_buffer.append", "audio": audio})
        outputs += core.tick(NOW_S + number)
    for output in outputs:
        if isinstance(output, commands.Send):
            json.dumps(output.event, allow_nan=False)


def tenant_policy(data: bytes) -> None:
    """A Realtime event before a strict tenant."""
    with suppress(ProtocolError, ValueError, RecursionError):
        event = json.loads(data)
        if isinstance(event, dict) and isinstance(event.get("type"), str):
            _strict().check_event(event)


def addresses(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    with suppress(ProtocolError):
        check_address(text, "url")
    with suppress(ProtocolError):
        check_address(f"https://{text}", "url")
    is_public(text)
    is_allowed(text, "penny.example", ("https://app.example",))


def config(data: bytes) -> None:
    """``penny.yaml``: a Config or every error at once."""
    path = _folder() / "penny.yaml"
    path.write_bytes(data)
    with suppress(ConfigErrors):
        load(path, {})


def kb_query(data: bytes) -> None:
    """A caller's words as a search."""
    text = data.decode("utf-8", "replace")[:2000]
    for language in ("es", "en"):
        _knowledge().search("kb://empresa/documentos", text, language=language)


def caller_session(data: bytes) -> None:
    """What a caller of ``/ws`` sees and does, in any order: heard <= sent, counts never shrink."""
    player = Player(PCM24K, lead_ms=120, limit_ms=2_000)
    view, sent = Translator(player), SentLog(20_000)
    now_s = 0.0
    for number, byte in enumerate(data[:400]):
        now_s += (byte >> 5) * 0.013
        item, response = f"item_{number // 16}", f"resp_{number // 16}"
        effects = _step(byte & 31, item, response, view, player, now_s)
        for event in effects.to_caller:
            sent.add_text(dump(event))
        for realtime in effects.to_speaker:
            orjson.dumps(realtime)  # it can be sent
        for due in player.due(now_s):
            if isinstance(due, Frame):
                sent.add_audio(due)
            else:
                sent.add_text(dump(view.played(due)))
        if byte & 31 == 31:
            missed = sent.since(max(0, sent.count - byte))
            player.start_again(now_s)
            player.resend(item, 20.0 * len(missed or ()), now_s)
        for cut in player.interrupt(now_s) if byte == 255 else ():
            assert 0 <= cut.heard_ms <= player.sent_total_ms + 1
    assert sent.count >= sent.dropped_frames


def _step(
    kind: int, item: str, response: str, view: Translator, player: Player, now_s: float
) -> Any:
    names = {"item_id": item, "response_id": response, "content_index": 0}
    match kind % 8:
        case 0:
            event: Json = {"type": "response.created", "response": {"id": response}}
        case 1:
            audio = b64encode(bytes(960 * (1 + kind))).decode()
            event = {"type": "response.output_audio.delta", "delta": audio, **names}
        case 2:
            event = {"type": "response.output_audio_transcript.delta", "delta": "voz ", **names}
        case 3:
            event = {"type": "response.output_audio.done", **names}
        case 4:
            done = {"id": response, "status": "completed", "output": [{"id": item}]}
            event = {"type": "response.done", "response": done}
        case 5:
            started = {"item_id": f"user_{item}", "audio_start_ms": 0}
            event = {"type": "input_audio_buffer.speech_started", **started}
        case 6:
            report = Playback(item_id=item, played_ms=kind * 37, ended=kind > 16)
            player.report(report.item_id, report.played_ms, now_s, ended=report.ended)
            return view.interrupt(now_s) if kind > 24 else view.speaker_event({"type": "x"}, now_s)
        case _:
            event = {"type": "error", "error": {"message": item}}
    return view.speaker_event(event, now_s)


@cache
def _strict() -> Policy:
    section = TenantSection(voices=("alloy",), own_instructions=False)
    return Policy("acme", section, LimitsSection())


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="penny-fuzz-"))


@cache
def _knowledge() -> KnowledgeBase:
    documents = _folder() / "documents" / "empresa" / "documentos"
    documents.mkdir(parents=True)
    text = "# Facturas\n\nSu factura vence el 15 de enero.\n\n# Oficinas\n\nCalle Mayor 3.\n"
    (documents / "facturas.md").write_text(text, encoding="utf-8")
    return KnowledgeBase.open(
        KbSettings(documents=_folder() / "documents", index=_folder() / "index")
    )


TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        protocol,
        realtime_session,
        tenant_policy,
        addresses,
        config,
        kb_query,
        caller_session,
    )
}
