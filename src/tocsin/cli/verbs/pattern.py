"""`tocsin pattern`: event patterns tried and examined. No server is asked."""

import sys
from typing import NoReturn

import click

from tocsin.cli.options import Verbs, given_text, prints

NO_MATCH, INVALID = 1, 2


@click.group(cls=Verbs)
def pattern() -> None:
    """Try event patterns and examine them. No server is needed.

    PATTERN and EVENT are JSON, or @FILE, or - for standard input.
    """


@prints
@pattern.command()
@click.argument("pattern_text", metavar="PATTERN")
@click.argument("event_text", metavar="EVENT")
@click.option("--explain", is_flag=True, help="Say which fields hold and which do not, what was there, what is near.")
def test(pattern_text: str, event_text: str, explain: bool, output: str) -> None:
    """Whether the pattern matches the event. Each is JSON, or @FILE, or - for standard input.

    Exits 0 when it does, 1 when it does not, 2 when either is not valid.
    """
    if pattern_text == event_text == "-":
        raise click.UsageError("PATTERN and EVENT cannot both be standard input")
    import json

    from msgspec import to_builtins

    from tocsin.core import patterns
    from tocsin.model.errors import InvalidEventPattern

    try:
        parsed = patterns.parse(given_text(pattern_text))
    except InvalidEventPattern as error:
        _invalid(error.message)
    try:
        event = patterns.load_event(given_text(event_text))
    except ValueError as error:
        _invalid(f"Event is not valid JSON: {error}")
    if not isinstance(event, dict):
        _invalid("Event is not a JSON object.")
    explanation = patterns.explain(parsed, event) if explain else None
    matched = explanation.matched if explanation else patterns.matches(parsed, event)
    if output == "json":
        click.echo(json.dumps(to_builtins(explanation) if explanation else {"matched": matched}))
    elif explanation:
        click.echo("\n".join(patterns.lines(explanation)))
    else:
        click.echo("Match." if matched else "No match.")
    sys.exit(0 if matched else NO_MATCH)


@prints
@pattern.command()
@click.argument("pattern_text", metavar="PATTERN")
def lint(pattern_text: str, output: str) -> None:
    """What the pattern costs, and what in it can hardly be meant. It is JSON, or @FILE, or - for standard input.

    Exits 0 when there is nothing to say, 1 when there is, 2 when the pattern is not valid.
    """
    import json

    from msgspec import to_builtins

    from tocsin.core import patterns
    from tocsin.model.errors import InvalidEventPattern

    try:
        report = patterns.lint(given_text(pattern_text))
    except InvalidEventPattern as error:
        _invalid(error.message)
    if output == "json":
        click.echo(json.dumps(to_builtins(report)))
    else:
        click.echo(f"complexity    {report.complexity} of {report.complexity_max}")
        click.echo(f"combinations  {report.combinations} of {report.combinations_max}")
        click.echo(f"characters    {report.chars} of {report.chars_max}")
        for note in report.notes:
            place = " in ".join(part for part in (note.path, note.where) if part)
            click.echo(f"{place}: {note.text} [{note.kind}, {note.rule}]")
    sys.exit(NO_MATCH if report.notes else 0)


def _invalid(reason: str) -> NoReturn:
    click.echo(f"tocsin: {reason}", err=True)
    sys.exit(INVALID)
