"""Asking a running server's own API. Signed when AWS credentials are about, for servers that verify."""

import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import click

from tocsin.model.errors import TocsinError

SIGN = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a pair of the server's access_keys."

AWAY_S = 1.0  # between two looks for a server that went away


class Unreachable(TocsinError):
    """The server does not answer, or not as it should; the text says what to do."""


class Refused(Unreachable):
    """The server answers that it will not; the text is its reason."""


def get(where: Mapping[str, str | None], path: str, **query: object) -> dict[str, Any]:
    """The JSON object at the path. Raises Unreachable."""
    return _ask(where, "GET", path, query)


def get_patiently(where: Mapping[str, str | None], path: str, **query: object) -> dict[str, Any]:
    """The same of a server that may be away for a while: for who follows it from a place that holds across restarts.

    Raises Refused.
    """
    missed = False
    while True:
        try:
            return get(where, path, **query)
        except Refused:
            raise
        except Unreachable as error:
            if not missed:
                click.echo(f"tocsin: {error}. Waiting for it.", err=True)
            missed = True
            time.sleep(AWAY_S)


def post(where: Mapping[str, str | None], path: str, content: object, **query: object) -> dict[str, Any]:
    """What the server answers to the content, which goes as JSON. Raises Unreachable."""
    return _ask(where, "POST", path, query, json.dumps(content).encode())


def delete(where: Mapping[str, str | None], path: str, **query: object) -> dict[str, Any]:
    """What the server answers once what the path and query name is undone. Raises Unreachable."""
    return _ask(where, "DELETE", path, query)


def _ask(
    where: Mapping[str, str | None], method: str, path: str, query: Mapping[str, object], body: bytes | None = None
) -> dict[str, Any]:
    endpoint = (where["endpoint_url"] or "").rstrip("/")
    asked: dict[str, object] = {name: where[name] for name in ("account", "region") if where.get(name)}
    asked |= {name: value for name, value in query.items() if value is not None}  # a list is asked for one by one
    url = f"{endpoint}{path}?{urllib.parse.urlencode(asked, doseq=True)}"
    if not url.startswith(("http://", "https://")):
        raise Unreachable(f"{endpoint} is no http:// address")
    headers = {} if method == "GET" else {"Content-Type": "application/json"}
    headers |= _signature(method, url, body, where.get("region"))
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        raise _refusal(endpoint, error) from error
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Unreachable(f"no Tocsin answers at {endpoint} ({reason}). Start one with: tocsin serve") from error


def _refusal(endpoint: str, error: urllib.error.HTTPError) -> Unreachable:
    """Our own API's reason where the answer holds one, else what was answered."""
    said = error.read(20_000).decode(errors="replace")
    try:
        told = json.loads(said)
    except ValueError:
        told = None
    if isinstance(told, dict) and isinstance(told.get("error"), str):
        return Refused(told["error"])
    hint = f". {SIGN}" if error.code == HTTPStatus.FORBIDDEN else ""
    return Unreachable(f"{endpoint} answers {error.code}: {said[:2000]}{hint}")


def _signature(method: str, url: str, body: bytes | None, region: str | None) -> dict[str, str]:
    """SigV4 headers from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; none when they are not set."""
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not key or not secret:
        return {}
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest(method, url, data=body)
    where = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-west-2"
    SigV4Auth(Credentials(key, secret), "tocsin", where).add_auth(request)
    return dict(request.headers.items())
