"""Look-ups of names that hang hold no thread of the gateway's, and two of a name at most."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from penny.webhooks import names
from penny.webhooks.sender import Sender
from tests.doubles.webhook_receiver import WebhookReceiver


pytestmark = pytest.mark.socket

GENEROUS_S = 30.0


async def test_a_name_that_hangs_delays_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go, asked = threading.Event(), []
    ask = socket.getaddrinfo

    def slow(host: str, *given: Any, **more: Any) -> Any:
        if host == "slow.example":
            asked.append(host)
            let_go.wait(GENEROUS_S)
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return ask(host, *given, **more)

    monkeypatch.setattr(names.socket, "getaddrinfo", slow)
    async with WebhookReceiver(None) as receiver:
        url = receiver.url.replace("127.0.0.1", "localhost")
        sender = Sender([url], lambda: 0.0, timeout_s=0.3)
        sent = {"webhook-id": "msg_1"}
        hanging = [sender.post("https://slow.example/", b"{}", sent) for _ in range(40)]
        answers = await asyncio.gather(*hanging)
        assert {answer.error for answer in answers} == {"timeout"}
        assert len(asked) == names.OF_A_NAME
        async with asyncio.timeout(GENEROUS_S):
            assert await asyncio.to_thread(lambda: True)  # the gateway's own threads are free
            while not (await sender.post(url, b"{}", sent)).is_success:
                pass
        let_go.set()
        await sender.aclose()
