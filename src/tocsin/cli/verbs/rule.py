"""`tocsin rule`: what a rule does, and why."""

import sys

import click

from tocsin.cli.options import Verbs, reads


@click.group(cls=Verbs)
def rule() -> None:
    """What rules do, and why."""


@reads
@rule.command()
@click.argument("name")
@click.option("--bus", default="default", show_default=True, help="The bus that the rule is on.")
@click.option("--last", type=click.IntRange(1, 100), default=20, show_default=True, help="How many events to look at.")
@click.option("--event-id", help="Explain this one event, field by field.")
def explain(name: str, bus: str, last: int, event_id: str | None, **where: str | None) -> None:
    """Which of the last events on its bus the rule matches, as it is now, and why it does not match the others.

    Says first what keeps it from delivering: that it is disabled, has no targets, or has one that does not exist.
    """
    from tocsin.cli.explain import show_explanation

    sys.exit(show_explanation(where, name, bus, last, event_id))
