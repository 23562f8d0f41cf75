"""The sample company's service: ten functions of a call centre over HTTP, on loopback.

    POST /{function}           does it; changes need an ``Idempotency-Key`` and are done once for it
    POST /{function}/preview   what is asked before: {"question"}, or why it cannot be done

Answers are JSON with a ``message`` in the language of ``Accept-Language``, to be said as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from config.brain import Action
from kb.normal.months import MONTHS
from penny.company.store import (
    CUSTOMER,
    PENDING,
    SCHEDULED,
    SERVICES,
    Books,
    Refused,
    find_invoice,
)


Json = dict[str, Any]
Connection = Any
Say = Callable[..., str]

FOLDER = Path(__file__).parent
INVOICES = FOLDER.parents[1] / "kb/documents/empresa/documentos/facturas.csv"


class Company:
    """The service on a free port of loopback.

    Args:
        today: the date where the company is.
    """

    def __init__(self, path: Path, today: Callable[[], date], invoices: Path = INVOICES) -> None:
        self._path, self._today, self._invoices = path, today, invoices
        self._books: Books | None = None
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """Open the books and listen. Raises OSError."""
        self._books = await asyncio.to_thread(Books, self._path, self._invoices)
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_post("/{function}", self._do)
        app.router.add_post("/{function}/preview", self._preview)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def aclose(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _do(self, request: web.Request) -> web.Response:
        name = request.match_info["function"]
        if name in _READS:
            return await self._answer(request, _READS[name], key=None)
        if name in _CHANGES:
            key = request.headers.get("Idempotency-Key")
            if not key:
                return _refusal("Idempotency-Key is missing", 400)
            return await self._answer(request, _CHANGES[name][1], key=key)
        return _refusal("there is no such function", 404)

    async def _preview(self, request: web.Request) -> web.Response:
        changes = _CHANGES.get(request.match_info["function"])
        if changes is None or changes[0] is None:
            return _refusal("there is no such preview", 404)
        return await self._answer(request, changes[0], key=None)

    async def _answer(self, request: web.Request, work: Any, *, key: str | None) -> web.Response:
        language = "en" if request.headers.get("Accept-Language", "").startswith("en") else "es"
        words = _Words(language)
        try:
            asked = await request.json()
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            return _refusal("send a JSON object", 400)
        books = self._books
        assert books is not None

        def run(connection: Connection) -> Json:
            return work(connection, asked, self._today(), words)  # type: ignore[no-any-return]

        try:
            told = await asyncio.to_thread(
                lambda: books.read(run) if key is None else books.once(key, run)
            )
        except Refused as refused:
            return _refusal(words.say(refused.word, **refused.values), refused.status)
        return web.json_response(told)


class _Words:
    """The company's sentences in one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = _texts()[language]

    def say(self, word: str, **values: object) -> str:
        return str(self._texts[word].format(**values))

    def amount(self, cents: int) -> str:
        whole, rest = divmod(cents, 100)
        return self.say("euros" if rest else "round_euros", whole=whole, cents=rest)

    def day(self, iso: str) -> str:
        day = date.fromisoformat(iso)
        if self.language == "en":
            return f"{day:%B} {day.day}, {day.year}"
        return f"{day.day} de {MONTHS['es'][day.month - 1]} de {day.year}"

    def list(self, names: list[str]) -> str:
        return f" {self.say('and')} ".join(names)


def _invoice(books: Connection, asked: Json, _today: date, words: _Words) -> Json:
    row = find_invoice(books, CUSTOMER, _text(asked, "factura_id"))
    facts = {"number": row["number"], "service": row["service"], "state": row["state"]}
    amount, due = words.amount(row["cents"]), words.day(row["due"])
    told = {"numero": row["number"], "importe": row["cents"] / 100, "vencimiento": row["due"]}
    message = words.say("invoice", **facts, amount=amount, due=due)
    return {**told, "estado": row["state"], "servicio": row["service"], "message": message}


def _due(books: Connection, asked: Json, today: date, words: _Words) -> tuple[Any, date, Json]:
    """The invoice to pay, the day, and both as they are said. Raises Refused."""
    row = find_invoice(books, CUSTOMER, _text(asked, "factura_id"))
    if row["state"] not in (PENDING, "vencida"):
        raise Refused("not_pending", number=row["number"], state=row["state"])
    given = _text(asked, "fecha")
    try:
        day = date.fromisoformat(given) if given else today
    except ValueError:
        raise Refused("bad_day", 422, day=given) from None
    if day < today:
        raise Refused("past_day", 422, day=words.day(day.isoformat()))
    facts = {"number": row["number"], "service": row["service"]}
    amount = words.amount(row["cents"])
    return row, day, {**facts, "amount": amount, "day": words.day(day.isoformat())}


def _ask_payment(books: Connection, asked: Json, today: date, words: _Words) -> Json:
    row, day, said = _due(books, asked, today, words)
    settled = {"factura_id": row["number"], "fecha": day.isoformat()}
    return {"question": words.say("ask_payment", **said), "arguments": settled}


def _pay(books: Connection, asked: Json, today: date, words: _Words) -> Json:
    row, day, said = _due(books, asked, today, words)
    paid = (row["number"], row["cents"], day.isoformat())
    made = books.execute("INSERT INTO payments (invoice, cents, day) VALUES (?, ?, ?)", paid)
    books.execute("UPDATE invoices SET state = ? WHERE number = ?", (SCHEDULED, row["number"]))
    told = {"factura_id": row["number"], "importe": row["cents"] / 100, "fecha": day.isoformat()}
    return {"pago_id": f"P-{made.lastrowid:04}", **told, "message": words.say("paid", **said)}


def _balance(books: Connection, _asked: Json, _today: date, words: _Words) -> Json:
    wanted = "SELECT count(*), sum(cents), min(due) FROM invoices WHERE customer = ? AND state = ?"
    count, cents, due = books.execute(wanted, (CUSTOMER, PENDING)).fetchone()
    if not count:
        return {"saldo": 0, "message": words.say("no_balance")}
    said = {"amount": words.amount(cents), "count": count, "due": words.day(due)}
    told = {"saldo": cents / 100, "vencimiento": due, "facturas": count}
    return {**told, "message": words.say("balance", **said)}


def _status(books: Connection, _asked: Json, _today: date, words: _Words) -> Json:
    active = _active(books)
    said = words.say("status", services=words.list(active)) if active else words.say("no_service")
    return {"servicios": active, "message": said}


def _call_back(books: Connection, asked: Json, _today: date, words: _Words) -> Json:
    phone, at = _text(asked, "telefono"), _text(asked, "cuando") or words.say("soon")
    row = (CUSTOMER, phone, at)
    made = books.execute("INSERT INTO callbacks (customer, phone, at) VALUES (?, ?, ?)", row)
    said = words.say("callback_phone" if phone else "callback", at=at, phone=phone)
    return {"llamada_id": f"L-{made.lastrowid:04}", "message": said}


def _service(books: Connection, asked: Json, words: _Words) -> str:
    """The service to cancel. Raises Refused where it is not told which."""
    active, named = _active(books), _text(asked, "servicio")
    if named and named not in active:
        raise Refused("not_active", service=named)
    if not active:
        raise Refused("no_service")
    if not named and len(active) > 1:
        raise Refused("which_service", 422, services=words.list(active))
    return named or active[0]


def _ask_cancel(books: Connection, asked: Json, _today: date, words: _Words) -> Json:
    service = _service(books, asked, words)
    return {
        "question": words.say("ask_cancel", service=service),
        "arguments": {"servicio": service},
    }


def _cancel(books: Connection, asked: Json, _today: date, words: _Words) -> Json:
    service = _service(books, asked, words)
    books.execute(
        "UPDATE services SET is_active = 0 WHERE customer = ? AND name = ?", (CUSTOMER, service)
    )
    return {"servicio": service, "message": words.say("cancelled", service=service)}


def _contact(asked: Json, words: _Words) -> tuple[str | None, str | None, str]:
    phone, email = _text(asked, "telefono"), _text(asked, "email")
    if not phone and not email:
        raise Refused("which_contact", 422)
    return phone, email, words.list([each for each in (phone, email) if each])


def _ask_contact(_books: Connection, asked: Json, _today: date, words: _Words) -> Json:
    return {"question": words.say("ask_contact", contact=_contact(asked, words)[2])}


def _change_contact(books: Connection, asked: Json, _today: date, words: _Words) -> Json:
    phone, email, said = _contact(asked, words)
    change = "UPDATE customers SET phone = ifnull(?, phone), email = ifnull(?, email) WHERE id = ?"
    books.execute(change, (phone, email, CUSTOMER))
    return {"telefono": phone, "email": email, "message": words.say("contact", contact=said)}


def _active(books: Connection) -> list[str]:
    wanted = "SELECT name FROM services WHERE customer = ? AND is_active"
    found = {row["name"] for row in books.execute(wanted, (CUSTOMER,))}
    return [name for name in SERVICES if name in found]


def _text(asked: Json, name: str) -> str | None:
    value = asked.get(name)
    return value.strip() or None if isinstance(value, str) else None


_READS = {
    "consultar_factura": _invoice,
    "get_account_balance": _balance,
    "get_account_status": _status,
}
_CHANGES = {
    "programar_pago": (_ask_payment, _pay),
    "schedule_callback": (None, _call_back),
    "cancel_service": (_ask_cancel, _cancel),
    "update_contact_info": (_ask_contact, _change_contact),
}
"""Function -> what is asked before (None: nothing), and what does it."""


def read_actions(url: str) -> dict[str, Action]:
    """The company's actions, for ``actions.table``, with its service at ``url``."""
    table = yaml.safe_load((FOLDER / "actions.yaml").read_text(encoding="utf-8"))
    made = {}
    for name, action in table.items():
        if "handoff" not in action:
            action["endpoint"] = f"{url}/{name}"
            if action.get("confirm"):
                action["preview"] = f"{url}/{name}/preview"
        made[name] = Action.model_validate(action)
    return made


def _refusal(message: str, status: int) -> web.Response:
    return web.json_response({"message": message}, status=status)


@cache
def _texts() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = yaml.safe_load((FOLDER / "texts.yaml").read_text("utf-8"))
    return found
