"""Scheduler configurations and compute quotas over the wire: kept, versioned, found, refused."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.doors.hyperpod import INSTANCE_TYPE, ROLE, HyperPod

POLICY = {"PriorityClasses": [{"Name": "training", "Weight": 90}], "FairShare": "Enabled"}
SHARES = {
    "ComputeQuotaResources": [{"InstanceType": "ml.p5.48xlarge", "Count": 2}],
    "ResourceSharingConfig": {"Strategy": "LendAndBorrow", "BorrowLimit": 50},
    "PreemptTeamTasks": "LowerPriority",
}
TEAM = {"TeamName": "vision", "FairShareWeight": 10}
NOBODY = "0" * 12


@pytest.fixture
def cluster(pod: HyperPod) -> str:
    group = {
        "InstanceGroupName": "workers",
        "InstanceCount": 1,
        "InstanceType": INSTANCE_TYPE,
        "ExecutionRole": ROLE,
    }
    return pod.create("governed", group)


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**request)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_policy_lives_in_versions_and_each_is_described(pod: HyperPod, cluster: str) -> None:
    api = pod.api
    made = api.create_cluster_scheduler_config(
        Name="fair", ClusterArn=cluster, SchedulerConfig=POLICY, Description="first"
    )
    key = made["ClusterSchedulerConfigId"]
    assert made["ClusterSchedulerConfigArn"].endswith(f":cluster-scheduler-config/{key}")
    first = api.describe_cluster_scheduler_config(ClusterSchedulerConfigId=key)
    assert (first["Status"], first["ClusterSchedulerConfigVersion"], first["SchedulerConfig"]) == ("Created", 1, POLICY)
    changed = {"FairShare": "Disabled"}
    answer = api.update_cluster_scheduler_config(ClusterSchedulerConfigId=key, TargetVersion=1, SchedulerConfig=changed)
    assert answer["ClusterSchedulerConfigVersion"] == 2
    now = api.describe_cluster_scheduler_config(ClusterSchedulerConfigId=key)
    assert (now["Status"], now["SchedulerConfig"], now["Description"]) == ("Updated", changed, "first")
    assert now["CreationTime"] == first["CreationTime"] < now["LastModifiedTime"]
    before = api.describe_cluster_scheduler_config(ClusterSchedulerConfigId=key, ClusterSchedulerConfigVersion=1)
    assert before["SchedulerConfig"] == POLICY
    api.delete_cluster_scheduler_config(ClusterSchedulerConfigId=key)
    assert refusal(api.describe_cluster_scheduler_config, ClusterSchedulerConfigId=key)[0] == "ResourceNotFound"


def test_a_quota_is_described_back_and_summed_up(pod: HyperPod, cluster: str) -> None:
    api = pod.api
    request = {"ComputeQuotaConfig": SHARES, "ComputeQuotaTarget": TEAM, "ActivationState": "Enabled"}
    key = api.create_compute_quota(Name="vision", ClusterArn=cluster, **request)["ComputeQuotaId"]
    described = api.describe_compute_quota(ComputeQuotaId=key)
    assert {name: described[name] for name in request} == request
    [summary] = api.list_compute_quotas(ClusterArn=cluster)["ComputeQuotaSummaries"]
    assert {name: summary[name] for name in request} == request
    answer = api.update_compute_quota(ComputeQuotaId=key, TargetVersion=1, ActivationState="Disabled")
    assert answer["ComputeQuotaVersion"] == 2
    assert api.describe_compute_quota(ComputeQuotaId=key)["ComputeQuotaConfig"] == SHARES
    api.delete_compute_quota(ComputeQuotaId=key)
    assert api.list_compute_quotas()["ComputeQuotaSummaries"] == []


def test_a_quota_whose_activation_is_not_said_is_enabled(pod: HyperPod, cluster: str) -> None:
    key = pod.api.create_compute_quota(
        Name="vision", ClusterArn=cluster, ComputeQuotaConfig=SHARES, ComputeQuotaTarget=TEAM
    )["ComputeQuotaId"]
    assert pod.api.describe_compute_quota(ComputeQuotaId=key)["ActivationState"] == "Enabled"
    pod.api.update_compute_quota(ComputeQuotaId=key, TargetVersion=1, ActivationState="Disabled")
    pod.api.update_compute_quota(ComputeQuotaId=key, TargetVersion=2, Description="what is not named stays")
    assert pod.api.describe_compute_quota(ComputeQuotaId=key)["ActivationState"] == "Disabled"


def test_what_cannot_be_is_refused(pod: HyperPod, cluster: str) -> None:
    api = pod.api
    key = api.create_cluster_scheduler_config(Name="one", ClusterArn=cluster, SchedulerConfig=POLICY)[
        "ClusterSchedulerConfigId"
    ]
    again = refusal(api.create_cluster_scheduler_config, Name="one", ClusterArn=cluster, SchedulerConfig=POLICY)
    assert again == ("ConflictException", f"one already exists in cluster {cluster}.")
    late = refusal(api.update_cluster_scheduler_config, ClusterSchedulerConfigId=key, TargetVersion=7)
    assert late == ("ConflictException", "TargetVersion 7 of one is not the current one, 1.")
    unknown = cluster[:-12] + NOBODY
    call = api.create_cluster_scheduler_config
    assert refusal(call, Name="two", ClusterArn=unknown, SchedulerConfig=POLICY)[0] == "ResourceNotFound"
    twice = {"PriorityClasses": [{"Name": "a", "Weight": 1}, {"Name": "a", "Weight": 2}]}
    assert refusal(call, Name="two", ClusterArn=cluster, SchedulerConfig=twice) == (
        "ValidationException",
        "Priority class names must be unique: a.",
    )
    doubled = {"ComputeQuotaResources": [{"InstanceType": "ml.p5.48xlarge", "Count": count} for count in (1, 2)]}
    quota = {"Name": "q", "ClusterArn": cluster, "ComputeQuotaTarget": TEAM}
    assert refusal(api.create_compute_quota, ComputeQuotaConfig=doubled, **quota) == (
        "ValidationException",
        "Instance types must be unique: ml.p5.48xlarge.",
    )
    for delete in (api.delete_cluster_scheduler_config, api.delete_compute_quota):
        name = "ClusterSchedulerConfigId" if delete == api.delete_cluster_scheduler_config else "ComputeQuotaId"
        assert refusal(delete, **{name: NOBODY})[0] == "ResourceNotFound"
    greedy = SHARES | {"ResourceSharingConfig": {"Strategy": "LendAndBorrow", "BorrowLimit": 501}}
    assert refusal(api.create_compute_quota, ComputeQuotaConfig=greedy, **quota) == (
        "ValidationException",
        "BorrowLimit must be 1 to 500 percent, not 501.",
    )


def test_listings_are_sorted_filtered_and_cut_into_pages(pod: HyperPod, cluster: str) -> None:
    api = pod.api
    for name in ("b", "a", "c", "ab"):
        api.create_cluster_scheduler_config(Name=name, ClusterArn=cluster, SchedulerConfig=POLICY)

    def names(**asked: Any) -> list[str]:
        pages = api.get_paginator("list_cluster_scheduler_configs").paginate(**asked, PaginationConfig={"PageSize": 1})
        return [one["Name"] for page in pages for one in page["ClusterSchedulerConfigSummaries"]]

    assert names() == ["ab", "c", "a", "b"]
    assert names(SortOrder="Ascending") == ["b", "a", "c", "ab"]
    assert names(SortBy="Name", SortOrder="Ascending") == ["a", "ab", "b", "c"]
    assert names(SortBy="Name") == ["c", "b", "ab", "a"]
    assert sorted(names(NameContains="a")) == ["a", "ab"]
    assert names(Status="Updated") == []


def test_their_tags_are_their_own(pod: HyperPod, cluster: str) -> None:
    tags = [{"Key": "team", "Value": "vision"}]
    arn = pod.api.create_cluster_scheduler_config(Name="t", ClusterArn=cluster, SchedulerConfig=POLICY, Tags=tags)[
        "ClusterSchedulerConfigArn"
    ]
    pod.api.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "b"}])
    assert pod.api.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}, *tags]
    pod.api.delete_tags(ResourceArn=arn, TagKeys=["a"])
    assert pod.api.list_tags(ResourceArn=arn)["Tags"] == tags
    assert pod.api.list_tags(ResourceArn=cluster)["Tags"] == []
    assert refusal(pod.api.list_tags, ResourceArn=arn[:-12] + NOBODY)[0] == "ResourceNotFound"
