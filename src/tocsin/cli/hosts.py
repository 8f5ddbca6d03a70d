"""`tocsin hosts`: ask the server, print."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from tocsin.cli.client import Unreachable, delete, get, post
from tocsin.cli.show import Where, failed

PATH = "/_tocsin/v1/hosts"
Ask = Callable[[], dict[str, Any]]


def list_hosts(where: Where) -> int:
    return _shown(where, lambda: get(where, PATH), "hosts", _host)


def act_on_host(where: Where, verb: str, host: str) -> int:
    return _shown(where, lambda: post(where, f"{PATH}/{verb}", {"host": host}), "host", _host)


def create_token(where: Where, host: str | None, for_s: float, *, once: bool) -> int:
    asked = {"for_s": for_s, "once": once} | ({"host": host} if host else {})
    return _shown(where, lambda: post(where, f"{PATH}/tokens", asked), None, lambda told: str(told["token"]))


def list_tokens(where: Where) -> int:
    return _shown(where, lambda: get(where, f"{PATH}/tokens"), "tokens", _token)


def revoke_token(where: Where, token_id: str) -> int:
    ask: Ask = lambda: delete(where, f"{PATH}/tokens", id=token_id)  # noqa: E731
    return _shown(where, ask, None, lambda told: f"{told['revoked']}  revoked")


def _shown(where: Where, ask: Ask, member: str | None, line: Callable[[Mapping[str, Any]], str]) -> int:
    try:
        answer = ask()
    except Unreachable as error:
        return failed(error)
    found = answer if member is None else answer[member]
    for one in found if isinstance(found, list) else [found]:
        click.echo(json.dumps(one) if where["output"] == "json" else line(one))
    return 0


def _host(host: Mapping[str, Any]) -> str:
    words = [host["name"], host["state"], host["instance_id"] or "", host["instance_type"] or "not in the inventory"]
    words += [host["address"] or "", "linked" if host["linked"] else "away", "spare" if host["spare"] else ""]
    words += [",".join(f"{key}={value}" for key, value in host["labels"].items()), host["why"]]
    return "  ".join(word for word in words if word)


def _token(token: Mapping[str, Any]) -> str:
    until = datetime.fromtimestamp(token["expires_ms"] / 1000, UTC)
    use = "once" if token["once"] else "many times"
    return f"{token['id']}  {token['host'] or 'any host'}  {use}  until {until:%Y-%m-%d %H:%M:%S}"
