"""``python -m penny talk``: call Penny as a person would, and tell who said what and when.

Exit status: 0 an answer was heard, 1 none was (with the reason), 2 the command is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from penny.audio.wav import write_wav
from penny.cli.call import Call, CallOptions, hold_call
from penny.cli.microphone import MicrophoneMissing, open_microphone
from penny.cli.utterance import FORMAT, Utterance, measure, read_utterance


Json = dict[str, Any]

DEFAULT_URL = "ws://127.0.0.1:8080/ws"
NO_ANSWER = 1
_NOT_WORTH_TELLING = {"transcript_delta", "pong", "playback"}
_STAGES = {
    "turn_decided": "turn decided",
    "transcript": "transcript",
    "first_token": "first token",
    "first_audio": "first audio",
    "done": "done",
}


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "talk",
        help="call Penny with a recording, typed text or the microphone",
        description="Call Penny as a person would; exit 0 only if an answer was heard.",
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="WAV or FLAC to speak")
    parser.add_argument("--text", action="append", default=[], help="type instead of speaking")
    parser.add_argument("--mic", action="store_true", help="use this machine's microphone")
    parser.add_argument("--mode", help="mode that shall answer (default: penny.yaml's)")
    parser.add_argument("--language", help="language of the call, such as es or en")
    parser.add_argument("--url", default=DEFAULT_URL, help="default: %(default)s")
    parser.add_argument(
        "--over",
        type=_milliseconds,
        metavar="MS",
        help="speak each next FILE over the running answer, MS after its first audio",
    )
    parser.add_argument("--out", type=Path, metavar="WAV", help="write what was heard, in time")
    parser.add_argument(
        "--timeout", type=_seconds, default=30.0, metavar="S", help="longest wait (default: 30)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> int:
    try:
        return asyncio.run(talk(arguments))
    except MicrophoneMissing as error:
        parser: argparse.ArgumentParser = arguments.parser
        parser.error(str(error))


async def talk(arguments: argparse.Namespace) -> int:
    """Hold the call and tell of it. Returns the exit status. Raises MicrophoneMissing."""
    utterances = _prepare(arguments)
    tell = _print_json if arguments.json else _Narrator(Console(highlight=False)).tell
    options = CallOptions(
        url=arguments.url,
        mode=arguments.mode,
        language=arguments.language,
        over_ms=arguments.over,
        answer_timeout_s=arguments.timeout,
    )
    call, failure = await _hold(options, tell, utterances)
    if call is not None and arguments.out is not None:
        write_wav(arguments.out, bytes(call.loudspeaker.timeline), FORMAT.rate_hz)
    summary = summarize(call, failure)
    tell(summary)
    return 0 if summary["ok"] else NO_ANSWER


def _prepare(arguments: argparse.Namespace) -> list[Utterance]:
    """Read what is to be said; exits with 2 when the command line is wrong."""
    parser: argparse.ArgumentParser = arguments.parser
    ways = [bool(arguments.files), bool(arguments.text), arguments.mic]
    if sum(ways) != 1:
        parser.error("say something: FILE, --text or --mic (one kind at a time)")
    if arguments.out is not None and not arguments.out.resolve().parent.is_dir():
        parser.error(f"--out: there is no folder {arguments.out.resolve().parent}")
    try:
        utterances = [read_utterance(path) for path in arguments.files]
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    return utterances + [Utterance(name=f"text {text!r}", text=text) for text in arguments.text]


async def _hold(
    options: CallOptions, tell: Callable[[Json], None], utterances: list[Utterance]
) -> tuple[Call | None, str | None]:
    if utterances:
        return await hold_call(options, tell, lambda call: call.say_all(utterances))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    with open_microphone() as live:
        return await hold_call(options, tell, lambda call: call.talk_live(live, stop))


def summarize(call: Call | None, failure: str | None) -> Json:
    """The last line of ``--json``: what the call came to."""
    loudness = measure(call.loudspeaker.heard() if call else b"")
    if failure is None and not loudness.audible:
        failure = "no answer was heard"
    return {
        "type": "summary",
        "ok": failure is None,
        "reason": failure,
        "session_id": call.started.get("session_id") if call else None,
        "mode": call.started.get("mode") if call else None,
        "turns": [turn.summarize() for turn in call.log.turns] if call else [],
        "answer_delays_ms": call.answer_delays_ms if call else [],
        "audio": {"duration_ms": loudness.duration_ms, "rms_dbfs": loudness.rms_dbfs},
        "errors": call.log.errors if call else [],
        "totals": (call.log.ended or {}).get("totals") if call else None,
    }


def _print_json(event: Json) -> None:
    if event.get("type") not in _NOT_WORTH_TELLING:
        print(json.dumps(event, ensure_ascii=False), flush=True)


class _Narrator:
    """The same for a person: one line for what each side said, one for the time it took."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = ""

    def tell(self, event: Json) -> None:
        line = self._describe(event)
        if line:
            at = f"[dim]{event['at_ms'] / 1000:7.2f} s[/dim]  " if "at_ms" in event else ""
            self._console.print(at + line, soft_wrap=True)

    def _describe(self, event: Json) -> str:
        def text(name: str) -> str:
            return escape(str(event.get(name) or ""))

        match event.get("type"):
            case "session_progress":
                news, self._progress = text("message") != self._progress, text("message")
                return f"[dim]{self._progress}[/dim]" if news and self._progress else ""
            case "session_started":
                notice = (event.get("notice") or {}).get(str(event.get("language"))[:2], "")
                words = f"[bold]{text('mode')}[/bold] answers in {text('language')}"
                return words + (f"\n[yellow]{escape(notice)}[/yellow]" if notice else "")
            case "mode_changed":
                return (
                    f"[bold]{text('mode')}[/bold] answers now: [yellow]{text('privacy')}[/yellow]"
                )
            case "transcript_final" if event.get("role") == "user":
                doubt = (
                    " [yellow](not understood)[/yellow]" if event.get("understood") is False else ""
                )
                return f"[cyan]you[/cyan]    {text('text')}{doubt}"
            case "transcript_final":
                return f"[green]penny[/green]  {text('text')}"
            case "interruption":
                after = f"[yellow]interrupted[/yellow] after {event.get('heard_ms')} ms"
                return f"{after}; heard: {text('heard_text')}"
            case "turn_metrics":
                return _describe_latency(event.get("latency_ms") or {})
            case "warning" | "error":
                return f"[red]{text('type')}[/red] {text('code')}: {text('message')}"
            case "summary":
                return _describe_summary(event)
        return ""


def _describe_latency(latency_ms: Json) -> str:
    stages = [
        f"{words} {latency_ms[stage]}"
        for stage, words in _STAGES.items()
        if latency_ms.get(stage) is not None
    ]
    return f"[dim]ms after speech end: {' · '.join(stages)}[/dim]" if stages else ""


def _describe_summary(summary: Json) -> str:
    audio = summary["audio"]
    if summary["ok"]:
        return (
            f"[green]heard[/green] {audio['duration_ms'] / 1000:.1f} s of answer "
            f"at {audio['rms_dbfs']} dBFS in {len(summary['turns'])} turn(s)"
        )
    return f"[red]no answer[/red] {escape(str(summary['reason']))}"


def _milliseconds(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError("must be more than 0 and at most 3600")
    return value
