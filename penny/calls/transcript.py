"""A kept call as text: for reading, and as subtitles (WebVTT) beside its sound. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from penny.calls.record import Call, Turn


NAMES = {"caller": "Caller", "penny": "Penny"}


def lines_of(call: Call) -> Iterator[tuple[float, float, str, str]]:
    """(from ms, to ms, side, words) of all that was said and heard, in order."""
    for turn in call.turns:
        if turn.words:
            yield turn.from_ms, max(turn.until_ms, turn.from_ms), "caller", turn.words
        yield from _answers(turn)


def _answers(turn: Turn) -> Iterator[tuple[float, float, str, str]]:
    for item in turn.items:
        text = item.heard_text.strip()
        if text:
            begins = turn.until_ms if item.starts_ms is None else item.starts_ms
            yield begins, begins + item.heard_ms, "penny", text


def as_text(call: Call) -> str:
    """One line for each thing said: time, who, words."""
    lines = [
        f"[{_clock(at)[:-4]}] {NAMES[side]}: {' '.join(text.split())}"
        for at, _, side, text in lines_of(call)
    ]
    return "\n".join(lines) + "\n"


def as_vtt(call: Call) -> str:
    """WebVTT with a voice span for each speaker."""
    cues = [
        f"{_clock(begins)} --> {_clock(max(ends, begins + 1))}\n<v {NAMES[side]}>{_plain(text)}"
        for begins, ends, side, text in lines_of(call)
    ]
    return "\n\n".join(["WEBVTT", *cues]) + "\n"


def _plain(text: str) -> str:
    """Text that is no markup of WebVTT's and ends no cue."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(escaped.split())


def _clock(ms: float) -> str:
    seconds, rest = divmod(round(max(0.0, ms)), 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"
