"""`tocsin health`: ask the server, print."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from tocsin.cli.client import Unreachable, get, post
from tocsin.cli.show import Where, failed, printer, styled

PATH = "/_tocsin/v1/health"
SEVERITY_STYLE = {"fatal": "bold red", "error": "red", "warning": "yellow", "info": "dim"}


def show_health(where: Where) -> int:
    try:
        nodes = get(where, PATH)["nodes"]
    except Unreachable as error:
        return failed(error)
    if where["output"] == "json":
        for node in nodes:
            click.echo(json.dumps(node))
        return 0
    console = printer()
    if not nodes:
        console.print("Nothing is wrong with any node.")
    for node in nodes:
        _print_node(console, node)
    return 0


def explain_node(where: Where, name: str) -> int:
    try:
        [node] = get(where, PATH, node=name)["nodes"]
    except Unreachable as error:
        return failed(error)
    return _print_one(where, node)


def act(where: Where, asked: Mapping[str, str]) -> int:
    try:
        node = post(where, PATH, dict(asked))["node"]
    except Unreachable as error:
        return failed(error)
    return _print_one(where, node)


def _print_one(where: Where, node: Mapping[str, Any]) -> int:
    if where["output"] == "json":
        click.echo(json.dumps(node))
        return 0
    console = printer()
    _print_node(console, node)
    for fault in node["faults"]:
        _print_fault(console, fault)
    if not node["faults"]:
        _line(console, "  no faults are known")
    if node["deep"]:
        _print_check(console, node["deep"])
    if node["lemon"]["points"] and not node["lemon"]["lemon"]:
        _line(console, f"  {_lemon(node['lemon'])}")
    for done in node["mended"]:
        _line(console, f"  [dim]{when(done['at_ms'])}[/] {done['repair']} for {done['fault']}{_failed(done)}")
    return 0


_COUNTED = {"xid": "driver errors", "out": "taken out", "lost": "lost", "again": "repairs that did not last"}


def _lemon(score: Mapping[str, Any]) -> str:
    points = f"{score['points']} of {score['limit']} points" if score["limit"] else f"{score['points']} points"
    counted = [f"{words}: {score['counts'][kind]}" for kind, words in _COUNTED.items() if kind in score["counts"]]
    title = "[red]a lemon[/]" if score["lemon"] else "lemon score"
    return f"{title}: {points}, since {when(score['since_ms'])}: {', '.join(counted)}"


def _failed(done: Mapping[str, Any]) -> str:
    return f": failed: {escape(done['failed'])}" if done["failed"] else ""


def _print_node(console: Console, node: Mapping[str, Any]) -> None:
    since = f"  since {when(node['since_ms'])}" if node["since_ms"] else ""
    name = f"[bold]{escape(node['cluster'])}/{escape(node['name'])}[/] {node['instance_id']}"
    fault = f"  {escape(node['fault_type'])}" if node["fault_type"] else ""
    _line(console, f"{name}  {styled(node['status'])}  {styled(node['health'])}{fault}{since}")
    if node["message"]:
        _line(console, f"  {escape(node['message'])}")
    if node["advice"]:
        _line(console, f"  {escape(node['advice'])}")
    _line(console, f"  next: {escape(node['next'])}")
    if node["lemon"]["lemon"]:
        _line(console, f"  {_lemon(node['lemon'])}")
    if not node["message"]:
        for fault in node["faults"]:
            _line(console, f"  {_title(fault)}")


def _print_check(console: Console, check: Mapping[str, Any]) -> None:
    begun = f" [dim]{when(check['since_ms'])}[/]" if check["since_ms"] else ""
    _line(console, f"  deep health check ({', '.join(check['kinds'])}) {check['state']}{begun}")
    for one in check["results"]:
        speed = f"  {one['value']:.4g} {escape(one['unit'])}" if "metric" in one else ""
        detail = f"  {escape(one['detail'])}" if "detail" in one else ""
        _line(console, f"    {styled(one['outcome'])} {escape(one['test'])}{speed}{detail}")


def _print_fault(console: Console, fault: Mapping[str, Any]) -> None:
    _line(console, f"  {_title(fault)}  [dim]{escape(fault['source'])}[/]")
    _line(console, f"    {escape(fault['text'])}")
    last = f", last {when(fault['last_ms'])}" if fault["count"] > 1 else ""
    _line(console, f"    since {when(fault['since_ms'])}, seen {_times(fault['count'])}{last}")
    observed = "; it is only observed" if fault["observed"] else ""
    _line(console, f"    {fault['why']}{observed}; asks for: {fault['repair']}; ends {fault['ends']}")
    if fault["advice"]:
        _line(console, f"    {escape(fault['advice'])}")
    if fault["fault_type"]:
        _line(console, f"    in events: {escape(fault['fault_type'])}, {escape(fault['reason'])}")


def _title(fault: Mapping[str, Any]) -> str:
    style = SEVERITY_STYLE.get(fault["severity"], "")
    part = f" of {escape(fault['part'])}" if fault["part"] else ""
    return f"[{style}]{fault['severity']}[/] {escape(fault['fault'])}{part}"


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def when(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
