"""`tocsin rule explain`: ask the server, print. JSON output is its answer."""

import json
from typing import Any

import click
from rich.markup import escape

from tocsin.cli.client import Unreachable, get
from tocsin.cli.show import Where, describe_event, failed, printer


def show_explanation(where: Where, name: str, bus: str, last: int, event_id: str | None) -> int:
    """0: told, whether anything matched or not."""
    try:
        answer = get(where, "/_tocsin/v1/explain", rule=name, bus=bus, last=last, event_id=event_id)
    except Unreachable as error:
        return failed(error)
    if where["output"] == "json":
        click.echo(json.dumps(answer))
        return 0
    rule, events = answer["rule"], answer["events"]
    lines = [f"[bold]{escape(rule['name'])}[/] on {escape(rule['bus'])}, {rule['state']}  [dim]{rule['arn']}[/]"]
    lines += [f"  [red]{escape(one)}[/]" for one in answer["obstacles"]]
    lines += [f"  [magenta]Target {escape(name)} is spared: {escape(one)}[/]" for name, one in answer["noise"].items()]
    if event_id:
        lines += [line for event in events for line in [_head(event), *map(escape, event["lines"])]]
    elif rule["pattern"]:
        lines += [line for event in events for line in [_head(event), *_reason(event)]]
        matched = sum(event["matched"] for event in events)
        lines.append(f"{matched} of the last {len(events)} events match." if events else "No events on this bus yet.")
    console = printer()
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    return 0


def _head(event: dict[str, Any]) -> str:
    mark = "[green]match[/]   " if event["matched"] else "[yellow]no match[/]"
    line = f"{mark} [dim]{event['id']}[/] {describe_event(event['event']) if event['event'] else ''}"
    held = (f"held back from {one['target']} by {one['by']}: {one['why']}" for one in event["held"])
    return "\n         ".join([line, *(f"[magenta]{escape(one)}[/]" for one in held)])


def _reason(event: dict[str, Any]) -> list[str]:
    return [] if event["matched"] else [f"         {escape(event['why'])}"]
