"""Options and arguments that several verbs share."""

import sys
from pathlib import Path
from typing import TypeVar

import click

OUTPUT = click.Choice(["text", "json"])
OUTPUT_OPTION = click.Option(["--output"], type=OUTPUT, default="text", show_default=True, help="How to print it.")
TEXT_BYTES_MAX = 4 << 20
"""Of one file or of standard input: no event is larger than 1 MB, and a body of ours not larger than this."""

SENTENCE_CHARS_MAX = 200

C = TypeVar("C", bound=click.Command)


class Verbs(click.Group):
    """Its help has each verb's whole first sentence, where click cuts it off at the end of the line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        verbs = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.get_short_help_str(SENTENCE_CHARS_MAX)) for name, verb in verbs if verb])


def reads(command: C) -> C:
    """The options of every verb that asks a running server."""
    return prints(serves(command))


def serves(command: C) -> C:
    """Which server, and whose state."""
    options = [
        click.Option(
            ["--endpoint-url"],
            envvar="TOCSIN_ENDPOINT",
            default="http://127.0.0.1:4566",
            show_default=True,
            show_envvar=True,
            help="The server to ask.",
        ),
        click.Option(["--account"], help="Whose state is meant. [default: the server's]"),
        click.Option(["--region"], help="Which region's state is meant. [default: the server's]"),
    ]
    command.params.extend(options)
    return command


def prints(command: C) -> C:
    """The option of every verb that works by itself."""
    command.params.append(OUTPUT_OPTION)
    return command


def given_text(given: str) -> str:
    """What an argument says: a text, `@FILE` for a file's, `-` for standard input's. Raises click.UsageError."""
    try:
        if given == "-":
            raw = sys.stdin.buffer.read(TEXT_BYTES_MAX + 1)
        elif given.startswith("@"):
            with Path(given[1:]).open("rb") as file:
                raw = file.read(TEXT_BYTES_MAX + 1)
        else:
            return given
        if len(raw) > TEXT_BYTES_MAX:
            raise click.UsageError(f"{given} is larger than {TEXT_BYTES_MAX >> 20} MiB")
        return raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"cannot read {given}: {getattr(error, 'strerror', None) or error}") from error
