"""AWS::Events::Rule by EventBridge's operations: a rule with its targets."""

from typing import Any

from tocsin.core.cloud.mapping import differing, document, given, tag_list
from tocsin.core.cloud.schemas import RULE
from tocsin.doors.cloudcontrol.asking import Asking
from tocsin.doors.cloudcontrol.kind import Kind, Model, or_undone, retag
from tocsin.model.cloud import AlreadyExists
from tocsin.model.errors import ResourceNotFoundException
from tocsin.model.names import rule_bus_of

_PUT = ("Name", "EventBusName", "EventPattern", "ScheduleExpression", "Description", "State", "RoleArn")
_AT_ONCE = 100  # targets of one PutTargets or RemoveTargets (botocore, events)


async def create(ask: Asking, model: Model) -> str:
    name, bus = model["Name"], model.get("EventBusName")
    if await _there(ask, name, bus):
        raise AlreadyExists(f"Rule {name} already exists.")
    made = await ask("events", "PutRule", **_put(model), Tags=model.get("Tags"))
    identifier = str(made["RuleArn"])
    aimed = _aim(ask, {"Rule": name, "EventBusName": bus}, {}, model)
    await or_undone(aimed, lambda: delete(ask, identifier))
    return identifier


async def read(ask: Asking, identifier: str) -> dict[str, Any]:
    where = _place(identifier)
    members = await ask("events", "DescribeRule", Name=where["Rule"], EventBusName=where["EventBusName"])
    if members["Arn"] != identifier:
        raise ResourceNotFoundException(f"Rule {identifier} does not exist.")
    tags = await ask("events", "ListTagsForResource", ResourceARN=identifier)
    return {
        **given(members, RULE.properties),
        "State": str(members["State"]),
        "Targets": await ask.all("events", "ListTargetsByRule", "Targets", **where),
        "Tags": tags["Tags"],
    }


async def update(ask: Asking, identifier: str, before: Model, after: Model) -> bool:
    if differing(before, after, _PUT):
        await ask("events", "PutRule", **_put(after))
    await _aim(ask, _place(identifier), before, after)
    await retag(
        before,
        after,
        lambda tags: ask("events", "TagResource", ResourceARN=identifier, Tags=tag_list(tags)),
        lambda keys: ask("events", "UntagResource", ResourceARN=identifier, TagKeys=keys),
    )
    return False


async def delete(ask: Asking, identifier: str) -> None:
    model, where = await read(ask, identifier), _place(identifier)
    await _aim(ask, where, model, {})
    await ask("events", "DeleteRule", Name=where["Rule"], EventBusName=where["EventBusName"])


async def listed(ask: Asking) -> list[str]:
    buses = await ask.all("events", "ListEventBuses", "EventBuses")
    rules = [await ask.all("events", "ListRules", "Rules", EventBusName=bus["Name"]) for bus in buses]
    return [rule["Arn"] for found in rules for rule in found]


def _place(identifier: str) -> dict[str, str]:
    """Raises ResourceNotFoundException for what is no rule's ARN."""
    bus = rule_bus_of(identifier)
    if not bus:
        raise ResourceNotFoundException(f"{identifier} is not the ARN of a rule.")
    return {"Rule": identifier.rpartition("/")[2], "EventBusName": bus}


async def _there(ask: Asking, name: str, bus: str | None) -> bool:
    try:
        await ask("events", "DescribeRule", Name=name, EventBusName=bus)
    except ResourceNotFoundException:
        return False
    return True


def _put(model: Model) -> dict[str, Any]:
    return given(model, _PUT) | {"EventPattern": document(model.get("EventPattern"))}


async def _aim(ask: Asking, where: dict[str, Any], before: Model, after: Model) -> None:
    """The rule's targets as they shall be."""
    old, new = _by_id(before), _by_id(after)
    gone = sorted(old.keys() - new.keys())
    changed = [target for name, target in new.items() if differing(old, new, [name])]
    for at in range(0, len(gone), _AT_ONCE):
        await ask("events", "RemoveTargets", **where, Ids=gone[at : at + _AT_ONCE])
    for at in range(0, len(changed), _AT_ONCE):
        await ask("events", "PutTargets", **where, Targets=changed[at : at + _AT_ONCE])


def _by_id(model: Model) -> dict[str, Any]:
    return {str(one.get("Id")): one for one in model.get("Targets") or [] if isinstance(one, dict)}


KIND = Kind(RULE, create, read, update, delete, listed)
