"""``/openapi.json``: every REST route of the house as one OpenAPI 3.1 document.

Routes and rights are those of ``guard.ROUTES``; what each takes and answers stands in ``TOLD``,
with the models that the handlers use. A test holds the two against each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from penny import __version__
from penny.calls.export import FORMATS, KINDS
from penny.calls.people import ZIP
from penny.calls.query import CallQuery
from penny.calls.record import Links, Metrics, RecordingWish, Turn
from penny.figures.dashboard import TABLES
from penny.figures.days import FigureQuery
from penny.gateway.answers import (
    AlertedCalls,
    CallPage,
    CallTree,
    DashboardFigures,
    Deliveries,
    Enable,
    Enabled,
    Endpoints,
    Erased,
    ErrorAnswer,
    ExperimentList,
    Held,
    Link,
    Modes,
    Processing,
    Replayed,
    Rooms,
    Secret,
    Sessions,
    SignedIn,
    Stats,
    Stopped,
    Telephony,
    TelephonyState,
    Tested,
)
from penny.gateway.audio_forms import SpeechWish
from penny.gateway.caller_ids import CallerIdStates
from penny.gateway.experiments import Stop
from penny.gateway.guard import OPEN, OWN, ROUTES
from penny.telephony.reception import Numbering, TelephonyReception
from penny.telephony.wishes import DialState, DialWish, KeysOut, OptOut, Transfer, WaitWish
from penny.webhooks.query import DeliveryQuery, Replay
from penny.webhooks.sample import Test


Json = dict[str, Any]

NOT_REST = frozenset(
    {"GET /", "GET /admin", "GET /web", "GET /kb", "GET /calls", "GET /set-up", "GET /docs"}
    | {"GET /telephony", "GET /webhooks", "GET /dashboard", "GET /experiments"}
    | {"GET /ws", "GET /v1/realtime", "GET /worker", "GET /twilio/stream"}
    | {"GET /asterisk/media", "GET /v1/sign-in/openid", "GET /v1/sign-in/openid/back"}
    | {route for route in ROUTES if route.startswith("OPTIONS ")}
)
"""Pages and where they lead, what upgrades to a WebSocket, and what browsers ask first."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a route takes and answers.

    Args:
        query: parameter -> what it is; one that ends with ``!`` must be given.
        filters: a model whose fields are parameters too.
        takes: a model of the body, or its content type.
        answers: a model, a list of one, or a content type; None: a JSON object.
    """

    summary: str
    query: Mapping[str, str] = field(default_factory=dict)
    filters: type[BaseModel] | None = None
    takes: type[BaseModel] | str | None = None
    answers: Any = None
    status: int = 200


_REF_AND_NAME = {"ref!": "the collection", "name!": "the document's file name"}
_FORMAT = "json, vtt or text"
TOLD: dict[str, Told] = {
    "GET /healthz": Told("Whether the process lives"),
    "GET /health": Told("As /healthz; status is healthy"),
    "GET /readyz": Told("Whether sessions are taken; with house:read, what is degraded"),
    "GET /metrics": Told("Prometheus metrics", answers="text/plain"),
    "GET /v1/modes": Told("What can talk back", {"language": "es or en"}, answers=Modes),
    "GET /v1/rooms": Told("The pages that who asks may use", answers=Rooms),
    "GET /v1/set-up": Told("The parts of the house with their state"),
    "GET /openapi.json": Told("This document"),
    "POST /v1/realtime/client_secrets": Told("A secret for a browser", answers=Secret),
    "POST /v1/audio/transcriptions": Told(
        "What a file says, by the private mode's ears (OpenAI's form)", takes="multipart/form-data"
    ),
    "POST /v1/audio/speech": Told(
        "A text as sound, by the private mode's voice (OpenAI's form)",
        takes=SpeechWish,
        answers="audio/mpeg",
    ),
    "POST /v1/realtime/calls": Told(
        "A WebRTC call", takes="application/sdp", answers="application/sdp", status=201
    ),
    "POST /v1/realtime/calls/{call_id}/hangup": Told("End a WebRTC call"),
    "POST /v1/realtime/calls/{call_id}/accept": Told("SIP alone: refused here"),
    "POST /v1/realtime/calls/{call_id}/reject": Told("SIP alone: refused here"),
    "POST /v1/realtime/calls/{call_id}/refer": Told("SIP alone: refused here"),
    "GET /v1/kb/search": Told(
        "Search the documents",
        {
            "q!": "the question",
            "ref": "the collection",
            "limit": "passages, 1 to 20",
            "language": "es or en",
            "why": "true: how each was found",
        },
    ),
    "GET /v1/kb/collections": Told("Collections and their files"),
    "GET /v1/kb/passages": Told(
        "Passages of a document", {"ref!": "the collection", "source!": "the document"}
    ),
    "PUT /v1/kb/document": Told("Put a document", _REF_AND_NAME, takes="application/octet-stream"),
    "DELETE /v1/kb/document": Told("Remove a document", _REF_AND_NAME),
    "GET /v1/kb/unanswered": Told("Questions that nothing answered", {"ref!": "the collection"}),
    "DELETE /v1/kb/unanswered": Told(
        "Forget such questions", {"ref!": "the collection", "text": "one; without, all"}
    ),
    "GET /v1/sign-in": Told("Who is signed in", answers=SignedIn),
    "POST /v1/sign-in": Told("Sign in with a key", answers=SignedIn),
    "DELETE /v1/sign-in": Told("Sign out"),
    "GET /admin/v1/overview": Told("Figures of this gateway"),
    "GET /admin/v1/sessions": Told("Live sessions of every gateway", answers=Sessions),
    "GET /admin/v1/sessions/{id}/events": Told(
        "Events of a live session, as they come",
        {"transcripts": "true: with what is said, where that is allowed"},
        answers="text/event-stream",
    ),
    "POST /admin/v1/sessions/{id}/hang-up": Told("End a live session", status=202),
    "GET /v1/calls": Told("Find kept calls", filters=CallQuery, answers=CallPage),
    "POST /v1/calls": Told(
        "Place a telephone call; Idempotency-Key names the wish",
        takes=DialWish,
        answers=DialState,
        status=202,
    ),
    "POST /v1/calls/{id}/keys": Told("Send keys in a live call", takes=KeysOut, status=204),
    "POST /v1/calls/{id}/wait": Told(
        "Keep the caller of a live call waiting", takes=WaitWish, status=204
    ),
    "POST /v1/calls/{id}/transfer": Told(
        "Put a live call through to a name", takes=Transfer, status=202
    ),
    "GET /v1/dials/{id}": Told("A call that was placed, and how it ended", answers=DialState),
    "DELETE /v1/dials/{id}": Told("Place no further call of this one", status=204),
    "GET /v1/caller-ids": Told(
        "How calls from each number of one's own ended in seven days", answers=CallerIdStates
    ),
    "POST /v1/do-not-call": Told("Never call a number again", takes=OptOut, status=204),
    "GET /v1/calls/export": Told(
        "Every call that is found, as a file",
        {"format": " or ".join((*FORMATS, ZIP)) + " (records, texts and sound)"},
        filters=CallQuery,
        answers=(*KINDS.values(), "application/zip"),
    ),
    "GET /v1/calls/{id}": Told("A call with its turns, and its other legs", answers=CallTree),
    "DELETE /v1/calls/{id}": Told("Erase a call for good", answers=Erased),
    "GET /v1/calls/{id}/metrics": Told("A call's metrics", answers=Metrics),
    "GET /v1/calls/{id}/transcript": Told("What was said", {"format": _FORMAT}, answers=list[Turn]),
    "GET /v1/calls/{id}/audio": Told(
        "Its sound: the caller left, Penny right; ranges",
        {"link": "true: an address in the bucket, for five minutes"},
        answers=("audio/flac", Link),
    ),
    "POST /v1/calls/{id}/hold": Told("Let nothing delete it, or release", takes=Held, answers=Held),
    "POST /v1/calls/{id}/recording": Told(
        "Pause, resume or give up a live call's recording",
        takes=RecordingWish,
        answers=RecordingWish,
    ),
    "POST /v1/calls/{id}/links": Told(
        "Say which call it is a leg of, or who else recorded it", takes=Links, answers=Links
    ),
    "GET /conversations/{id}/metrics": Told("A call's metrics", answers=Metrics),
    "GET /v1/screen-pops": Told("Who calls, as calls begin", answers="text/event-stream"),
    "POST /v1/crm/{name}/events": Told(
        "What a CRM tells of its changes, signed", takes="application/json", status=204
    ),
    "GET /v1/webhooks": Told("Who is told of calls, and how they fare", answers=Endpoints),
    "GET /v1/webhooks/deliveries": Told(
        "The delivery log, newest first", filters=DeliveryQuery, answers=Deliveries
    ),
    "POST /v1/webhooks/replay": Told("Send events again", takes=Replay, answers=Replayed),
    "POST /v1/webhooks/{name}/test": Told(
        "Send a made-up event at once", takes=Test, answers=Tested
    ),
    "POST /v1/webhooks/{name}/enable": Told(
        "Tell a disabled endpoint again", takes=Enable, answers=Enabled
    ),
    "GET /api/config/telephony": Told("How phone calls are received", answers=Telephony),
    "GET /api/config/telephony/dialled": Told(
        "How a line rings numbers, on an example", filters=Numbering
    ),
    "POST /api/config/telephony/save": Told(
        "Receive phone calls in another way",
        {"overwrite": "true: also files of Asterisk's that were changed by hand"},
        takes=TelephonyReception,
        answers=Telephony,
    ),
    "POST /api/config/telephony/test": Told(
        "Whether the saved gateway or carrier is there", answers=TelephonyState
    ),
    "GET /metrics/dashboard": Told(
        "Figures of kept calls", filters=FigureQuery, answers=DashboardFigures
    ),
    "GET /metrics/dashboard/{table}": Told(
        "A table of them: " + ", ".join(TABLES), filters=FigureQuery, answers="text/csv"
    ),
    "GET /metrics/alerts": Told(
        "The newest calls that raised an alert",
        query={"tenant": "of this tenant alone, for who sees every tenant's"},
        answers=AlertedCalls,
    ),
    "GET /v1/experiments": Told("Experiments and what came of them", answers=ExperimentList),
    "POST /v1/experiments/{name}/stop": Told(
        "Stop an experiment for good", takes=Stop, answers=Stopped
    ),
    "GET /storage/stats": Told("How much is kept", answers=Stats),
    "GET /processing/stats": Told("How far the analysis of calls is", answers=Processing),
    "POST /asterisk/announce": Told("A call, told by Asterisk's dialplan", answers="text/plain"),
    "POST /asterisk/refused": Told(
        "A number that no line lists, told by Asterisk's dialplan", answers="text/plain"
    ),
    "POST /asterisk/next": Told("What the dialplan does after a call", answers="text/plain"),
    "POST /asterisk/whisper": Told(
        "Whether a person who has answered hears what it is about", answers="text/plain"
    ),
    "POST /asterisk/over": Told("How a transfer ended", answers="text/plain"),
    "POST /twilio/voice": Told("An incoming call, told by Twilio", answers="text/xml"),
    "POST /twilio/status": Told("What became of a call, told by Twilio", status=204),
    "POST /twilio/amd": Told("Who answered a call, told by Twilio", status=204),
    "POST /twilio/whisper": Told("What a person hears who is handed a call", answers="text/xml"),
    "POST /twilio/back": Told("What becomes of a transferred call", answers="text/xml"),
}


@cache
def build_document() -> Json:
    """The document; of routes that no ``Told`` tells of, it has nothing."""
    models = _models()
    paths: dict[str, Json] = {}
    for route, told in TOLD.items():
        method, _, path = route.partition(" ")
        paths.setdefault(path, {})[method.lower()] = _operation(route, told)
    _, schemas = models_json_schema(
        [(model, "serialization") for model in models],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Penny", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: str, told: Told) -> Json:
    method, _, path = route.partition(" ")
    right = ROUTES[route]
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]
    for name, about in told.query.items():
        described = {"in": "query", "description": about, "schema": {"type": "string"}}
        parameters.append({"name": name.rstrip("!"), "required": name.endswith("!"), **described})
    if told.filters is not None:
        fields = told.filters.model_json_schema()["properties"]
        parameters += [
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in fields.items()
        ]
    answers = told.answers if isinstance(told.answers, tuple) else (told.answers,)
    content: Json = {}
    for each in answers:
        content |= _content(each)
    made: Json = {
        "summary": told.summary,
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_"),
        "tags": [path.split("/")[2] if path.startswith("/v1/") else path.split("/")[1]],
        "parameters": parameters,
        "responses": {
            str(told.status): {"description": told.summary, "content": content},
            "default": {"description": "What is wrong", "content": _content(ErrorAnswer)},
        },
    }
    if told.takes is not None:
        made["requestBody"] = {"required": True, "content": _content(told.takes)}
    if right not in (OPEN, OWN):
        made |= {"x-penny-right": right, "security": [{"key": []}]}
    return made


def _content(of: Any) -> Json:
    if isinstance(of, str):
        return {of: {}}
    if of is None:
        return {"application/json": {"schema": {"type": "object"}}}
    if isinstance(of, type) and issubclass(of, BaseModel):
        schema: Json = {"$ref": f"#/components/schemas/{of.__name__}"}
    else:
        (inner,) = of.__args__
        schema = {"type": "array", "items": {"$ref": f"#/components/schemas/{inner.__name__}"}}
    return {"application/json": {"schema": schema}}


def _models() -> list[type[BaseModel]]:
    found: dict[str, type[BaseModel]] = {"ErrorAnswer": ErrorAnswer}
    for told in TOLD.values():
        answers = told.answers if isinstance(told.answers, tuple) else (told.answers,)
        for each in (*answers, told.takes):
            model = each.__args__[0] if hasattr(each, "__args__") else each
            if isinstance(model, type) and issubclass(model, BaseModel):
                found[model.__name__] = model
    return list(found.values())


async def serve_document(_request: web.Request) -> web.Response:
    """``GET /openapi.json``."""
    return web.json_response(build_document())
