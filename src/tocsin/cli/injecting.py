"""The options that name a fault -> what the server is asked to put in. For `tocsin fault inject` and `tocsin drill`."""

from collections.abc import Mapping
from typing import Any

import click

FLAGS = ("hang", "dead")


def asked(node: str, for_s: float, given: Mapping[str, Any]) -> dict[str, Any]:
    """Raises click.UsageError unless one fault is named."""
    named = [(name, value) for name, value in given.items() if value is not None and value is not False]
    if len(named) != 1:
        raise click.UsageError("name one fault: --xid 79, say")
    [(name, value)] = named
    return {"node": node, "for_s": for_s, **_what(name, value)}


def _what(name: str, value: Any) -> dict[str, str]:
    if name == "reading":
        return {"what": "reading", "argument": value[0], "part": value[1]}
    what = name.replace("_", "-")
    return {"what": what} if name in FLAGS else {"what": what, "argument": str(value)}
