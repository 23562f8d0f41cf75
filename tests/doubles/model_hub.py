"""A model hub on loopback: one repository, with ranges, that can break off or lie."""

from __future__ import annotations

import hashlib

from aiohttp import web

from tests.doubles.http import HttpDouble


REPO = "penny/tiny"
COMMIT = "c0ffee" + "0" * 34


class ModelHub(HttpDouble):
    """``break_after``: bytes after which the next downloads break off. ``refuse_with``: status."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.commit = COMMIT
        self.break_after: list[int] = []
        self.refuse_with = 0
        self.claimed_sha256: dict[str, str] = {}
        self.ranges = True
        self.asked: list[tuple[str, str]] = []
        """File and Range header of every download."""
        self.url = ""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get(f"/api/models/{REPO}/revision/{{revision}}", self._revision)
        app.router.add_get(f"/api/models/{REPO}/tree/{{commit}}", self._tree)
        app.router.add_get(f"/{REPO}/resolve/{{commit}}/{{file:.+}}", self._resolve)
        return app

    async def start(self) -> None:
        await super().start()
        self.url = self.address

    async def _revision(self, _request: web.Request) -> web.Response:
        if self.refuse_with:
            return web.Response(status=self.refuse_with)
        return web.json_response({"sha": self.commit})

    async def _tree(self, _request: web.Request) -> web.Response:
        listing = []
        for name, content in self.files.items():
            entry: dict[str, object] = {"type": "file", "path": name, "size": len(content)}
            if len(content) > 1000:
                digest = self.claimed_sha256.get(name) or hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"oid": digest, "size": len(content)}
            listing.append(entry)
        return web.json_response(listing)

    async def _resolve(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["file"]
        asked = request.headers.get("Range", "")
        self.asked.append((name, asked))
        content = self.files[name]
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        rest = content[start:]
        response = web.StreamResponse(status=206 if start else 200)
        response.content_length = len(rest)
        await response.prepare(request)
        if self.break_after:
            await response.write(rest[: self.break_after.pop(0)])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(rest)
        return response
