"""DescribeInstanceInformation: the nodes as managed instances."""

from collections.abc import Callable, Mapping
from typing import Any

from tocsin import __version__
from tocsin.core.commands.targets import Member
from tocsin.core.commit import World
from tocsin.doors.door import Context
from tocsin.doors.paging import page
from tocsin.model.cluster import Node
from tocsin.model.command_errors import InvalidFilterKey, InvalidNextToken
from tocsin.model.link import Hello
from tocsin.ports import NodeLinks
from tocsin.services.commands.drafting import member
from tocsin.services.fleet import Fleet

PAGE_MAX = 50

# By filter key: the member it looks at. Both spellings of the platform are in AWS's documentation.
_MEMBERS = {
    "InstanceIds": "InstanceId",
    "AgentVersion": "AgentVersion",
    "PingStatus": "PingStatus",
    "PlatformType": "PlatformType",
    "PlatformTypes": "PlatformType",
    "ResourceType": "ResourceType",
    "SourceTypes": "SourceType",
}
# What none of our nodes has: such a filter finds nothing.
_NEVER = frozenset({"ActivationIds", "AssociationStatus", "IamRole", "SourceIds"})


class Instances:
    def __init__(self, fleet: Fleet, links: NodeLinks, hello: Callable[[str], Hello | None]) -> None:
        """`hello` tells what an agent said of itself; simulated ones say nothing."""
        self._fleet = fleet
        self._links = links
        self._hello = hello

    async def describe(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        asked = [(one["key"], one["valueSet"]) for one in request.get("InstanceInformationFilterList") or []]
        asked += [(one["Key"], one["Values"]) for one in request.get("Filters") or []]
        tests = [_test(key, values) for key, values in asked]
        found = [
            members
            for world in self._fleet.worlds(context.scope)
            for node in world.nodes.values()
            if (members := self._members(world, node)) and all(test(members, member(world, node)) for test in tests)
        ]
        taken, token = page(
            sorted(found, key=lambda one: str(one["InstanceId"])),
            kind="DescribeInstanceInformation",
            position=lambda one: [one["InstanceId"]],
            limit=request.get("MaxResults", PAGE_MAX),
            token=request.get("NextToken"),
            error=InvalidNextToken,
        )
        return {"InstanceInformationList": taken, "NextToken": token}

    def _members(self, world: World, node: Node) -> dict[str, Any] | None:
        """None for a node whose agent was never heard: AWS does not know it yet either."""
        seen, hello = self._links.seen().get(node.instance_id), self._hello(node.instance_id)
        if seen is None and not node.joined:
            return None
        online = seen is not None and seen.connected
        return {
            "InstanceId": node.instance_id,
            "PingStatus": "Online" if online else "ConnectionLost",
            "LastPingDateTime": (seen.heard if seen else node.launched_at).timestamp(),
            "AgentVersion": hello.version if hello else __version__,
            "IsLatestVersion": hello is None or hello.version == __version__,
            "PlatformType": "Linux",
            "PlatformName": (hello.platform_name if hello else "") or None,
            "PlatformVersion": (hello.platform_version if hello else "") or None,
            "RegistrationDate": node.launched_at.timestamp(),
            "ResourceType": "EC2Instance",
            "Name": node.name,
            "IPAddress": node.address,
            "ComputerName": member(world, node).name,
            "SourceId": node.instance_id,
            "SourceType": "AWS::EC2::Instance",
        }


def _test(key: str, values: list[str]) -> Callable[[Mapping[str, Any], Member], bool]:
    if key in _MEMBERS:
        return lambda members, _: members[_MEMBERS[key]] in values
    if key in _NEVER:
        return lambda _, __: False
    if key == "tag-key":
        return lambda _, one: not one.tags.keys().isdisjoint(values)
    if key.startswith("tag:"):
        return lambda _, one: one.tags.get(key.removeprefix("tag:")) in values
    known = ", ".join([*_MEMBERS, *sorted(_NEVER), "tag-key", "tag:<key>"])
    raise InvalidFilterKey(f"There is no filter {key}. There are: {known}.")
