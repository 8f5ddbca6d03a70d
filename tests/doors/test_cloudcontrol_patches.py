"""Updates by Cloud Control as the awscc provider asks for them: lists whole, or place by place."""

import json
from typing import Any

import pytest

from tests.doors.cloud import CASES, Cloud, filled, group, patch
from tests.harness import REGION


@pytest.mark.parametrize(("type_name", "sent", "read_only", "_", "changed"), CASES, ids=[one[0] for one in CASES])
def test_properties_are_replaced_whole_as_terraform_does(
    cloud: Cloud, type_name: str, sent: dict[str, Any], read_only: set[str], _: object, changed: dict[str, Any]
) -> None:
    sent, changed = filled(sent, cloud.account), filled(changed, cloud.account)
    identifier = cloud.made(type_name, **sent)
    whole = [
        patch("remove", f"/{name}") if value is None else patch("replace" if name in sent else "add", f"/{name}", value)
        for name, value in changed.items()
    ]
    assert cloud.update(type_name, identifier, *whole)["OperationStatus"] == "SUCCESS"
    model = cloud.get(type_name, identifier)
    after = {name: value for name, value in (sent | changed).items() if value is not None}
    assert {name: model[name] for name in model if name not in read_only} == after


def test_groups_that_are_sent_whole_may_say_anything_of_what_is_read_only(cloud: Cloud) -> None:
    """The awscc provider replaces the whole list, with the counts of the groups that stood at the same places."""
    kind = "AWS::SageMaker::Cluster"
    arn = cloud.made(kind, ClusterName="c", InstanceGroups=[group("a", 0), group("b", 1)])
    groups = [group("b", 1) | {"CurrentCount": 0}, group("new", 1) | {"CurrentCount": 1}, group("other", 0)]
    assert cloud.update(kind, arn, patch("replace", "/InstanceGroups", groups))["OperationStatus"] == "SUCCESS"
    counts = {one["InstanceGroupName"]: one["CurrentCount"] for one in cloud.get(kind, arn)["InstanceGroups"]}
    assert counts == {"b": 1, "new": 1, "other": 0}

    cluster = cloud.client("sagemaker").describe_cluster(ClusterName="c")
    same = [group("b", 1) | {"CurrentCount": 7}, group("new", 1), group("other", 0)]
    done = cloud.api.update_resource(
        TypeName=kind, Identifier=arn, PatchDocument=json.dumps([patch("replace", "/InstanceGroups", same)])
    )
    assert done["ProgressEvent"]["OperationStatus"] == "SUCCESS", "nothing is to be done for a count"
    assert cloud.client("sagemaker").describe_cluster(ClusterName="c") | {"ResponseMetadata": 0} == cluster | {
        "ResponseMetadata": 0
    }


def test_patches_by_place_are_applied_in_their_order(cloud: Cloud) -> None:
    """As the library makes them with which the awscc provider compares models, where it replaces no list whole."""
    kind = "AWS::SageMaker::Cluster"
    arn = cloud.made(kind, ClusterName="c", InstanceGroups=[group("a", 0), group("b", 1), group("c", 0)])
    moved = group("c", 0) | {"CurrentCount": 1}
    for operations in (
        [patch("replace", "/InstanceGroups/0/InstanceCount", 1)],
        [patch("add", "/InstanceGroups/3", group("d", 0))],
        [
            *(patch("remove", f"/InstanceGroups/{at}") for at in (2, 1)),
            patch("add", "/InstanceGroups/1", moved),
        ],
    ):
        assert cloud.update(kind, arn, *operations)["OperationStatus"] == "SUCCESS"
    groups = cloud.get(kind, arn)["InstanceGroups"]
    assert [(one["InstanceGroupName"], one["CurrentCount"]) for one in groups] == [("a", 1), ("c", 0), ("d", 0)]

    pattern = {"source": ["a"], "detail": {"x": [1]}}
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    targets = [{"Id": one, "Arn": f"arn:aws:logs:{REGION}:{cloud.account}:log-group:/{one}"} for one in "abc"]
    rule = cloud.made("AWS::Events::Rule", Name="r", EventPattern=pattern, Tags=tags, Targets=targets[:2])
    last = targets[2] | {"Id": "b"}
    done = cloud.update(
        "AWS::Events::Rule",
        rule,
        *(patch("remove", path) for path in ("/Targets/1", "/Targets/0", "/EventPattern/detail")),
        patch("add", "/Targets/0", last),
        patch("add", "/EventPattern/source/1", "b"),
        patch("replace", "/Tags/0/Value", "2"),
        patch("replace", "/Tags/1/Value", ""),
        patch("replace", "/Tags/1/Key", "c"),
    )
    assert done["OperationStatus"] == "SUCCESS"
    model = cloud.get("AWS::Events::Rule", rule)
    assert (model["Targets"], model["EventPattern"]) == ([last], {"source": ["a", "b"]})
    assert model["Tags"] == [{"Key": "a", "Value": "2"}, {"Key": "c", "Value": ""}]
