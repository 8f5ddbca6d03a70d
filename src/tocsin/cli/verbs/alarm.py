"""`tocsin alarm`: set the alarms that software updates listen to."""

import sys

import click

from tocsin.cli.options import Verbs, reads


@click.group(cls=Verbs)
def alarm() -> None:
    """Alarms that roll software updates back (DeploymentConfig's AutoRollbackConfiguration)."""


@reads
@alarm.command("set")
@click.argument("name")
@click.argument("state", type=click.Choice(["OK", "ALARM", "INSUFFICIENT_DATA"]))
@click.option("--reason", help="Why, for whoever reads it later.")
def set_(name: str, state: str, reason: str | None, **where: str | None) -> None:
    """Set the alarm NAME to STATE."""
    from tocsin.cli.alarm import set_alarm

    sys.exit(set_alarm(where, name, state, reason or ""))


@reads
@alarm.command("list")
def list_(**where: str | None) -> None:
    """All alarms that were ever set."""
    from tocsin.cli.alarm import list_alarms

    sys.exit(list_alarms(where))
