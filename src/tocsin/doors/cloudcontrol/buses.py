"""AWS::Events::EventBus by EventBridge's operations, its resource policy included."""

from typing import Any

from tocsin.core.cloud.mapping import differing, document, given, tag_list
from tocsin.core.cloud.schemas import BUS
from tocsin.doors.cloudcontrol.asking import Asking
from tocsin.doors.cloudcontrol.kind import Kind, Model, or_undone, retag

_CREATED = ("Name", "EventSourceName", "Description", "KmsKeyIdentifier", "DeadLetterConfig", "LogConfig", "Tags")
# What an update says when a property was taken away: leaving it out would leave it as it is.
_CLEARED: dict[str, Any] = {"Description": "", "KmsKeyIdentifier": "", "DeadLetterConfig": {}, "LogConfig": {}}


async def create(ask: Asking, model: Model) -> str:
    name = str(model["Name"])
    await ask("events", "CreateEventBus", **given(model, _CREATED))
    if "Policy" in model:
        await or_undone(_permit(ask, name, model["Policy"]), lambda: delete(ask, name))
    return name


async def read(ask: Asking, identifier: str) -> dict[str, Any]:
    members = await ask("events", "DescribeEventBus", Name=identifier)
    tags = await ask("events", "ListTagsForResource", ResourceARN=members["Arn"])
    return {**given(members, BUS.properties), "Tags": tags["Tags"]}


async def update(ask: Asking, identifier: str, before: Model, after: Model) -> bool:
    changed = differing(before, after, _CLEARED)
    if changed:
        members = {name: _CLEARED[name] if value is None else value for name, value in changed.items()}
        await ask("events", "UpdateEventBus", Name=identifier, **members)
    if differing(before, after, ["Policy"]):
        await _permit(ask, identifier, after.get("Policy"))
    await retag(
        before,
        after,
        lambda tags: ask("events", "TagResource", ResourceARN=before["Arn"], Tags=tag_list(tags)),
        lambda keys: ask("events", "UntagResource", ResourceARN=before["Arn"], TagKeys=keys),
    )
    return False


async def delete(ask: Asking, identifier: str) -> None:
    await ask("events", "DeleteEventBus", Name=identifier)


async def listed(ask: Asking) -> list[str]:
    return [bus["Name"] for bus in await ask.all("events", "ListEventBuses", "EventBuses")]


async def _permit(ask: Asking, name: str, policy: object) -> None:
    if policy is None:
        await ask("events", "RemovePermission", EventBusName=name, RemoveAllPermissions=True)
    else:
        await ask("events", "PutPermission", EventBusName=name, Policy=document(policy))


KIND = Kind(BUS, create, read, update, delete, listed)
