"""Finding what a request names: a group by name, identifier or ARN, a stream of it. Every other file here asks it."""

from typing import Any

from tocsin.doors.door import Context
from tocsin.model.errors import InvalidParameter, ResourceNotFoundException, Validation
from tocsin.model.logs import LogGroup, LogStream
from tocsin.model.names import Scope, log_group_of
from tocsin.ports import Store

NO_GROUP = "The specified log group does not exist."
NO_STREAM = "The specified log stream does not exist."


async def named_group(store: Store, scope: Scope, name: str) -> LogGroup:
    group = await store.get(LogGroup, scope, name)
    if group is None:
        raise ResourceNotFoundException(NO_GROUP)
    return group


async def asked_group(store: Store, context: Context, request: dict[str, Any]) -> LogGroup:
    """The group of an operation that takes logGroupName or logGroupIdentifier (a name or an ARN), one of them."""
    name, identifier = request.get("logGroupName"), request.get("logGroupIdentifier")
    if name and identifier:
        raise Validation("LogGroup name and LogGroup ARN are mutually exclusive parameters.")
    if not name and not identifier:
        raise Validation("Either LogGroup name or LogGroup ARN must be specified.")
    return await named_group(store, context.scope, name or identified(context.scope, str(identifier)))


def identified(scope: Scope, identifier: str) -> str:
    """The group name of an identifier. Groups of other accounts and regions are not to be seen from here."""
    if not identifier.startswith("arn:"):
        return identifier
    place = log_group_of(identifier)
    if place is None:
        raise InvalidParameter(f"The specified log group ARN is invalid: {identifier}")
    if place[0] != scope:
        raise ResourceNotFoundException(NO_GROUP)
    return place[1]


async def find_stream(store: Store, group: LogGroup, name: str) -> LogStream | None:
    """The stream of this very name: in name order it comes before all longer ones it is a prefix of."""
    found = await store.log_streams(group.scope, group.name, prefix=name, limit=1)
    return found[0] if found and found[0].name == name else None


async def named_stream(store: Store, group: LogGroup, name: str) -> LogStream:
    stream = await find_stream(store, group, name)
    if stream is None:
        raise ResourceNotFoundException(NO_STREAM)
    return stream
