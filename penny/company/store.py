"""The sample company's books in SQLite: customers, invoices, payments, calls back, cancellations.

Every change is one transaction with the idempotency key it was asked for by: asked again with the
same key, the first answer is given and nothing is done. Blocking.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any


Json = dict[str, Any]

CUSTOMER = "C-10234"
"""Who calls, as long as nothing says otherwise."""
SERVICES = ("electricidad", "agua")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS customers (id TEXT PRIMARY KEY, phone TEXT, email TEXT);
CREATE TABLE IF NOT EXISTS services (
    customer TEXT, name TEXT, is_active INTEGER, PRIMARY KEY (customer, name)
);
CREATE TABLE IF NOT EXISTS invoices (
    number TEXT PRIMARY KEY, customer TEXT, service TEXT, cents INTEGER, due TEXT, state TEXT
);
CREATE TABLE IF NOT EXISTS payments (
    id INTEGER PRIMARY KEY, invoice TEXT UNIQUE, cents INTEGER, day TEXT
);
CREATE TABLE IF NOT EXISTS callbacks (id INTEGER PRIMARY KEY, customer TEXT, phone TEXT, at TEXT);
CREATE TABLE IF NOT EXISTS done (key TEXT PRIMARY KEY, answer TEXT);
"""
PENDING, SCHEDULED = "pendiente", "pago programado"


class Refused(Exception):
    """What was asked for cannot be done: ``word`` is its text's name in ``texts.yaml``."""

    def __init__(self, word: str, status: int = 409, **values: object) -> None:
        super().__init__(word)
        self.word, self.status, self.values = word, status, values


class Books:
    """The database of one file.

    Args:
        invoices: a CSV that fills it when it is new: numero, cliente, servicio, importe …
    """

    def __init__(self, path: Path, invoices: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        with self._open() as books:
            books.execute("BEGIN IMMEDIATE")  # several gateway processes may begin at once
            for table in _SCHEMA.split(";"):
                books.execute(table)
            if books.execute("SELECT count(*) FROM invoices").fetchone()[0] == 0:
                _fill(books, invoices)

    def once(self, key: str, change: Callable[[sqlite3.Connection], Json]) -> Json:
        """What ``change`` answers, done once for a key. Raises Refused, and then nothing is."""
        with self._open() as books:
            books.execute("BEGIN IMMEDIATE")
            known = books.execute("SELECT answer FROM done WHERE key = ?", (key,)).fetchone()
            if known is not None:
                return dict(json.loads(known[0]))
            answer = change(books)
            books.execute("INSERT INTO done VALUES (?, ?)", (key, json.dumps(answer)))
            return answer

    def read(self, ask: Callable[[sqlite3.Connection], Json]) -> Json:
        """What ``ask`` finds. Raises Refused."""
        with self._open() as books:
            return ask(books)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10)) as books, books:
            books.row_factory = sqlite3.Row
            yield books


def _fill(books: sqlite3.Connection, invoices: Path) -> None:
    with invoices.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        cents = round(float(row["importe"]) * 100)
        facts = (row["numero"], row["cliente"], row["servicio"], cents, row["vencimiento"])
        books.execute("INSERT INTO invoices VALUES (?, ?, ?, ?, ?, ?)", (*facts, row["estado"]))
    for customer in {row["cliente"] for row in rows}:
        books.execute("INSERT INTO customers VALUES (?, NULL, NULL)", (customer,))
        for name in SERVICES:
            books.execute("INSERT INTO services VALUES (?, ?, 1)", (customer, name))


def find_invoice(books: sqlite3.Connection, customer: str, number: str | None) -> sqlite3.Row:
    """An invoice of this customer by its number, however it is written; without one, the oldest
    that is to be paid. Raises Refused."""
    if number:
        for row in books.execute("SELECT * FROM invoices WHERE customer = ?", (customer,)):
            if _plain(row["number"]) == _plain(number):
                return row  # type: ignore[no-any-return]
        raise Refused("no_invoice", 404, number=number)
    wanted = "SELECT * FROM invoices WHERE customer = ? AND state = ? ORDER BY due LIMIT 1"
    row = books.execute(wanted, (customer, PENDING)).fetchone()
    if row is None:
        raise Refused("nothing_due")
    return row  # type: ignore[no-any-return]


def _plain(code: str) -> str:
    return "".join(c for c in code.upper() if c.isalnum())
