"""An API destination's request, and what its answer means. Pure: the carrier sends and receives.

Sources: facts/peers.md §3.2 for the headers; AWS's guide on API destinations for which answers are retried, for
connections winning over targets, and for the headers that nobody may set.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from tocsin.core.connections import pairs
from tocsin.core.patience import asked_pause_s
from tocsin.core.transform.paths import Reading, read_path
from tocsin.model.connection import ApiDestination, Authorization, HttpParameters
from tocsin.model.outbound import DELIVERED, Outcome, Verdict

# What a request to an API destination bears. Content-Type may be set by others.
HEADERS = {
    "User-Agent": "Amazon/EventBridge/ApiDestinations",
    "Range": "bytes=0-1048575",
    "Content-Type": "application/json; charset=utf-8",
}
_NOT_SETTABLE = frozenset(
    {"user-agent", "range", "host", "content-length", "connection", "accept-encoding", "transfer-encoding"}
)
_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_RETRIED = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
        HTTPStatus.CONFLICT,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
# AWS's dead-letter codes for a peer that answers, that says it is too much, and that does not answer in time.
CLIENT_ERROR, THROTTLING, TIMEOUT = "SDK_CLIENT_ERROR", "THROTTLING", "TIMEOUT"
EXCERPT_CHARS_MAX = 200

_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Request(Struct, frozen=True, kw_only=True):
    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None


def http_parameters(spec: Mapping[str, Any], event: bytes) -> HttpParameters:
    """A target's HttpParameters with the paths (`$.detail.id`) among its values followed in the event."""
    given, reading = spec.get("HttpParameters", {}), Reading(event)
    return HttpParameters(
        path=tuple(_dynamic(value, reading) for value in given.get("PathParameterValues", ())),
        headers={name: _dynamic(value, reading) for name, value in given.get("HeaderParameters", {}).items()},
        query={name: _dynamic(value, reading) for name, value in given.get("QueryStringParameters", {}).items()},
    )


def _dynamic(value: str, event: Reading) -> str:
    path = read_path(value)
    if path is None:
        return value
    found = event.text(path)
    if found is None:
        return ""
    return msgspec.json.decode(found, type=str) if found.startswith(b'"') else found.decode()


def request(
    destination: ApiDestination,
    parameters: Mapping[str, Any],
    of_target: HttpParameters,
    payload: str,
    authorization: Mapping[str, str],
) -> Request:
    """`parameters` are the connection's, secrets included; `authorization` the headers that prove who we are."""
    of_connection = parameters.get("InvocationHttpParameters", {})
    query = of_target.query | pairs(of_connection, "QueryStringParameters")
    wanted = of_target.headers | pairs(of_connection, "HeaderParameters")
    body = _with_members(payload, pairs(of_connection, "BodyParameters"))
    return Request(
        method=destination.method,
        url=_url(destination.endpoint, of_target.path, query),
        headers=_headers(HEADERS, {k: v for k, v in wanted.items() if k.lower() not in _NOT_SETTABLE}, authorization),
        body=body if destination.method in _WITH_BODY else None,
    )


def authorization_headers(kind: Authorization, parameters: Mapping[str, Any], token: str = "") -> dict[str, str]:
    """`token` is what an OAuth server gave, its type before it."""
    match kind:
        case Authorization.BASIC:
            basic = parameters["BasicAuthParameters"]
            pair = f"{basic['Username']}:{basic['Password']}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        case Authorization.API_KEY:
            key = parameters["ApiKeyAuthParameters"]
            return {key["ApiKeyName"]: key["ApiKeyValue"]}
        case Authorization.OAUTH_CLIENT_CREDENTIALS:
            return {"Authorization": token}


def _headers(*layers: Mapping[str, str]) -> dict[str, str]:
    """A later layer wins, whatever the case of a name."""
    merged: dict[str, tuple[str, str]] = {}
    for layer in layers:
        merged |= {name.lower(): (name, value) for name, value in layer.items()}
    return dict(merged.values())


def _url(endpoint: str, path_values: Sequence[str], query: Mapping[str, str]) -> str:
    """The endpoint with the `*` of its path filled in order, and the query behind its own."""
    scheme, place, path, own_query, _ = urlsplit(endpoint)
    first, *rest = path.split("*")
    values = [quote(value, safe="") for value in path_values[: len(rest)]] + ["*"] * (len(rest) - len(path_values))
    filled = first + "".join(value + part for value, part in zip(values, rest, strict=True))
    return urlunsplit((scheme, place, filled, "&".join(filter(None, (own_query, urlencode(query)))), ""))


def _with_members(payload: str, members: Mapping[str, str]) -> bytes:
    """A JSON object with the connection's body parameters in it; anything else as it is."""
    if not members:
        return payload.encode()
    try:
        content: dict[str, Any] = dict(_object(payload.encode()))
    except msgspec.DecodeError:
        return payload.encode()
    return _encode(content | dict(members))


def verdict(status: int, excerpt: str, retry_after: str | None, now: datetime) -> Outcome:
    """What an answer's status means; redirects are not followed."""
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return DELIVERED
    told = f": {excerpt[:EXCERPT_CHARS_MAX]}" if excerpt else ""
    message = f"Unable to invoke ApiDestination endpoint: The request failed with HTTP status code {status}{told}"
    again = status in _RETRIED or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return Outcome(
        verdict=Verdict.AGAIN if again else Verdict.NEVER,
        code=THROTTLING if status == HTTPStatus.TOO_MANY_REQUESTS else CLIENT_ERROR,
        message=message,
        after_s=asked_pause_s(retry_after, now) if again else None,
    )


def blotted(text: str, secrets: set[str]) -> str:
    """The text without the secrets that a peer may have echoed."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
