"""AWS::Logs::LogGroup by the operations of CloudWatch Logs."""

from typing import Any

from tocsin.core.cloud.mapping import differing, tag_list, tag_map
from tocsin.core.cloud.schemas import LOG_GROUP
from tocsin.doors.cloudcontrol.asking import Asking
from tocsin.doors.cloudcontrol.kind import Kind, Model, or_undone, retag

# Property -> member of DescribeLogGroups.
_MEMBERS = {
    "LogGroupName": "logGroupName",
    "KmsKeyId": "kmsKeyId",
    "RetentionInDays": "retentionInDays",
    "LogGroupClass": "logGroupClass",
    "DeletionProtectionEnabled": "deletionProtectionEnabled",
    "Arn": "arn",
}


async def create(ask: Asking, model: Model) -> str:
    name = str(model["LogGroupName"])
    created = ("LogGroupName", "KmsKeyId", "LogGroupClass", "DeletionProtectionEnabled")
    members = {_MEMBERS[one]: model[one] for one in created if one in model}
    await ask("logs", "CreateLogGroup", **members, tags=tag_map(model) or None)
    await or_undone(_keep(ask, name, {}, model), lambda: delete(ask, name))
    return name


async def read(ask: Asking, identifier: str) -> dict[str, Any]:
    described = await ask("logs", "DescribeLogGroups", logGroupIdentifiers=[identifier])
    members = described["logGroups"][0]
    tags = await ask("logs", "ListTagsForResource", resourceArn=members["logGroupArn"])
    model = {name: members.get(member) for name, member in _MEMBERS.items()}
    return {**model, "Tags": tag_list(tags["tags"])}


async def update(ask: Asking, identifier: str, before: Model, after: Model) -> bool:
    if differing(before, after, ["KmsKeyId"]):
        operation = "AssociateKmsKey" if "KmsKeyId" in after else "DisassociateKmsKey"
        await ask("logs", operation, logGroupName=identifier, kmsKeyId=after.get("KmsKeyId"))
    if differing(before, after, ["DeletionProtectionEnabled"]):
        enabled = after.get("DeletionProtectionEnabled", False)
        await ask(
            "logs",
            "PutLogGroupDeletionProtection",
            logGroupIdentifier=identifier,
            deletionProtectionEnabled=enabled,
        )
    await _keep(ask, identifier, before, after)
    arn = before["Arn"].removesuffix(":*")
    await retag(
        before,
        after,
        lambda tags: ask("logs", "TagResource", resourceArn=arn, tags=tags),
        lambda keys: ask("logs", "UntagResource", resourceArn=arn, tagKeys=keys),
    )
    return False


async def delete(ask: Asking, identifier: str) -> None:
    await ask("logs", "DeleteLogGroup", logGroupName=identifier)


async def listed(ask: Asking) -> list[str]:
    groups = await ask.all("logs", "DescribeLogGroups", "logGroups", more="nextToken")
    return [group["logGroupName"] for group in groups]


async def _keep(ask: Asking, name: str, before: Model, after: Model) -> None:
    """What is set by operations of its own, after the group was made too."""
    if differing(before, after, ["RetentionInDays"]):
        days = after.get("RetentionInDays")
        operation = "DeleteRetentionPolicy" if days is None else "PutRetentionPolicy"
        await ask("logs", operation, logGroupName=name, retentionInDays=days)
    if differing(before, after, ["DataProtectionPolicy"]):
        await ask("logs", "PutDataProtectionPolicy", logGroupIdentifier=name)


KIND = Kind(LOG_GROUP, create, read, update, delete, listed)
