"""Runs the dialplan that Penny renders as Asterisk would: variables, functions, applications.

A call is placed with ``Dialplan.call``; its media goes through ``asterisk_peers``. What this
interpreter does not know is an error, so a rendered file that needs more of Asterisk fails here.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import aiohttp

from tests.doubles.asterisk_peers import AudioSocketPeer, WebSocketPeer
from tests.penny.telephony.asterisk_reader import read_file


Peer = AudioSocketPeer | WebSocketPeer
Step = tuple[str, str]
"""Application and its argument."""


class Channel:
    """One call: what it has done, and its media while it is with Penny."""

    def __init__(self, caller: str) -> None:
        self.caller = caller
        self.variables: dict[str, str] = {}
        self.done: list[str] = []
        """Applications that a caller notices: Answer, Playback(x), Dial(x), Hangup(cause)."""
        self.persons: list[Channel] = []
        """Who answered what was dialled; ``is_gone`` once they hang up."""
        self.limit_s = 0
        """Of the call, as Asterisk's own clock keeps it; 0: none."""
        self.joined_under_s: int | None = None
        """That limit when caller and person were joined; None: they were not."""
        self.group = ""
        self.mute_legs = 0
        """So many connections to Penny bring no sound of the caller's."""
        self.peers: list[Peer] = []
        self.connected = asyncio.Event()
        self.is_gone = False

    @property
    def peer(self) -> Peer:
        return self.peers[-1]


class Dialplan:
    """An ``extensions.conf`` and a way to Penny.

    Args:
        network: where the addresses of the files really are, such as "127.0.0.1:8080".
        answers: whether a dialled target answers.
    """

    def __init__(
        self,
        folder: Path,
        http: aiohttp.ClientSession,
        network: Mapping[str, str],
        answers: Callable[[str], bool] = lambda _target: True,
    ) -> None:
        self._http = http
        self._network = network
        self._answers = answers
        self._groups: Counter[str] = Counter()
        self._client = dict(read_file(folder / "penny_websocket_client.conf")["penny"])
        self._contexts: dict[str, dict[str, list[tuple[str, Step]]]] = {}
        for name, options in read_file(folder / "penny_extensions.conf").items():
            extensions: dict[str, list[tuple[str, Step]]] = {}
            number = ""
            for key, value in options:
                if key == "exten":
                    number, _, value = value.partition(",")
                priority, _, step = value.partition(",")
                assert priority.startswith("1" if key == "exten" else "n"), value
                label = priority.partition("(")[2].rstrip(")")
                app, _, argument = step.partition("(")
                assert argument.endswith(")"), step
                extensions.setdefault(number, []).append((label, (app, argument[:-1])))
            self._contexts[name] = extensions

    async def call(self, context: str, number: str, channel: Channel) -> None:
        """The whole call, until it is hung up."""
        try:
            context = await self._walk(context, number, channel)
            if "h" in self._contexts[context]:
                await self._walk(context, "h", channel)
        finally:
            self._groups[channel.group] -= 1

    async def _walk(self, context: str, number: str, channel: Channel) -> str:
        """From an extension on until it is over; the context where it was."""
        extension = self._find(context, number)
        channel.variables["EXTEN"] = number
        at = 0
        for _ in range(100):
            if at == len(self._contexts[context][extension]):
                return context
            _, (app, argument) = self._contexts[context][extension][at]
            where = await self._run(channel, app, argument)
            if where is None:
                return context
            if where == "":
                at += 1
            elif "," in where:
                context, extension, priority = where.split(",")
                assert priority == "1"
                assert extension in self._contexts[context], where
                at = 0
            else:
                steps = self._contexts[context][extension]
                at = next(i for i, (label, _) in enumerate(steps) if label == where)
        raise AssertionError("the dialplan goes round and round")

    def _find(self, context: str, number: str) -> str:
        extensions = self._contexts[context]
        if number in extensions:
            return number
        patterns = {"_X.": r"\d.+", "_+X.": r"\+\d.+"}
        return next(e for e in extensions if e in patterns and re.fullmatch(patterns[e], number))

    async def _run(self, channel: Channel, app: str, argument: str) -> str | None:
        """'' to go on, where to go, or None: the call is over."""
        match app:
            case "Set":
                name, _, value = argument.partition("=")
                await self._set(channel, name, await self._fill(channel, value))
                return ""
            case "Goto":
                return argument
            case "GotoIf":
                condition, _, place = (await self._fill(channel, argument)).rpartition("?")
                return place if _holds(condition) else ""
            case "Answer":
                channel.done.append("Answer")
                return ""
            case "TryExec":  # it goes on whatever becomes of what it runs
                inner, _, arguments = argument.partition("(")
                ended = await self._run(channel, inner, arguments.removesuffix(")"))
                channel.variables["TRYSTATUS"] = "FAILED" if ended is None else "SUCCESS"
                return None if channel.is_gone else ""
            case "AudioSocket":
                call_id, address = (await self._fill(channel, argument)).split(",")
                host, _, port = self._network[address].rpartition(":")
                return await self._audiosocket(channel, call_id, host, int(port))
            case "Dial" if argument.startswith("WebSocket/penny/"):
                filled = await self._fill(channel, argument)
                found = re.fullmatch(
                    r"WebSocket/penny/c\(slin\)f\(json\)v\(id=([0-9a-f-]+)\),,g", filled
                )
                assert found, filled
                return await self._websocket(channel, found[1])
            case "Dial":
                return await self._dial(channel, await self._fill(channel, argument))
            case "Return":
                return None
            case "NoOp":
                return ""
            case "Playback":
                channel.done.append(f"Playback({argument})")
                return ""
            case "Hangup":
                channel.done.append(f"Hangup({argument})")
                return None
        raise AssertionError(f"{app}({argument})")

    async def _dial(self, channel: Channel, argument: str) -> str | None:
        """As it was measured on Asterisk 23: who hangs up in the routine (``U``) has answered all
        the same, and ``g`` lets the caller go on."""
        target, _, options = argument.split(",")
        found = re.fullmatch(r"r(gU\(([a-z-]+)\^([0-9a-f-]+)\))?", options)
        assert found, options
        channel.done.append(f"Dial({target})")
        answered = self._answers(target)
        channel.variables["DIALSTATUS"] = "ANSWER" if answered else "NOANSWER"
        if not answered:
            return ""
        if found[1] is None:
            return None
        person = Channel("")
        channel.persons.append(person)
        person.variables["ARG1"] = found[3]
        await self._walk(found[2], "s", person)
        if not person.is_gone:
            channel.joined_under_s = channel.limit_s
        return "" if not channel.is_gone else None

    async def _audiosocket(
        self, channel: Channel, call_id: str, host: str, port: int
    ) -> str | None:
        try:
            peer = await AudioSocketPeer.call(
                uuid.UUID(call_id), host, port, is_mute=self._is_mute(channel)
            )
        except OSError:
            return None  # an application that fails ends the call
        return await self._talk(channel, peer)

    async def _websocket(self, channel: Channel, call_id: str) -> str | None:
        url = self._route(self._client["uri"].replace("ws", "http", 1))
        try:
            peer = await WebSocketPeer.call(
                uuid.UUID(call_id), self._http, url, is_mute=self._is_mute(channel)
            )
        except (OSError, aiohttp.ClientError):
            return ""
        return await self._talk(channel, peer)

    def _is_mute(self, channel: Channel) -> bool:
        channel.mute_legs -= 1
        return channel.mute_legs >= 0

    async def _talk(self, channel: Channel, peer: Peer) -> str | None:
        channel.peers.append(peer)
        channel.connected.set()
        await asyncio.shield(peer.ended)
        return "" if peer.end == "continue" and not channel.is_gone else None

    async def _set(self, channel: Channel, name: str, value: str) -> None:
        if name == "GROUP(penny)":
            channel.group = value
            self._groups[value] += 1
        elif name == "TIMEOUT(absolute)":
            channel.limit_s = int(value)
        elif name not in ("CURLOPT(conntimeout)", "CURLOPT(httptimeout)"):
            assert re.fullmatch(r"[A-Z_]+", name), name
            channel.variables[name] = value

    async def _fill(self, channel: Channel, text: str) -> str:
        """Innermost first, as Asterisk does."""
        while (start := text.rfind("${")) >= 0:
            depth_end = text.index("}", start)
            value = await self._value(channel, text[start + 2 : depth_end])
            text = text[:start] + value + text[depth_end + 1 :]
        return text

    async def _value(self, channel: Channel, name: str) -> str:
        function, has, argument = name.partition("(")
        if not has:
            name, *cut = name.split(":")
            value = channel.variables.get(name, "")
            start = int(cut[0]) if cut else 0
            return value[start : start + int(cut[1])] if len(cut) > 1 else value[start:]
        argument = argument.removesuffix(")")
        match function:
            case "UUID":
                return str(uuid.uuid4())
            case "CALLERID":
                return channel.caller
            case "FILTER":
                allowed, _, given = argument.partition(",")
                assert allowed == "0-9+"
                return "".join(char for char in given if char in "0123456789+")
            case "URIENCODE":
                return quote(argument, safe="")
            case "FILE":
                path, offset, length = argument.split(",")
                return Path(path).read_text(encoding="utf-8")[int(offset) :][: int(length)]
            case "GROUP_COUNT":
                return str(self._groups[argument.removesuffix("@penny")])
            case "CURL":
                url, _, body = argument.partition(",")
                return await self._curl(url, body)
        raise AssertionError(name)

    def _route(self, url: str) -> str:
        found = urlsplit(url)
        return found._replace(netloc=self._network[found.netloc]).geturl()

    async def _curl(self, url: str, body: str) -> str:
        try:
            async with self._http.post(self._route(url), data=dict(parse_qsl(body))) as answer:
                return (await answer.text()).rstrip()
        except (OSError, aiohttp.ClientError):
            return ""


def _holds(condition: str) -> bool:
    inner = condition.removeprefix("$[").removesuffix("]").strip()
    if found := re.fullmatch(r'"(.*)" (!?=) "(.*)"', inner):
        return (found[1] == found[3]) == (found[2] == "=")
    if found := re.fullmatch(r"(\d+) > (\d+)", inner):
        return int(found[1]) > int(found[2])
    raise AssertionError(condition)
