"""`tocsin health`: what is wrong with nodes, what happens next, and what a person may do about it."""

import sys

import click

from tocsin.cli.options import Verbs, reads


@reads
@click.group(cls=Verbs, invoke_without_command=True)
@click.pass_context
def health(context: click.Context, /, **where: str | None) -> None:
    """What is wrong where, since when, what happens next and why it waits."""
    if context.invoked_subcommand is None:
        from tocsin.cli.health import show_health

        sys.exit(show_health(where))


@reads
@health.command()
@click.argument("node")
def explain(node: str, **where: str | None) -> None:
    """Everything known of NODE (instance id, or a name such as worker-2): each fault, why it counts, what ends it."""
    from tocsin.cli.health import explain_node

    sys.exit(explain_node(where, node))


@reads
@health.command()
@click.argument("node")
@click.option("--fault", default="", help="Only this fault type: xid-79, xid, disk-full. [default: all]")
@click.option("--part", default="", help="Only of this part: a GPU, a mount. [default: all]")
@click.option("--reason", default="", help="Why, for the story.")
def clear(node: str, fault: str, part: str, reason: str, **where: str | None) -> None:
    """Call faults of NODE over, and forget what was tried about them. What lasts is found again."""
    from tocsin.cli.health import act

    sys.exit(act(where, {"action": "clear", "node": node, "fault": fault, "part": part, "reason": reason}))


@reads
@health.command()
@click.argument("node")
@click.option("--reason", default="", help="Why, for the story and the event.")
def quarantine(node: str, reason: str, **where: str | None) -> None:
    """Put NODE aside: it is Unhealthy, and nothing is done about it until `tocsin health clear`."""
    from tocsin.cli.health import act

    sys.exit(act(where, {"action": "quarantine", "node": node, "reason": reason}))
