"""Telephony configurations that tests begin with."""

from __future__ import annotations

from typing import Any


Json = dict[str, Any]


def an_fxo(**over: Any) -> Json:
    fxo = {"ip": "192.168.1.50", "password": "p;a\"s's#w=>o${d}", "codec": "alaw"}
    fxo["dids"] = [{"number": "+5255123456", "label": "Ventas"}]  # type: ignore[assignment]
    return {"method": "fxo_gateway", "fxo_gateway": {**fxo, **over}}


def a_trunk(**over: Any) -> Json:
    trunk = {"host": "sip.carrier.example", "user": "acme", "password": "secreto"}
    trunk["dids"] = [{"number": "+34910000001"}, {"number": "910000002", "active": False}]  # type: ignore[assignment]
    return {"method": "carrier_grade", "carrier_grade": {**trunk, **over}}
