"""`tocsin channels`: who hears which topic."""

import sys

import click

from tocsin.cli.options import reads


@reads
@click.command()
@click.option("--topic", help="Only those that hear this topic, by name or ARN.")
def channels(topic: str | None, **where: str | None) -> None:
    """Channels of chats, the topics they hear, and how they are posted to."""
    from tocsin.cli.channels import show

    sys.exit(show(where, topic))
