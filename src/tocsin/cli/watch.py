"""`tocsin events`: past events and those that come. JSON output is the envelopes, one a line."""

import json
import sys
from collections import deque
from collections.abc import Generator, Iterator
from typing import Any

import click
from msgspec import Struct
from msgspec.structs import asdict

from tocsin.cli.client import Unreachable, get, get_patiently
from tocsin.cli.show import Where, describe_event, failed, printer

LAST = 20
WAIT_S = 20  # of one long poll; the server ends it sooner when something happens

Answer = dict[str, Any]


class Filter(Struct, frozen=True, kw_only=True):
    """What the server is asked to choose events by; None: everything. Times are epoch milliseconds."""

    source: str | None = None
    detail_type: str | None = None
    cluster: str | None = None
    bus: str | None = None
    match: str | None = None
    held: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None


def show_events(where: Where, wanted: Filter, last: int | None, *, follow: bool) -> int:
    console = printer()
    try:
        for event in _events(where, asdict(wanted), last, follow=follow):
            if where["output"] == "json":
                click.echo(json.dumps(event))
            else:
                console.print(describe_event(event), highlight=False, soft_wrap=True)
            sys.stdout.flush()
    except Unreachable as error:
        return failed(error)
    except KeyboardInterrupt:
        return 130
    return 0


def _events(where: Where, wanted: dict[str, Any], last: int | None, *, follow: bool) -> Iterator[Answer]:
    """Past events, then, when following, each as it comes."""
    if wanted["since_ms"] is None:
        answer = get(where, "/_tocsin/v1/events", last=LAST if last is None else max(last, 0), **wanted)
        yield from answer["events"]
        place = answer["after"]
    else:
        place = yield from _since(where, wanted, last)
    while follow:
        answer = get_patiently(where, "/_tocsin/v1/events", after=place, wait_s=WAIT_S, **wanted)
        yield from answer["events"]
        place = answer["after"]


def _since(where: Where, wanted: dict[str, Any], last: int | None) -> Generator[Answer, None, int]:
    """All events of the time, or the last of them, in as many calls as it takes; answers the place to go on from."""
    kept: deque[Answer] = deque(maxlen=max(last or 0, 0))
    answer = get(where, "/_tocsin/v1/events", **wanted)
    while True:
        if last is None:
            yield from answer["events"]
        kept.extend(answer["events"])
        if not answer["more"]:
            yield from kept
            place: int = answer["after"]
            return place
        answer = get(where, "/_tocsin/v1/events", after=answer["after"], **wanted)
