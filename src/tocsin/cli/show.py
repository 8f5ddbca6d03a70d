"""`tocsin status` and `story`: ask the server, print. JSON output is what it answers, a value a line."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tocsin.cli.client import Unreachable, get, get_patiently

Where = Mapping[str, str | None]

PIPED_WIDTH = 4000
NODES_SHOWN = 50  # of one cluster: a screen. Of a larger one, those that are not calm
FOLLOW_S = 1.0  # between two looks for new lines of a story
STATUS_STYLE = {
    "InService": "green",
    "Running": "green",
    "Healthy": "green",
    "Failed": "bold red",
    "Failure": "bold red",
    "Unhealthy": "bold red",
    "RollingBack": "red",
    "Degraded": "red",
    "Deleting": "yellow",
    "ShuttingDown": "yellow",
}


def show_status(where: Where, name: str | None, *, everything: bool) -> int:
    """`everything`: calm nodes of a large cluster, too."""
    try:
        answer = get(where, "/_tocsin/v1/status", cluster=name, nodes_max=None if everything else NODES_SHOWN)
    except Unreachable as error:
        return failed(error)
    if name and not answer["clusters"]:
        click.echo(f"There is no cluster {name}. `tocsin status` lists those there are.", err=True)
        return 1
    if where["output"] == "json":
        click.echo(json.dumps(answer))
        return 0
    console = printer()
    if not answer["clusters"]:
        console.print(f"No clusters in account {answer['account']}, {answer['region']}.")
    for cluster in answer["clusters"]:
        _print_cluster(console, cluster)
    return 0


def _print_cluster(console: Console, cluster: Mapping[str, Any]) -> None:
    arn = cluster["ClusterArn"]
    console.print(f"[bold]{escape(cluster['ClusterName'])}[/]  {styled(cluster['ClusterStatus'])}  [dim]{arn}[/]")
    if cluster.get("FailureMessage"):
        console.print(f"  [red]{escape(cluster['FailureMessage'])}[/]")
    for group in cluster["InstanceGroups"]:
        count = f"{group['CurrentCount']}/{group['TargetCount']}"
        name, kind = escape(group["InstanceGroupName"]), group["InstanceType"]
        console.print(f"  {name}  {count}  {kind}  {styled(group['Status'])}")
    table = Table(box=None, padding=(0, 2), show_header=False)
    for node in sorted(cluster["Nodes"], key=lambda one: (one["InstanceGroupName"], one["Name"])):
        state = node["InstanceStatus"]
        name, note = escape(node["Name"]), escape(state.get("Message") or "")
        table.add_row(f"    {name}", node["InstanceId"], styled(state["Status"]), styled(node["Health"]), note)
    if table.row_count:
        console.print(table)
    left_out = cluster["NodesLeftOut"]
    if left_out:
        which = "more run and are well" if len(cluster["Nodes"]) < NODES_SHOWN else "more are not shown"
        console.print(f"    [dim]{left_out:,} {which}; --all shows them[/]")
    for reason in cluster["Waiting"]:
        console.print(f"  [yellow]waiting:[/] {escape(reason)}")


def describe_event(event: Mapping[str, Any]) -> str:
    """One line of an event, marked up for rich: when, what, the facts that matter."""
    detail = event["detail"]
    what = event["detail-type"].removeprefix("SageMaker HyperPod ")
    if "ClusterStatus" in detail:
        groups = ", ".join(
            f"{group['InstanceGroupName']} {group['CurrentCount']}/{group['TargetCount']} {group['Status']}"
            for group in detail.get("InstanceGroups") or []
        )
        facts = f"{escape(detail['ClusterName'])} {styled(detail['ClusterStatus'])}  {escape(groups)}"
        if detail.get("FailureMessage"):
            facts += f"  [red]{escape(detail['FailureMessage'])}[/]"
    elif "HealthSummary" in detail:
        health = detail["HealthSummary"]
        facts = f"{escape(detail['ClusterName'])} {detail['InstanceId']} {styled(health['HealthStatus'])}"
        facts += f"  {escape(health['HealthStatusReason'])}  repair: {escape(health['RepairAction'])}"
    elif "command-id" in detail:
        where = f" on {escape(detail['instance-id'])}" if "instance-id" in detail else ""
        facts = f"{escape(detail['document-name'])} {styled(detail['status'])}{where}  [dim]{detail['command-id']}[/]"
    else:
        facts = f"[dim]{escape(event['source'])}[/] {escape(json.dumps(detail))}"
    return f"[dim]{event['time']}[/] [cyan]{escape(what)}[/]  {facts}{_marks(event.get('tocsin', {}))}"


def _marks(told: Mapping[str, Any]) -> str:
    """What only the journal knows of an event."""
    marks = ["made by hand"] if told.get("by_hand") else []
    for one in told.get("held", []):
        rule = one["rule"].partition(":rule/")[2]
        marks.append(f"held back from {rule}, {one['target']} by {one['by']}: {one['why']}")
    return "".join(f"  [magenta]{escape(mark)}[/]" for mark in marks)


def show_story(where: Where, name: str, last: int | None, *, follow: bool) -> int:
    console = printer()
    told = False
    try:
        for line in _story(where, name, last, follow=follow):
            told = True
            if where["output"] == "json":
                click.echo(json.dumps(line))
            else:
                console.print(_told(line), highlight=False, soft_wrap=True)
            sys.stdout.flush()
    except Unreachable as error:
        return failed(error)
    except KeyboardInterrupt:
        return 130
    if not told:
        click.echo(f"Nothing is told of {name}. `tocsin status` lists the clusters there are.", err=True)
        return 1
    return 0


def _told(line: Mapping[str, Any]) -> str:
    at = datetime.fromtimestamp(line["at_ms"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    node = f"[dim]{line['instance_id']}[/] " if line["instance_id"] else ""
    why = f"  [dim]({escape(line['why'])})[/]" if line["why"] else ""
    return f"[dim]{at}[/] {line['chapter']:<8} {node}{escape(line['what'])}{why}"


def _story(where: Where, name: str, last: int | None, *, follow: bool) -> Iterator[dict[str, Any]]:
    """All lines or the last, a page at a time; then, when following what is known, each as it comes."""
    answer = get(where, "/_tocsin/v1/story", of=name, last=last)
    follow = follow and bool(answer["lines"])
    while True:
        yield from answer["lines"]
        if not follow and (last or not answer["lines"]):
            return
        if not answer["lines"]:
            time.sleep(FOLLOW_S)
        ask = get_patiently if follow else get
        answer = ask(where, "/_tocsin/v1/story", of=name, after=answer["after"])


def printer() -> Console:
    """Lines as long as they are where no terminal shows them: who pipes them into grep wants them whole."""
    return Console() if sys.stdout.isatty() else Console(width=PIPED_WIDTH)


def styled(status: str) -> str:
    return f"[{STATUS_STYLE.get(status, 'yellow')}]{escape(status)}[/]"


def failed(error: Unreachable) -> int:
    click.echo(f"tocsin: {error}", err=True)
    return 1
