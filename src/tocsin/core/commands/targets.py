"""Who a command is for: node ids in every form people have them, and targets by what a node belongs to."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from tocsin.model.command_errors import DuplicateInstanceId, InvalidInstanceId, InvalidParameters
from tocsin.model.names import Scope

# The form StartSession takes on AWS and SendCommand there refuses (facts/hyperpod.md §10.5).
CLUSTER_TARGET = re.compile(r"sagemaker-cluster:(?P<cluster>[a-z0-9]{12})_(?P<group>.+)-(?P<node>i-[0-9a-f]{8,17})")
ALL = "*"
NONE_GIVEN = "InstanceIds or Targets must name the nodes that the command is for."


class Member(Struct, frozen=True, kw_only=True):
    """A node as a target. `name` is its host's, `tags` those of its cluster and, under our names, what it is."""

    instance_id: str
    cluster_id: str
    group: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)


class Chosen(Struct, frozen=True, kw_only=True):
    """A node, and the name by which it was asked for."""

    member: Member
    named: str


def by_ids(named: Sequence[str], members: Mapping[str, Member], scope: Scope) -> list[Chosen]:
    """The nodes of InstanceIds. Raises InvalidInstanceId in AWS's words, DuplicateInstanceId."""
    found = [Chosen(member=member, named=one) for one in named if (member := _member(one, members))]
    missing = [one for one in named if _member(one, members) is None]
    if missing:
        raise InvalidInstanceId(f"Instances [[{', '.join(missing)}]] not in a valid state for account {scope.account}")
    if len({one.member.instance_id for one in found}) < len(found):
        raise DuplicateInstanceId("InstanceIds names a node twice.")
    return found


def _member(named: str, members: Mapping[str, Member]) -> Member | None:
    form = CLUSTER_TARGET.fullmatch(named)
    if form is None:
        return members.get(named)
    member = members.get(form["node"])
    return member if member and (member.cluster_id, member.group) == (form["cluster"], form["group"]) else None


def instance_of(named: str) -> str:
    """The instance id in whatever form a node was named."""
    form = CLUSTER_TARGET.fullmatch(named)
    return form["node"] if form else named


def by_targets(targets: Iterable[Mapping[str, Any]], members: Mapping[str, Member], scope: Scope) -> list[Chosen]:
    """The nodes that fit all targets; within one target, any of its values. Raises InvalidParameters."""
    fitting = list(members.values())
    for target in targets:
        fits = _test(str(target.get("Key", "")), list(target.get("Values") or []), members, scope)
        fitting = [one for one in fitting if fits(one)]
    return [Chosen(member=one, named=one.instance_id) for one in fitting]


def _test(key: str, wanted: list[str], members: Mapping[str, Member], scope: Scope) -> Callable[[Member], bool]:
    if key == "InstanceIds":
        if wanted == [ALL]:
            return lambda _: True
        ids = {one.member.instance_id for one in by_ids(wanted, members, scope)}
        return lambda one: one.instance_id in ids
    if key == "tag-key":
        return lambda one: not one.tags.keys().isdisjoint(wanted)
    if key.startswith("tag:"):
        return lambda one: one.tags.get(key.removeprefix("tag:")) in wanted
    raise InvalidParameters(
        f"Targets of the key {key} are not supported. There are InstanceIds, tag:<key> and tag-key."
    )


def choose(request: Mapping[str, Any], members: Mapping[str, Member], scope: Scope) -> list[Chosen]:
    """The nodes a SendCommand request is for, in order. Raises what the others do, and InvalidInstanceId for none."""
    ids, targets = list(request.get("InstanceIds") or []), list(request.get("Targets") or [])
    if ids and targets:
        raise InvalidParameters("InstanceIds and Targets cannot be given together.")
    if not ids and not targets:
        raise InvalidInstanceId(NONE_GIVEN)
    return by_ids(ids, members, scope) if ids else by_targets(targets, members, scope)


def share(given: str, of: int) -> int:
    """MaxConcurrency or MaxErrors, a count or a percentage, as a count of nodes. A percentage is rounded up, as AWS."""
    if given.endswith("%"):
        return -(-of * int(given[:-1]) // 100)
    return int(given)
