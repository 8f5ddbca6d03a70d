"""Volumes and network interfaces on nodes over the wire: attached, told again, refused, gone with their node."""

import re
from typing import Any

import pytest

from tests.doors.asking import ask, connect, refusal
from tests.doors.hyperpod import HyperPod, eks, group
from tests.harness import eventually

VOLUME, OTHER = "vol-0123456789abcdef0", "vol-0123456789abcdef1"
INTERFACE = "eni-0123456789abcdef0"
NOBODY = "i-00000000000000000"


@pytest.fixture
def at(pod: HyperPod) -> dict[str, Any]:
    """Cluster and node of the requests."""
    arn = pod.create("c", group("workers", 2), Orchestrator=eks(pod), VpcConfig=VPC)
    return {"ClusterArn": arn, "NodeId": min(node["InstanceId"] for node in pod.nodes("c"))}


VPC = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}


def test_a_volume_is_attached_to_the_first_free_device_and_detached_as_it_was(
    pod: HyperPod, at: dict[str, Any]
) -> None:
    first = pod.api.attach_cluster_node_volume(**at, VolumeId=VOLUME)
    assert (first["Status"], first["DeviceName"], first["NodeId"]) == ("attaching", "/dev/sdf", at["NodeId"])
    second = pod.api.attach_cluster_node_volume(**at, VolumeId=OTHER)
    assert second["DeviceName"] == "/dev/sdg"
    gone = pod.api.detach_cluster_node_volume(**at, VolumeId=VOLUME)
    assert (gone["Status"], gone["DeviceName"]) == ("detaching", "/dev/sdf")
    assert gone["AttachTime"] == first["AttachTime"]
    again = pod.api.attach_cluster_node_volume(**at, VolumeId=VOLUME)
    assert again["DeviceName"] == "/dev/sdf"


def test_a_volume_is_on_one_node_at_a_time(pod: HyperPod, at: dict[str, Any]) -> None:
    pod.api.attach_cluster_node_volume(**at, VolumeId=VOLUME)
    for node in pod.nodes("c"):
        said = refusal(pod.api.attach_cluster_node_volume, **at | {"NodeId": node["InstanceId"]}, VolumeId=VOLUME)
        assert said.code == "ValidationException"
        assert f"attached to node {at['NodeId']}" in said.message


def test_what_is_attached_goes_with_its_node(pod: HyperPod, at: dict[str, Any]) -> None:
    """As on AWS a replacement has new volumes, and what was attached is free again."""
    pod.api.attach_cluster_node_volume(**at, VolumeId=VOLUME)
    pod.api.batch_replace_cluster_nodes(ClusterName="c", NodeIds=[at["NodeId"]])
    gone = at["NodeId"]
    eventually(lambda: gone not in [node["InstanceId"] for node in pod.nodes("c")], "the node is replaced")
    eventually(lambda: {node["InstanceStatus"]["Status"] for node in pod.nodes("c")} == {"Running"}, "all run")
    pod.until("c", "InService")
    answer = pod.api.attach_cluster_node_volume(
        ClusterArn=at["ClusterArn"], NodeId=pod.nodes("c")[0]["InstanceId"], VolumeId=VOLUME
    )
    assert answer["Status"] == "attaching"


def test_an_interface_gets_an_attachment_of_its_own(pod: HyperPod, at: dict[str, Any]) -> None:
    request = {"ClusterName": "c", "NodeId": at["NodeId"], "NetworkInterfaceId": INTERFACE}
    answer = pod.api.attach_cluster_node_network_interface(**request)
    assert re.fullmatch(r"eni-attach-[0-9a-f]{17}", answer["AttachmentId"])
    assert (answer["ClusterArn"], answer["NetworkInterfaceId"]) == (at["ClusterArn"], INTERFACE)
    assert "in use" in refusal(pod.api.attach_cluster_node_network_interface, **request).message


def test_our_own_status_tells_what_is_attached(pod: HyperPod, at: dict[str, Any]) -> None:
    made = pod.api.attach_cluster_node_volume(**at, VolumeId=VOLUME)
    request = {"ClusterName": "c", "NodeId": at["NodeId"], "NetworkInterfaceId": INTERFACE}
    attachment = pod.api.attach_cluster_node_network_interface(**request)["AttachmentId"]
    with connect(pod.server) as connection:
        asked = f"/_tocsin/v1/status?account={pod.account}&region={pod.region}"
        [cluster] = ask(connection, "GET", asked).json["clusters"]
    told = {node["InstanceId"]: node for node in cluster["Nodes"]}
    node = told.pop(at["NodeId"])
    assert [(one["VolumeId"], one["DeviceName"]) for one in node["Volumes"]] == [(VOLUME, made["DeviceName"])]
    assert [one["AttachmentId"] for one in node["NetworkInterfaces"]] == [attachment]
    assert all("Volumes" not in other for other in told.values())


def test_what_is_not_there_or_does_not_fit_is_refused(pod: HyperPod, at: dict[str, Any]) -> None:
    attach, detach = pod.api.attach_cluster_node_volume, pod.api.detach_cluster_node_volume
    assert refusal(attach, **at | {"NodeId": NOBODY}, VolumeId=VOLUME).code == "ResourceNotFound"
    nowhere = f"{at['ClusterArn'][:-12]}{'0' * 12}"
    assert refusal(attach, **at | {"ClusterArn": nowhere}, VolumeId=VOLUME).code == "ResourceNotFound"
    assert "is not attached" in refusal(detach, **at, VolumeId=VOLUME).message
    assert refusal(attach, **at, VolumeId="vol-1").code == "ValidationException"

    slurm = pod.create("slurm", group("workers", 1))
    [node] = pod.nodes("slurm")
    said = refusal(attach, ClusterArn=slurm, NodeId=node["InstanceId"], VolumeId=VOLUME)
    assert (said.code, "EKS" in said.message) == ("ValidationException", True)
