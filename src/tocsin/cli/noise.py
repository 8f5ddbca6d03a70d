"""`tocsin noise`: ask our own operation, print. JSON output is a control a line."""

import json
from typing import Any

import click

from tocsin.cli.client import Unreachable, get, post
from tocsin.cli.show import Where, failed

NOISE = "/_tocsin/v1/noise"


def change_noise(where: Where, rule: str, target: str, bus: str, control: str) -> int:
    asked = {"rule": rule, "target": target, "bus": bus, "control": control}
    try:
        return _print(where, post(where, NOISE, asked)["controls"])
    except Unreachable as error:
        return failed(error)


def show_noise(where: Where, bus: str | None, rule: str | None) -> int:
    try:
        return _print(where, get(where, NOISE, bus=bus, rule=rule)["controls"])
    except Unreachable as error:
        return failed(error)


def _print(where: Where, controls: list[dict[str, Any]]) -> int:
    for one in controls:
        if where["output"] == "json":
            click.echo(json.dumps(one))
        else:
            place = f"{one['rule']} on {one['bus']}, target {one['target']}"
            click.echo(f"{place}: {one['control']}  (by {one['by']}, held back {one['held']})")
    if not controls and where["output"] != "json":
        click.echo("No noise control: every delivery is made.")
    return 0
