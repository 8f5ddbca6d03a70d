"""`tocsin drill`: does it ring, and how fast?"""

import sys
from typing import Any

import click

from tocsin.cli.options import reads
from tocsin.cli.verbs.fault import Span, names_a_fault


@reads
@click.command()
@click.argument("node")
@names_a_fault
@click.option("--within", "limit_s", type=Span(), default="5m", show_default=True, help="Give up after so long.")
def drill(node: str, for_s: float, limit_s: float, **given: Any) -> None:
    """Put a fault into NODE, wait until it is found, told, delivered and mended, and print the time of each."""
    from tocsin.cli.drill import drill as run
    from tocsin.cli.injecting import asked

    where = {name: given.pop(name) for name in ("endpoint_url", "account", "region", "output")}
    sys.exit(run(where, asked(node, for_s, given), limit_s))
