"""`tocsin channels`: which channels of chats hear which topics, and where the settings say nothing of them."""

import json
from collections.abc import Mapping

import click
from rich.markup import escape
from rich.table import Table

from tocsin.cli.client import Unreachable, get
from tocsin.cli.show import failed, printer


def show(where: Mapping[str, str | None], topic: str | None) -> int:
    try:
        found = get(where, "/_tocsin/v1/channels", topic=topic)
    except Unreachable as error:
        return failed(error)
    lines = [*found["channels"], *found["services"]]
    if where["output"] == "json":
        for line in lines:
            click.echo(json.dumps(line))
        return 0
    console = printer()
    if not lines:
        console.print("No channels.")
        return 0
    table = Table(box=None, padding=(0, 2), show_header=False)
    for one in found["channels"]:
        how = f"by {one['address']}" if one["address"] else "[red]no address in the settings[/]"
        topics = ", ".join(arn.rpartition(":")[2] for arn in one["topics"]) or "[dim]no topics[/]"
        table.add_row(escape(one["configuration"]), one["kind"], escape(one["channel"]), topics, how)
    for one in found["services"]:
        table.add_row(escape(one["service"]), "apprise", "", escape(one["topic"].rpartition(":")[2]), "")
    console.print(table)
    return 0
