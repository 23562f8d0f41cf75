"""A receiver of webhooks over real HTTP that checks signatures and fails in the way it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook

from tests.doubles.http import HttpDouble


Json = dict[str, Any]
Failing = Callable[[web.Request], Any]
"""Answers a request instead of 204, or gives None to let it through."""


class WebhookReceiver(HttpDouble):
    """Counts what came; ``ids`` has every delivery that was answered with 2xx, in order.

    Args:
        secret: deliveries that are not signed with it, now, are answered with 500; None reads all.
        fails: asked before each delivery; its answer, where it is not None, is sent instead.
    """

    cancels = True

    def __init__(self, secret: str | None, fails: Failing | None = None) -> None:
        self._webhook = Webhook(secret) if secret is not None else None
        self.fails = fails
        self.any_time = False
        self.ids: list[str] = []
        self.bodies: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self.tried: list[str] = []
        self.at_once = self.most_at_once = 0
        self.url = ""

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._judge(request)
        finally:
            self.at_once -= 1

    async def _judge(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.tried.append(request.headers["webhook-id"])
        if self._webhook is not None:
            self._check(request, body)
        if self.fails is not None:
            answer = self.fails(request)
            if asyncio.iscoroutine(answer):
                answer = await answer
            if answer is not None:
                return answer  # type: ignore[no-any-return]
        self.ids.append(request.headers["webhook-id"])
        self.bodies.append(json.loads(body))
        self.headers.append(dict(request.headers))
        return web.Response(status=204)

    def _check(self, request: web.Request, body: bytes) -> None:
        """As its library does; of any time, where the sender's clock is a test's own."""
        assert self._webhook is not None
        if not self.any_time:
            self._webhook.verify(body, dict(request.headers))
            return
        moment = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)
        signed = self._webhook.sign(request.headers["webhook-id"], moment, body.decode())
        assert signed in request.headers["webhook-signature"].split()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        return app

    async def start(self) -> None:
        await super().start()
        self.url = f"{self.address}/hook"
