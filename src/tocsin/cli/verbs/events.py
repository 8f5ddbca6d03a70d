"""`tocsin events`: what the bus accepted, past and to come. By itself it shows them; its own verbs do other things."""

import sys
from datetime import UTC, datetime

import click

from tocsin.cli.options import Verbs, given_text, reads, serves


class When(click.ParamType[int]):
    """Epoch milliseconds."""

    name = "when"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from tocsin.cli.when import epoch_ms

        if isinstance(value, int):
            return value
        try:
            return epoch_ms(str(value), datetime.now(UTC))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@reads
@click.group(cls=Verbs, invoke_without_command=True)
@click.option("--follow", "-f", is_flag=True, help="Go on with what happens from now on.")
@click.option("--last", type=int, help="How many past events to begin with. [default: 20; with --since, all]")
@click.option("--since", type=When(), help="Only events from then on: 30m, 2h, 7d (ago), or 2026-01-01T10:00Z.")
@click.option("--until", type=When(), help="Only events before then.")
@click.option("--match", metavar="PATTERN", help="Only events that this event pattern matches: JSON, @FILE or -.")
@click.option("--bus", help="Only events of this bus.")
@click.option("--source", help="Only events of this source.")
@click.option("--detail-type", help="Only events whose detail-type contains this text.")
@click.option("--cluster", help="Only events of this cluster.")
@click.option("--held", is_flag=True, help="Only events of which noise control held a delivery back.")
def events(
    follow: bool,
    held: bool,
    last: int | None,
    since: int | None,
    until: int | None,
    match: str | None,
    **given: str | None,
) -> None:
    """Events as the bus accepted them, whether a rule matched or not."""
    context = click.get_current_context()
    if context.invoked_subcommand is not None:
        _demand_none(context)
        return
    if follow and until is not None:
        raise click.UsageError("--follow and --until do not go together")
    from tocsin.cli.watch import Filter, show_events

    wanted = Filter(
        since_ms=since,
        until_ms=until,
        match=_pattern(match) if match else None,
        held=1 if held else None,
        **{name: given.pop(name) for name in ("bus", "source", "detail_type", "cluster")},
    )
    sys.exit(show_events(given, wanted, last, follow=follow))


def _demand_none(context: click.Context) -> None:
    """An option before a verb would be lost, and the verb would go to another server. Raises click.UsageError."""
    for parameter in context.command.params:
        if context.get_parameter_source(str(parameter.name)) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[0]} belongs behind {context.invoked_subcommand}")


def _pattern(given: str) -> str:
    """The pattern's text, once it is known to be valid."""
    from tocsin.core.patterns import parse
    from tocsin.model.errors import InvalidEventPattern

    try:
        return parse(given_text(given)).text
    except InvalidEventPattern as error:
        raise click.BadParameter(error.message, param_hint="--match") from error


@serves
@events.command()
@click.argument("file")
@click.option("--bus", help="The bus to put them on, where an event does not say. [default: default]")
@click.option("--as-service", is_flag=True, help="Put events of AWS's services, too; they are marked as made by hand.")
def publish(file: str, bus: str | None, as_service: bool, **where: str | None) -> None:
    """Put events on the bus with PutEvents, as any client does, or as the service whose events they are.

    FILE, or - for standard input, holds one event, a list of them, or one a line: envelopes, or objects with source,
    detail-type and detail. Exits 1 if one was refused.
    """
    from tocsin.cli.publish import publish_as_service, publish_events

    text = given_text(file if file == "-" else f"@{file}")
    sys.exit(publish_as_service(where, text, bus) if as_service else publish_events(where, text, bus))
