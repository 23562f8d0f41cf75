"""The sample company's invoice service: a small real HTTP service for the sample's actions.

    python -m tests.invoices.service --port 8095

POST /facturas/consultar  {"factura_id"}                 -> the invoice
POST /pagos/programar     {"factura_id", "fecha"}        -> the payment; once per Idempotency-Key
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import re
from datetime import date
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.doubles.http import HttpDouble


Json = dict[str, Any]

INVOICES = Path(__file__).parents[2] / "kb/documents/empresa/documentos/facturas.csv"
SPOKEN_CODE = re.compile(r"[^A-Z0-9]")


class InvoiceService(HttpDouble):
    """Reads the sample's invoices; payments live as long as the service."""

    def __init__(self, delay_s: float = 0.0) -> None:
        with INVOICES.open(encoding="utf-8") as file:
            self._invoices = {_key(row["numero"]): row for row in csv.DictReader(file)}
        self.delay_s = delay_s
        self.answer: Json | None = None
        """What every consultation is answered instead."""
        self.payments: dict[str, Json] = {}
        self.requests: list[tuple[str, Json]] = []
        self.url = ""

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_post("/facturas/consultar", self._consult)
        app.router.add_post("/pagos/programar", self._schedule)
        return app

    async def _consult(self, request: web.Request) -> web.Response:
        body = await self._read(request)
        invoice = self._invoices.get(_key(str(body.get("factura_id", ""))))
        if invoice is None:
            return web.json_response({"error": "no existe esa factura"}, status=404)
        if self.answer is not None:
            return web.json_response(self.answer)
        shown = {k: invoice[k] for k in ("numero", "servicio", "vencimiento", "estado")}
        return web.json_response({**shown, "importe": float(invoice["importe"])})

    async def _schedule(self, request: web.Request) -> web.Response:
        body = await self._read(request)
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return web.json_response({"error": "falta Idempotency-Key"}, status=400)
        if key in self.payments:
            return web.json_response(self.payments[key])
        invoice = self._invoices.get(_key(str(body.get("factura_id", ""))))
        if invoice is None:
            return web.json_response({"error": "no existe esa factura"}, status=404)
        try:
            day = date.fromisoformat(str(body.get("fecha", "")))
        except ValueError:
            return web.json_response({"error": "fecha: use AAAA-MM-DD"}, status=422)
        payment = {
            "pago_id": f"P-{len(self.payments) + 1:04}",
            "factura_id": invoice["numero"],
            "fecha": day.isoformat(),
            "importe": float(invoice["importe"]),
        }
        self.payments[key] = payment
        return web.json_response(payment, status=201)

    async def _read(self, request: web.Request) -> Json:
        body: Json = await request.json()
        self.requests.append((request.path, body))
        await asyncio.sleep(self.delay_s)
        return body

    async def start(self) -> None:
        await super().start()
        self.url = self.address


def _key(code: str) -> str:
    return SPOKEN_CODE.sub("", code.upper())


def action_table(url: str) -> Json:
    """The sample's ``actions.table``, with the service at ``url``."""
    invoice = {"type": "string", "description": "Número de factura, p. ej. F-2024-1234"}
    day = {"type": "string", "description": "Fecha del pago, AAAA-MM-DD"}
    reason = {"type": "string", "description": "Por qué quiere hablar con una persona"}
    return {
        "consultar_factura": {
            "description": "Consulta el importe, el vencimiento y el estado de una factura.",
            "parameters": {
                "type": "object",
                "properties": {"factura_id": invoice},
                "required": ["factura_id"],
            },
            "endpoint": f"{url}/facturas/consultar",
            "timeout_s": 5.0,
        },
        "programar_pago": {
            "description": "Programa el pago de una factura para un día.",
            "parameters": {
                "type": "object",
                "properties": {"factura_id": invoice, "fecha": day},
                "required": ["factura_id", "fecha"],
            },
            "endpoint": f"{url}/pagos/programar",
            "confirm": True,
        },
        "transferir_humano": {
            "description": "Pasa la llamada a una persona cuando el cliente lo pide.",
            "parameters": {"type": "object", "properties": {"motivo": reason}},
            "handoff": "atencion_cliente",
        },
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The sample company's invoices over HTTP.")
    parser.add_argument("--port", type=int, default=8095)
    web.run_app(InvoiceService().app(), host="127.0.0.1", port=parser.parse_args().port)
