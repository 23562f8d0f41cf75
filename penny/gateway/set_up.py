"""``GET /v1/set-up``: the parts of a house, each with its state and what is to be done about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aiohttp import web

from config.schema import Config
from penny.errors import PennyError
from penny.gateway.guard import WHO
from penny.localized import Language, language_of


Json = dict[str, Any]


class SetUpRoutes:
    """The parts that the page ``/set-up`` shows.

    Args:
        describe: as ``Routes.describe_operation``.
        engines: which engines the local worker runs, in a line.
        faults: by part (calls, webhooks), why it does not work as it should; ''.
        phones: as ``TelephonyRoutes.describe``; waits for the disk.
    """

    def __init__(
        self,
        config: Config,
        describe: Callable[[Language], Json],
        engines: Callable[[], str],
        faults: Mapping[str, Callable[[], str]],
        phones: Callable[[str], Json],
    ) -> None:
        self._config = config
        self._describe = describe
        self._engines = engines
        self._faults = faults
        self._phones = phones

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/v1/set-up", self._tell)

    async def _tell(self, request: web.Request) -> web.Response:
        language = language_of(request.query.get("language", "en"))
        phones = await asyncio.to_thread(self._phones_part, request[WHO].tenant)
        return web.json_response({"parts": [*self._parts(language), phones]})

    def _phones_part(self, tenant: str) -> Json:
        try:
            told = self._phones(tenant)
        except PennyError as error:
            return _part("phones", [], [error.message], page="/telephony")
        state, method = told["state"], told["method"]
        facts = [method, state["status"] if method else ""]
        is_wrong = method and state["status"] != "connected"
        faults = [f"{state['code']}: test the connection on the page"] if is_wrong else []
        return _part(
            "phones", facts, [*faults, *told["warnings"]], away=not method, page="/telephony"
        )

    def _parts(self, language: Language) -> Iterator[Json]:
        """``name``, ``state`` (``ready``, ``part``: works in part, ``away``), ``facts`` as they
        are in the configuration, ``faults`` with the remedy, and the ``page`` that changes it."""
        config, told = self._config, self._describe(language)
        for mode in told["modes"]:
            faults = [" · ".join(filter(None, (mode["reason"], mode["remedy"])))]
            facts = [mode["label"], "default" if mode["default"] else ""]
            if mode["name"] == "SELF_HOSTED":
                facts += [f"profile {config.penny.profile}", self._engines()]
            yield _part(f"mode {mode['name']}", facts, faults, away=not mode["available"])
        yield _part("voice", [config.session.language, config.session.greeting], [])
        documents = told["readiness"]["knowledge_base"]
        fault = "" if documents["state"] == "ready" else documents["state"]
        problems = [f"{each['path']}: {each['reason']}" for each in documents["problems"]]
        yield _part("documents", [config.kb.default_ref], [fault, *problems], page="/kb")
        calls = config.calls
        kept = [calls.recording, calls.storage, calls.url.partition("://")[0]]
        faults = [self._faults["calls"]()] if calls.enabled else ["calls.enabled is off"]
        yield _part("calls", kept, faults, away=not calls.enabled, page="/calls")
        names = [name for name, _ in config.webhooks.all()]
        faults = [self._faults["webhooks"]() if names else "webhooks.url is empty"]
        yield _part("webhooks", names, faults, away=not names, page="/webhooks")
        degraded = told["readiness"]["degraded"]
        yield _part("house", [], [*told["readiness"]["reasons"], *degraded], page="/admin")


def _part(
    name: str, facts: list[str], faults: list[str], *, away: bool = False, page: str = ""
) -> Json:
    wrong = [fault for fault in faults if fault]
    state = "away" if away else "part" if wrong else "ready"
    shown = [fact for fact in facts if fact]
    return {"name": name, "state": state, "facts": shown, "faults": wrong, "page": page or None}
