"""`tocsin config check`: what was found, a line each."""

import json
import os
from pathlib import Path

import click
import msgspec
from rich.markup import escape

from tocsin.cli.show import printer
from tocsin.server.checks import Finding, Level, check

STYLES = {Level.ERROR: "bold red", Level.WARNING: "yellow"}


def show_check(file: Path | None, online: bool, output: str) -> int:
    found = check(file, os.environ, online=online)
    if output == "json":
        for one in found:
            click.echo(json.dumps(msgspec.to_builtins(one)))
    else:
        _print(found)
    return 2 if any(one.level is Level.ERROR for one in found) else 1 if found else 0


def _print(found: list[Finding]) -> None:
    console = printer()
    for one in found:
        console.print(f"[{STYLES[one.level]}]{one.level}[/]  [bold]{escape(one.setting)}[/]  {escape(one.text)}")
    errors = sum(one.level is Level.ERROR for one in found)
    told = f"{_counted(errors, 'error')}, {_counted(len(found) - errors, 'warning')}."
    console.print(told if found else "Nothing is missing or wrong.")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
