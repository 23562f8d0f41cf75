"""What routes of JSON share: bodies and queries read as models, answers, errors as answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from penny.calls.database import StoreUnavailable
from penny.calls.shelf import ShelfUnavailable
from penny.errors import PennyError, ProtocolError
from penny.gateway.guard import WHO, refusal
from penny.trust.identity import Identity
from penny.writable import dump_json


STATUS = {
    "dialing_denied": 403,
    "caller_id_denied": 403,
    "caller_id_mobile": 403,
    "do_not_call": 403,
    "consent_missing": 403,
    "request_missing": 403,
    "exclusion_list_missing": 403,
    "exclusion_list_old": 403,
    "excluded": 403,
    "endpoint_shared": 403,
    "call_not_found": 404,
    "dial_not_found": 404,
    "endpoint_not_found": 404,
    "sound_absent": 404,
    "transfer_unknown": 404,
    "dial_under_way": 409,
    "dialing_hours": 409,
    "held": 409,
    "idempotency_mismatch": 409,
    "keys_still_sound": 409,
    "dialing_limit": 429,
    "carrier_refused": 502,
    "no_carrier": 503,
    "session_refused": 503,
}
"""Error code -> HTTP status; else 400, and 503 for a store that does not answer."""
NO_OBJECT = frozenset({"json_invalid", "model_type", "model_attributes_type"})


def told(handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
    """The handler of a route, whose PennyErrors are answers."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)  # type: ignore[no-any-return]
        except (StoreUnavailable, ShelfUnavailable) as error:
            return refusal(error, 503)
        except PennyError as error:
            return refusal(error, STATUS.get(error.code, 400))

    return handle


def whose(request: web.Request) -> str | None:
    """The tenant whose calls this key sees; None: every one's."""
    who: Identity = request[WHO]
    return None if "tenants:all" in who.rights else who.tenant


def as_json(body: Any) -> web.Response:
    """An answer."""
    return web.Response(body=dump_json(body), content_type="application/json")


async def read_body(request: web.Request, model: type[Any]) -> Any:
    """The body as its model; without one, an empty object's. Raises ProtocolError, naming the
    field."""
    raw = await request.read() or b"{}"
    return read_as(lambda: model.model_validate_json(raw))


def read_as(read: Callable[[], Any], whole: str = "body") -> Any:
    """What ``read`` makes of what was sent. Raises ProtocolError, naming the first field that is
    wrong, or ``whole``."""
    try:
        return read()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or whole
        reason = "send a JSON object" if first["type"] in NO_OBJECT else first["msg"]
        raise ProtocolError(f"{name}: {reason}", field=name) from error


async def read_flag(request: web.Request, name: str) -> bool:
    """The one field of a body, true or false. Raises ProtocolError."""
    try:
        flag = (await request.json())[name]
    except (ValueError, KeyError, TypeError):
        flag = None
    if not isinstance(flag, bool):
        raise ProtocolError(f'send {{"{name}": true}} or false', field=name)
    return flag
