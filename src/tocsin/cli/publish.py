"""`tocsin events publish`: events from a file onto the bus, by PutEvents as any client of AWS sends it.

Events of AWS's services, which PutEvents refuses, go by an operation of our own.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import click

from tocsin.cli.aws import aws
from tocsin.cli.client import Unreachable, post
from tocsin.cli.show import Where, failed

ENTRIES_MAX = 10
"""Of one PutEvents call: AWS's limit."""

_NEEDED = ("source", "detail-type", "detail")
NOT_TAKEN, INVALID = 1, 2


def publish_events(where: Where, text: str, bus: str | None) -> int:
    """0: all were taken. 1: the server refused one or does not answer. 2: the text holds no events; none is sent."""
    try:
        entries = [_entry(event, bus) for event in _events(text)]
    except ValueError as error:
        click.echo(f"tocsin: {error}", err=True)
        return INVALID
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        refused = sum(_put(aws(where, "events"), entries))
    except (BotoCoreError, ClientError, ValueError) as error:
        click.echo(f"tocsin: {error}", err=True)
        return NOT_TAKEN
    return NOT_TAKEN if refused else 0


def publish_as_service(where: Where, text: str, bus: str | None) -> int:
    """The same, each event as it is but for its id."""
    try:
        waiting = iter(_events(text))
    except ValueError as error:
        click.echo(f"tocsin: {error}", err=True)
        return INVALID
    named = {"bus": bus} if bus else {}
    try:
        while some := list(islice(waiting, ENTRIES_MAX)):
            for event_id in post(where, "/_tocsin/v1/events", {"events": some, **named})["ids"]:
                click.echo(event_id)
    except Unreachable as error:
        return failed(error)
    return 0


def _put(client: Any, entries: Sequence[dict[str, Any]]) -> Iterator[int]:
    """How many of each call's entries were refused. Ids go to standard output, reasons to standard error."""
    number, waiting = 0, iter(entries)
    while some := list(islice(waiting, ENTRIES_MAX)):
        answer = client.put_events(Entries=some)
        for one in answer["Entries"]:
            number += 1
            if "EventId" in one:
                click.echo(one["EventId"])
            else:
                click.echo(f"tocsin: event {number}: {one['ErrorCode']}: {one['ErrorMessage']}", err=True)
        yield answer["FailedEntryCount"]


def _events(text: str) -> list[dict[str, Any]]:
    """One event, a list of them, or one a line. Raises ValueError."""
    found = _values(text)
    for number, event in enumerate(found, 1):
        _demand_event(event, number)
    return found


def _values(text: str) -> list[Any]:
    try:
        given = json.loads(text)
    except ValueError as whole:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        if len(lines) < 2:
            raise ValueError(f"that is no JSON: {whole}") from None
        return [_line(number, line) for number, line in lines]
    found = given if isinstance(given, list) else [given]
    if not found:
        raise ValueError("there are no events in it")
    return found


def _line(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ValueError(f"line {number} is no JSON: {error}") from None


def _demand_event(event: Any, number: int) -> None:
    if not isinstance(event, dict):
        raise ValueError(f"event {number} is no JSON object")
    missing = [name for name in _NEEDED if name not in event]
    if missing:
        raise ValueError(f"event {number} has no {', '.join(missing)}")
    if not isinstance(event["detail"], dict):
        raise ValueError(f"the detail of event {number} is no JSON object")


def _entry(event: dict[str, Any], bus: str | None) -> dict[str, Any]:
    """The event as an entry of PutEvents; of an envelope, id, account and region are given anew."""
    entry = {
        "Source": event["source"],
        "DetailType": event["detail-type"],
        "Detail": json.dumps(event["detail"]),
        "Time": event.get("time"),
        "Resources": event.get("resources"),
        "EventBusName": bus,
    }
    return {name: value for name, value in entry.items() if value is not None}
