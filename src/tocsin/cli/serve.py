"""`tocsin serve`: settings in, exit code out."""

import asyncio
import gc
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from tocsin.cli.lines import write_log
from tocsin.model.errors import Locked, TocsinError
from tocsin.server import SettingsError, load, serve

USAGE_EXIT = 2
FAILED_EXIT = 1
# New objects between two searches for unreachable cycles. A batch of 2,000 events that is routed makes some ten each,
# all of which live until it is over: Python's own 700 looks through them again and again, and finds nothing.
COLLECTED_AFTER = 20_000


def run(config: Path | None, log_level: str, log_format: str, given: Mapping[str, object]) -> int:
    """Serve until told to stop. A setting that is wrong, or a directory in use, is said in one line."""
    write_log(log_level, log_format)
    try:
        settings = load(config, given)
        import uvloop  # here, so that a wrong setting is told at once

        gc.freeze()  # the program itself is never garbage
        gc.set_threshold(COLLECTED_AFTER, 10, 10)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(serve(settings, _ready))
    except SettingsError as error:
        click.echo(f"tocsin: {error}", err=True)
        return USAGE_EXIT
    except (Locked, TocsinError, OSError) as error:
        click.echo(f"tocsin: {error}", err=True)
        return FAILED_EXIT


def _ready(endpoint: str) -> None:
    click.echo(f"Tocsin is ready at {endpoint}")
    sys.stdout.flush()
