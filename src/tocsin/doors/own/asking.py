"""What a request to our own API asks, and how it is answered: the scope, numbers, JSON."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from tocsin.model.names import Scope

EVENTS_MAX = 1000
INT64_LARGEST = (1 << 63) - 1


def scope_of(request: Request) -> Scope:
    """The front puts it beside the request."""
    scope: Scope = request.scope["tocsin.scope"]
    return scope


def number(request: Request, name: str, default: int) -> int:
    """A parameter that counts something; what is none, or below zero, is the default."""
    try:
        given = int(request.query_params.get(name, default))
    except ValueError:
        return default
    return min(given, INT64_LARGEST) if given >= 0 else default


def answer(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content, option=orjson.OPT_UTC_Z), status_code=status, media_type="application/json")


def refuse(reason: str, status: int = 400) -> Response:
    return answer({"error": reason}, status)
