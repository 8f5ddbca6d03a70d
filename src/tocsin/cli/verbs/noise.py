"""`tocsin noise`: what targets are spared. Off unless set here, or by a tag on the rule."""

import sys

import click

from tocsin.cli.options import Verbs, reads


@click.group(cls=Verbs)
def noise() -> None:
    """Spare targets repeats and floods: de-duplicate, throttle, only on change."""


@reads
@noise.command("set")
@click.argument("rule")
@click.argument("target")
@click.argument("control", nargs=-1, required=True)
@click.option("--bus", default="default", show_default=True, help="The bus that the rule is on.")
def set_(rule: str, target: str, control: tuple[str, ...], bus: str, **where: str | None) -> None:
    """Set the CONTROL of the rule's TARGET, in place of what was set or tagged before.

    CONTROL is one or more of on-change=FIELD[/KEY+KEY], deduplicate=KEY[+KEY]/WINDOW and throttle=N/WINDOW. FIELD and
    KEY are paths like detail.InstanceId, WINDOW is a time like 30s, 5m or 1h.
    """
    from tocsin.cli.noise import change_noise

    sys.exit(change_noise(where, rule, target, bus, " ".join(control)))


@reads
@noise.command()
@click.argument("rule")
@click.argument("target")
@click.option("--bus", default="default", show_default=True, help="The bus that the rule is on.")
def clear(rule: str, target: str, bus: str, **where: str | None) -> None:
    """Take away what `set` set for the rule's TARGET. What the rule's tags say holds again."""
    from tocsin.cli.noise import change_noise

    sys.exit(change_noise(where, rule, target, bus, ""))


@reads
@noise.command("list")
@click.option("--bus", help="Only rules of this bus.")
@click.option("--rule", help="Only this rule.")
def list_(bus: str | None, rule: str | None, **where: str | None) -> None:
    """The controls that hold, where they come from, and how much each held back since the server started."""
    from tocsin.cli.noise import show_noise

    sys.exit(show_noise(where, bus, rule))
