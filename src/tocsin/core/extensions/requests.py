"""What Create-, Update- and DeleteClusterExtension make of an extension. The door asks, with what is there already.

Source: botocore's documentation of the operations.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from tocsin.core.extensions.settings import changed, check, read
from tocsin.model.cluster import Cluster, ClusterStatus
from tocsin.model.errors import Conflict, ResourceInUse, Validation
from tocsin.model.extension import Asked, Extension, Package, Work
from tocsin.model.names import derived_uuid
from tocsin.model.records import successor
from tocsin.model.times import epoch_ms

# "This token is valid for 8 hours."
TOKEN_MS = 8 * 3_600_000
# Tokens of updates that an extension remembers; the oldest are forgotten.
TOKENS_KEPT_MAX = 20


def demand_slurm(cluster: Cluster) -> None:
    """Raises Validation for a cluster that takes no extensions, Conflict for one that is going."""
    if (cluster.spec.get("Orchestrator") or {}).get("Eks") or not cluster.continuous:
        raise Validation(
            f"Cluster {cluster.name} takes no extensions: that needs Slurm as the orchestrator and "
            "NodeProvisioningMode Continuous."
        )
    if cluster.status in (ClusterStatus.DELETING, ClusterStatus.FAILED):
        raise Conflict(f"Cluster {cluster.name} is in status {cluster.status} and takes no extensions now.")


def digest_of(request: Mapping[str, Any]) -> str:
    """Stands for all that a request says beside its client token."""
    said = [f"{name}={request[name]!r}" for name in sorted(request) if name != "ClientToken"]
    return derived_uuid("extension", *said)


def repeated(work: Work, others: Iterable[Extension], request: Mapping[str, Any], now: datetime) -> Extension | None:
    """The extension that was asked for with the same client token. Raises Conflict where something else was."""
    token = request.get("ClientToken")
    for one in others:
        for asked in one.asked if token else ():
            if (asked.work, asked.token) == (work, token) and epoch_ms(now) - asked.at_ms < TOKEN_MS:
                if asked.digest != digest_of(request):
                    raise Conflict(f"ClientToken {token} was used with other parameters before.")
                return one
    return None


def demand_free(name: str, others: Iterable[Extension]) -> None:
    if any(one.name == name for one in others):
        raise ResourceInUse(f"The cluster has an extension {name} already.")


def created(
    cluster: Cluster,
    package: Package,
    request: Mapping[str, Any],
    extension_id: str,
    tags: dict[str, str],
    at: datetime,
) -> Extension:
    settings = changed({}, read(request["ConfigurationValues"])) if "ConfigurationValues" in request else {}
    check(settings, package.defaults)
    return Extension(
        scope=cluster.scope,
        id=extension_id,
        name=package.name,
        cluster_id=cluster.id,
        cluster_arn=cluster.arn,
        package=package,
        settings=settings,
        created_at=at,
        modified_at=at,
        tags=tags,
        asked=_asked(Work.CREATE, (), request, at),
    )


def updated(before: Extension, package: Package, request: Mapping[str, Any], at: datetime) -> Extension:
    """Another n where nodes shall run something else; else the same again, for those that failed."""
    if before.work is Work.DELETE:
        raise Conflict(f"Extension {before.name} is being deleted.")
    if number(package.version) < number(before.package.version):
        raise Validation(
            f"Extension {before.name} has version {before.package.version}, and cannot be updated to the earlier "
            f"{package.version}. Delete it, and create it with that version."
        )
    given = read(request["ConfigurationValues"]) if "ConfigurationValues" in request else {}
    settings = changed(before.settings, given)
    check(settings, package.defaults)
    same = (settings, package) == (before.settings, before.package)
    return successor(
        before,
        package=package,
        settings=settings,
        work=Work.UPDATE,
        n=before.n if same else before.n + 1,
        settled=False,
        modified_at=at,
        asked=_asked(Work.UPDATE, before.asked, request, at),
    )


def deleted(before: Extension, at: datetime) -> Extension:
    """What failed to be removed may be tried again. Raises Conflict while it is under way."""
    if before.work is Work.DELETE and not before.settled:
        raise Conflict(f"Extension {before.name} is being deleted already.")
    return successor(before, work=Work.DELETE, n=before.n + 1, settled=False, modified_at=at)


def number(version: str) -> tuple[int, ...]:
    """What versions are ordered by."""
    return tuple(int(part) for part in version.split("."))


def _asked(work: Work, before: tuple[Asked, ...], request: Mapping[str, Any], at: datetime) -> tuple[Asked, ...]:
    token = request.get("ClientToken")
    if not token:
        return before
    return (*before, Asked(work=work, token=token, digest=digest_of(request), at_ms=epoch_ms(at)))[-TOKENS_KEPT_MAX:]
