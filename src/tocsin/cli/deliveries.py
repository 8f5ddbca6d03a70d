"""`tocsin deliveries`: ask the server what it owes to the outside, print. JSON output is a lane a line."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from tocsin.cli.client import Unreachable, get
from tocsin.cli.show import Where, failed


def show_deliveries(where: Where) -> int:
    try:
        answer = get(where, "/_tocsin/v1/deliveries")
    except Unreachable as error:
        return failed(error)
    if where["output"] == "json":
        for lane in answer["lanes"]:
            click.echo(json.dumps(lane))
        return 0
    for lane in answer["lanes"]:
        click.echo("\n".join(_lines(lane)))
    click.echo("1 delivery is owed." if answer["owed"] == 1 else f"{answer['owed']} deliveries are owed.")
    return 0


def _lines(lane: Mapping[str, Any]) -> list[str]:
    words = [f"{lane['lane']}  {lane['owed']} owed", f"the oldest since {_time(lane['oldest_ms'])}"]
    if lane["in_flight"]:
        words.append(f"{lane['in_flight']} being tried")
    lines = [", ".join(words)]
    if lane["failing_since_ms"]:
        tries = f"{lane['attempts']} attempts at the oldest"
        lines.append(f"  failing since {_time(lane['failing_since_ms'])}, {tries}: {lane['last_error']}")
    if lane["next_try_ms"]:
        lines.append(f"  next try at {_time(lane['next_try_ms'])}")
    return lines


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
