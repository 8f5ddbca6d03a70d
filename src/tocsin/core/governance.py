"""What a request makes of a cluster policy or a compute quota. The SageMaker door asks, with what is there already.

Source: botocore's documentation of Create/UpdateClusterSchedulerConfig and Create/UpdateComputeQuota.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tocsin.model.errors import Conflict, ResourceLimitExceeded, ResourceNotFound, Validation
from tocsin.model.governance import Governance, Version
from tocsin.model.records import successor

# Earlier versions that can still be described; AWS states no number. The first is kept too: it tells the creation.
VERSIONS_KEPT_MAX = 100
# Of one kind in an account and region. AWS has a quota and does not publish it.
KEPT_MAX = 1000
# "The values can be 1 - 500 percent of idle compute".
BORROWED_PERCENT_MAX = 500


def demand_free(name: str, cluster_arn: str, others: Iterable[Governance]) -> None:
    """Raises Conflict when the cluster has one of that name, ResourceLimitExceeded when there are too many."""
    everything = list(others)
    if any((one.name, one.cluster_arn) == (name, cluster_arn) for one in everything):
        raise Conflict(f"{name} already exists in cluster {cluster_arn}.")
    if len(everything) >= KEPT_MAX:
        raise ResourceLimitExceeded(f"The account has {KEPT_MAX} of them, and may have no more.")


def updated(found: Governance, target_version: int, changes: dict[str, Any], at: datetime) -> Governance:
    """The next version: what the request does not name stays. Raises Conflict when `target_version` is not in force."""
    current = found.current
    if target_version != current.number:
        raise Conflict(f"TargetVersion {target_version} of {found.name} is not the current one, {current.number}.")
    following = Version(number=current.number + 1, at=at, spec=current.spec | changes)
    kept = (*found.versions, following)
    return successor(found, versions=kept if len(kept) <= VERSIONS_KEPT_MAX else (kept[0], *kept[2:]))


def version_of(found: Governance, number: int | None) -> Version:
    """Raises ResourceNotFound."""
    for one in found.versions:
        if one.number == (number or found.current.number):
            return one
    raise ResourceNotFound(f"Version {number} of {found.name} does not exist.")


def check_scheduler(spec: dict[str, Any]) -> None:
    """Raises Validation for priority classes that share a name."""
    names = [one["Name"] for one in spec.get("SchedulerConfig", {}).get("PriorityClasses") or []]
    _demand_once(names, "Priority class names")


def check_quota(spec: dict[str, Any]) -> None:
    """Raises Validation for resources that are told twice, and for a limit of what is borrowed that is none."""
    config = spec.get("ComputeQuotaConfig", {})
    resources = config.get("ComputeQuotaResources") or []
    _demand_once([_resource(one) for one in resources], "Instance types")
    borrowed = (config.get("ResourceSharingConfig") or {}).get("BorrowLimit", BORROWED_PERCENT_MAX)
    if not 1 <= borrowed <= BORROWED_PERCENT_MAX:
        raise Validation(f"BorrowLimit must be 1 to {BORROWED_PERCENT_MAX} percent, not {borrowed}.")


def _resource(one: dict[str, Any]) -> str:
    """The type, and the partition of its accelerators where it is a part of them."""
    partition = one.get("AcceleratorPartition")
    return f"{one['InstanceType']} ({partition['Type']})" if partition else str(one["InstanceType"])


def _demand_once(names: list[str], what: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Validation(f"{what} must be unique: {', '.join(twice)}.")
