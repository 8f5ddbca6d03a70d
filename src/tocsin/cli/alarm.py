"""`tocsin alarm`: tell the server the state of an alarm, or ask for all."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import click

from tocsin.cli.client import Unreachable, get, post
from tocsin.cli.show import Where, failed

PATH = "/_tocsin/v1/alarms"


def set_alarm(where: Where, name: str, state: str, reason: str) -> int:
    try:
        answer = post(where, PATH, {"name": name, "state": state, "reason": reason})
    except Unreachable as error:
        return failed(error)
    return _print(where, [answer["alarm"]])


def list_alarms(where: Where) -> int:
    try:
        answer = get(where, PATH)
    except Unreachable as error:
        return failed(error)
    if not answer["alarms"] and where["output"] != "json":
        click.echo("No alarms.")
    return _print(where, answer["alarms"])


def _print(where: Where, alarms: Iterable[Mapping[str, Any]]) -> int:
    for alarm in alarms:
        line = "  ".join(filter(None, (alarm["state"], alarm["name"], alarm["reason"])))
        click.echo(json.dumps(alarm) if where["output"] == "json" else line)
    return 0
