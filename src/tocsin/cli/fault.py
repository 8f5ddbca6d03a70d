"""`tocsin fault`: ask the server to let something go wrong, or not any more."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from tocsin.cli.client import Unreachable, delete, get, post
from tocsin.cli.show import Where, failed

PATH = "/_tocsin/v1/faults"
INJECTIONS = "/_tocsin/v1/injections"


def plan_fault(where: Where, asked: Mapping[str, object]) -> int:
    given = {name: value for name, value in asked.items() if value is not None}
    try:
        answer = post(where, PATH, given)
    except Unreachable as error:
        return failed(error)
    return _print(where, [answer["fault"]])


def list_faults(where: Where) -> int:
    try:
        planned = get(where, PATH)["faults"]
        inside = get(where, INJECTIONS)["injections"]
    except Unreachable as error:
        return failed(error)
    _print(where, planned, none="" if inside else "No fault is planned, and none is put in.")
    return _print(where, inside, _inside)


def put_in(where: Where, asked: Mapping[str, object]) -> int:
    try:
        answer = post(where, INJECTIONS, dict(asked))
    except Unreachable as error:
        return failed(error)
    return _print(where, [answer["injection"]], _inside)


def take_faults_out(where: Where, fault_id: str | None) -> int:
    try:
        answer = delete(where, INJECTIONS, id=fault_id)
    except Unreachable as error:
        return failed(error)
    return _print(where, answer["taken_out"], _inside, "No fault was put in.")


def clear_faults(where: Where, fault_id: str | None) -> int:
    try:
        answer = delete(where, PATH, id=fault_id)
    except Unreachable as error:
        return failed(error)
    return _print(where, answer["cleared"], none="No fault was planned.")


def _line(fault: Mapping[str, Any]) -> str:
    where = f"{fault['group'] or 'any group'} in {fault['cluster'] or 'any cluster'}"
    words = [f"{fault['id']}  {fault['kind']}", where]
    if fault["delay_s"]:
        words.append(f"{fault['delay_s']:g} s later")
    if fault["left"] is not None:
        words.append(f"{fault['left']} more")
    if fault["expires_ms"]:
        until = datetime.fromtimestamp(fault["expires_ms"] / 1000, UTC)
        words.append(f"until {until:%Y-%m-%d %H:%M:%S}")
    words.append(f"met by {len(fault['struck'])}")
    return "  ".join(words)


def _inside(fault: Mapping[str, Any]) -> str:
    """A fault that is in a node."""
    until = datetime.fromtimestamp(fault["until_ms"] / 1000, UTC)
    what = " ".join(filter(None, (fault["what"], fault["argument"], fault["part"])))
    node = f"{fault['cluster']}/{fault['node']} ({fault['instance_id']})"
    unsaid = "" if fault["confirmed"] else "  not confirmed"
    return f"{fault['id']}  {what}  in {node}  until {until:%Y-%m-%d %H:%M:%S}{unsaid}"


def _print(
    where: Where,
    faults: Sequence[Mapping[str, Any]],
    line: Callable[[Mapping[str, Any]], str] = _line,
    none: str = "",
) -> int:
    """`none` is what people read where there are no faults."""
    for fault in faults:
        click.echo(json.dumps(fault) if where["output"] == "json" else line(fault))
    if none and not faults and where["output"] != "json":
        click.echo(none)
    return 0
