"""`tocsin notify`: whether people and programs are really told."""

import sys

import click

from tocsin.cli.options import Verbs, reads

SECONDS = click.FloatRange(0, 3600)


@click.group(cls=Verbs)
def notify() -> None:
    """Whether people and programs are really told."""


@reads
@notify.command()
@click.argument("to", metavar="TOPIC|CHANNEL")
@click.option("--wait", "wait_s", type=SECONDS, default=30, show_default=True, help="Seconds to wait for answers.")
def test(to: str, wait_s: float, **where: str | None) -> None:
    """Send one message through the whole path and report each hop, with the answer of whoever took it.

    TOPIC is a topic's name or ARN, CHANNEL those of a chat's configuration. Exits 1 if the message did not reach
    everybody it should.
    """
    from tocsin.cli.notify import show_test

    sys.exit(show_test(where, to, wait_s))
