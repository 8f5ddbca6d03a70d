"""What requests make of a cluster where the model's constraints say nothing: rules that AWS states in prose."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from tests.core.world import SCOPE, group_spec
from tocsin.core import requests
from tocsin.core.software import image_ids
from tocsin.model.cluster import Cluster, ClusterStatus, Image
from tocsin.model.errors import Validation

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SLURM: dict[str, Any] = {"Slurm": {}}
EKS = {"Eks": {"ClusterArn": "arn:aws:eks:us-west-2:111122223333:cluster/k"}}


def created(**more: Any) -> Cluster:
    request = {"ClusterName": "c", "InstanceGroups": [group_spec("w", 1)], **more}
    return requests.create(request, scope=SCOPE, cluster_id="abcdefghijkl", now=NOW)


@pytest.mark.parametrize("orchestrator", [{}, {**SLURM, **EKS}])
def test_an_orchestrator_is_one_and_not_none(orchestrator: dict[str, Any]) -> None:
    with pytest.raises(Validation, match="exactly one of Eks and Slurm"):
        created(Orchestrator=orchestrator)
    assert created(Orchestrator=SLURM).spec["Orchestrator"] == SLURM


@pytest.mark.parametrize(
    ("tags", "because"),
    [
        ([("a", "1"), ("a", "2")], "unique within a request: a"),
        ([("aws:x", "1")], "aws: prefixed"),
        ([(f"k{n}", "") for n in range(51)], "at most 50 tags"),
    ],
)
def test_tags_that_nothing_may_have_are_refused_at_the_creation_too(tags: list[tuple[str, str]], because: str) -> None:
    with pytest.raises(Validation, match=because):
        created(Tags=[{"Key": key, "Value": value} for key, value in tags])


@pytest.mark.parametrize(
    ("continuous", "spec", "expected"),
    [(True, {}, "ami-1"), (True, {"ImageId": "ami-2"}, "ami-2"), (False, {}, "")],
)
def test_a_group_added_to_a_continuous_cluster_has_the_image_of_the_earliest(
    continuous: bool, spec: dict[str, Any], expected: str
) -> None:
    mode = {"NodeProvisioningMode": "Continuous"} if continuous else {}
    cluster = replace(created(**mode), status=ClusterStatus.IN_SERVICE)
    patched = replace(cluster.groups[0], image=Image(id="ami-1", n=3), updates=3)
    asked = {"ClusterName": "c", "InstanceGroups": [group_spec("new", 1, **spec)]}
    after = requests.update(replace(cluster, groups=(patched,)), asked, NOW)
    [_, new] = after.groups
    assert {image.id for image in image_ids(new)} == {expected}
    assert new.wanted_image.n == 0
