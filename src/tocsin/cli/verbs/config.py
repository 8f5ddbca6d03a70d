"""`tocsin config`: the settings, before anything is started with them."""

import sys
from pathlib import Path

import click

from tocsin.cli.options import Verbs, prints


@click.group(cls=Verbs)
def config() -> None:
    """The settings, before anything is started with them."""


@prints
@config.command()
@click.option("--config", "file", type=click.Path(path_type=Path, dir_okay=False), help="TOML file with settings.")
@click.option("--online", is_flag=True, help="Connect to the mail server and the chats, too.")
def check(file: Path | None, online: bool, output: str) -> None:
    """Say what is missing or wrong in the settings file and the environment.

    Exits 0 when nothing is, 1 when something is missing or unwise, 2 when the server would not start.
    """
    from tocsin.cli.config import show_check

    sys.exit(show_check(file, online, output))
