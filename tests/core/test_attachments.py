"""Volumes and interfaces on a node's record: devices, limits, what stands in the way."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from tests.core.world import SmallWorld, group_spec
from tocsin.core.attachments import (
    DEVICES,
    INTERFACES_MAX,
    VOLUMES_MAX,
    demand_eks,
    demand_fit,
    demand_free,
    with_interface,
    with_volume,
    without_volume,
)
from tocsin.model.cluster import ClusterStatus, Node, NodeStatus
from tocsin.model.errors import ResourceLimitExceeded, Validation

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def world() -> SmallWorld:
    made = SmallWorld(group_spec("w", 2))
    made.settle()
    return made


@pytest.fixture
def node(world: SmallWorld) -> Node:
    return next(iter(world.nodes.values()))


def test_devices_are_given_in_order_until_there_are_none(node: Node) -> None:
    for n in range(VOLUMES_MAX):
        node = with_volume(node, f"vol-{n:08x}", NOW)
    assert tuple(volume.device for volume in node.volumes) == DEVICES
    with pytest.raises(Validation, match="may have no more"):
        with_volume(node, "vol-ffffffff", NOW)


def test_a_device_that_is_free_again_is_the_next(node: Node) -> None:
    for name in ("vol-0000000a", "vol-0000000b"):
        node = with_volume(node, name, NOW)
    node = with_volume(without_volume(node, "vol-0000000a"), "vol-0000000c", NOW)
    assert [(volume.id, volume.device) for volume in node.volumes] == [
        ("vol-0000000b", "/dev/sdg"),
        ("vol-0000000c", "/dev/sdf"),
    ]


def test_interfaces_are_limited(node: Node) -> None:
    for n in range(INTERFACES_MAX):
        node = with_interface(node, f"eni-{n:08x}", f"eni-attach-{n:08x}", NOW)
    with pytest.raises(ResourceLimitExceeded):
        with_interface(node, "eni-ffffffff", "eni-attach-ffffffff", NOW)


def test_what_one_node_has_no_other_gets(world: SmallWorld, node: Node) -> None:
    held = with_volume(node, "vol-0000000a", NOW)
    with pytest.raises(Validation, match=node.instance_id):
        demand_free("vol-0000000a", [*world.nodes.values(), held])
    demand_free("vol-0000000a", world.nodes.values())


def test_a_node_must_run_and_be_of_no_restricted_group(world: SmallWorld, node: Node) -> None:
    cluster = world.living
    demand_fit(cluster, node)
    with pytest.raises(Validation, match="must be Running"):
        demand_fit(cluster, replace(node, status=NodeStatus.SHUTTING_DOWN))
    restricted = tuple(replace(group, restricted=True) for group in cluster.groups)
    with pytest.raises(Validation, match="restricted"):
        demand_fit(replace(cluster, groups=restricted), node)


def test_volumes_are_for_eks_clusters_in_service(world: SmallWorld) -> None:
    cluster = world.living
    with pytest.raises(Validation, match="EKS"):
        demand_eks(cluster)
    eks = replace(cluster, spec={"Orchestrator": {"Eks": {"ClusterArn": "arn"}}})
    demand_eks(eks)
    with pytest.raises(Validation, match="must be InService"):
        demand_eks(replace(eks, status=ClusterStatus.UPDATING))
