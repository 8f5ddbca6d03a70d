"""The request for an OAuth access token by client credentials, and what its answer gives (RFC 6749, §4.4 and §5.1)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from tocsin.core.connections import pairs

FORM = "application/x-www-form-urlencoded"
# A server that tells no lifetime is believed for so long: a 401 ends it sooner.
LIFETIME_S = 3600.0
# Tokens are given up a little before they expire: what is sent now arrives later.
EARLY_S = 30.0


class Asked(Struct, frozen=True, kw_only=True):
    """The request for a token."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None


class Token(Struct, frozen=True):
    """`header` is the whole value of an Authorization header."""

    header: str
    until: datetime


class _Answer(Struct):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105
    expires_in: float | str | None = None


_answer = msgspec.json.Decoder(_Answer).decode


def asked(parameters: Mapping[str, Any]) -> Asked:
    """`parameters` are the connection's OAuthParameters. Body parameters go before ours; a GET has all in its query."""
    http, client = parameters.get("OAuthHttpParameters", {}), parameters["ClientParameters"]
    body = {
        "grant_type": "client_credentials",
        "client_id": client["ClientID"],
        "client_secret": client["ClientSecret"],
    } | pairs(http, "BodyParameters")
    query = pairs(http, "QueryStringParameters") | (body if parameters["HttpMethod"] == "GET" else {})
    headers = {"Content-Type": FORM, "Accept": "application/json"}
    given = pairs(http, "HeaderParameters")
    headers = {name: value for name, value in headers.items() if name.lower() not in map(str.lower, given)} | given
    endpoint: str = parameters["AuthorizationEndpoint"]
    joint = "&" if "?" in endpoint else "?"
    return Asked(
        method=parameters["HttpMethod"],
        url=endpoint + joint + urlencode(query) if query else endpoint,
        headers=headers,
        body=None if parameters["HttpMethod"] == "GET" else _encoded(body, headers),
    )


def _encoded(body: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
    """As JSON where the connection's headers say so, else as a form."""
    sort = next(value for name, value in headers.items() if name.lower() == "content-type")
    return msgspec.json.encode(body) if "json" in sort.lower() else urlencode(body).encode()


def read_token(answer: bytes, now: datetime) -> Token | None:
    """None when the answer holds no token."""
    try:
        told = _answer(answer)
        lifetime_s = LIFETIME_S if told.expires_in is None else float(told.expires_in)
    except (msgspec.MsgspecError, ValueError):
        return None
    if not told.access_token:
        return None
    kind = "Bearer" if told.token_type.lower() == "bearer" else told.token_type
    return Token(f"{kind} {told.access_token}", now + timedelta(seconds=min(max(lifetime_s - EARLY_S, 1.0), 10**8)))
