"""Instance groups of a request: what is taken, what is refused, and what an update makes of one that is there.

Raises Validation in our words: AWS states these rules in prose only (facts/hyperpod.md §1.2).
"""

from collections import Counter
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from tocsin.core.instance_types import threads_default, types_of
from tocsin.core.software import check_deployment, check_schedule, resolved
from tocsin.model.cluster import GroupStatus, Image, InstanceGroup
from tocsin.model.errors import Validation

# A group cannot change these once it exists (createOnly in the CloudFormation schema).
FIXED = ("InstanceType", "ExecutionRole", "ThreadsPerCore", "OverrideVpcConfig", "InstanceRequirements")
# What is kept and described back, while nothing here can act on it.
UNHEEDED = (
    "ThreadsPerCore",
    "InstanceStorageConfigs",
    "TrainingPlanArn",
    "OverrideVpcConfig",
    "KubernetesConfig",
    "CapacityRequirements",
    "NetworkInterface",
    "EnvironmentConfig",
)
# Members that are about when the group is updated by itself.
_TIMED = ("ScheduledUpdateConfig", "AutoPatchConfig")


def new_group(spec: dict[str, Any], now: datetime, *, restricted: bool = False) -> InstanceGroup:
    """The group as it is asked for, in Creating."""
    spec = _plain(spec)
    _check(spec)
    return InstanceGroup(
        name=spec["InstanceGroupName"],
        target=spec["InstanceCount"],
        status=GroupStatus.CREATING,
        spec=spec,
        restricted=restricted,
        update_since=now if any(spec.get(member) for member in _TIMED) else None,
    )


def changed_group(group: InstanceGroup, spec: dict[str, Any], now: datetime) -> InstanceGroup:
    """The group with the members of the request, in Updating where its count is another."""
    spec = _plain(spec)
    for member in FIXED:
        if member in spec and spec[member] != group.spec.get(member, spec[member]):
            raise Validation(f"{member} of instance group {group.name} cannot be changed after its creation.")
    merged = group.spec | spec
    _check(merged)
    target = spec["InstanceCount"]
    moved = target != group.target and group.status is not GroupStatus.SYSTEM_UPDATING
    timed = any(merged.get(member) != group.spec.get(member) for member in _TIMED)
    return replace(
        group,
        target=target,
        status=GroupStatus.UPDATING if moved else group.status,
        spec=merged,
        image=_renamed(group, merged),
        update_since=now if timed else group.update_since,
    )


def _renamed(group: InstanceGroup, spec: dict[str, Any]) -> Image:
    """What nodes to come have. Who sends again what the group was made with leaves what an update made of it since."""
    image_id = str(spec.get("ImageId", ""))
    if not group.image.id or image_id == group.spec.get("ImageId", ""):
        return group.image
    return replace(group.image, id=resolved(image_id))


def ending(group: InstanceGroup) -> InstanceGroup:
    return replace(group, target=0, status=GroupStatus.DELETING)


def unheeded(group: InstanceGroup) -> list[str]:
    """What the group asks for and local machines cannot do."""
    found = [member for member in UNHEEDED if group.spec.get(member)]
    if (group.spec.get("SlurmConfig") or {}).get("PartitionNames"):
        found.append("SlurmConfig.PartitionNames")
    if group.spec.get("AutoPatchConfig"):
        found.append("AutoPatchConfig.PatchingStrategy")  # nobody says which nodes have jobs: all count as idle
    return found


def refuse_twins(specs: list[dict[str, Any]]) -> None:
    twins = sorted(name for name, count in Counter(spec["InstanceGroupName"] for spec in specs).items() if count > 1)
    if twins:
        raise Validation(f"Instance group names must be unique within a request: {', '.join(twins)}.")


def _plain(value: Any) -> Any:
    """The request as records keep it: moments are text there."""
    match value:
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case datetime():
            return value.isoformat()
    return value


def _check(spec: dict[str, Any]) -> None:
    for check in (_types, _threads, _lifecycle, _storage, _count, _capacity, _updates, _patches):
        wrong = check(spec)
        if wrong:
            raise Validation(f"Instance group {spec['InstanceGroupName']}: {wrong}")


def _types(spec: dict[str, Any]) -> str:
    if bool(spec.get("InstanceType")) == bool(spec.get("InstanceRequirements")):
        return "specify either InstanceType or InstanceRequirements."
    types = types_of(spec)
    return "" if len(set(types)) == len(types) else "InstanceTypes names a type twice."


def _threads(spec: dict[str, Any]) -> str:
    single = [one for one in types_of(spec) if threads_default(one) == 1]
    if spec.get("ThreadsPerCore") == 2 and single:
        return f"{single[0]} does not support multithreading: ThreadsPerCore must be 1."
    return ""


def _lifecycle(spec: dict[str, Any]) -> str:
    config = spec.get("LifeCycleConfig")
    if config is None:
        return ""
    if not config.get("SourceS3Uri") or not (config.get("OnCreate") or config.get("OnInitComplete")):
        return "LifeCycleConfig needs SourceS3Uri, and OnCreate or OnInitComplete."
    return "" if config["SourceS3Uri"].startswith("s3://") else "SourceS3Uri must begin with s3://."


def _storage(spec: dict[str, Any]) -> str:
    volumes = [one["EbsVolumeConfig"] for one in spec.get("InstanceStorageConfigs") or [] if "EbsVolumeConfig" in one]
    roots = [volume for volume in volumes if volume.get("RootVolume")]
    if len(roots) > 1 or len(volumes) - len(roots) > 1:
        return "InstanceStorageConfigs takes one EbsVolumeConfig for the root and one for the secondary volume."
    if any("VolumeSizeInGB" in volume or not volume.get("VolumeKmsKeyId") for volume in roots):
        return "an EbsVolumeConfig with RootVolume needs VolumeKmsKeyId and takes no VolumeSizeInGB."
    if any("VolumeSizeInGB" not in volume for volume in volumes if volume not in roots):
        return "an EbsVolumeConfig without RootVolume needs VolumeSizeInGB."
    return ""


def _count(spec: dict[str, Any]) -> str:
    if spec.get("MinInstanceCount", 0) > spec["InstanceCount"]:
        return "MinInstanceCount cannot be greater than InstanceCount."
    return ""


def _capacity(spec: dict[str, Any]) -> str:
    asked = spec.get("CapacityRequirements") or {}
    return "CapacityRequirements takes Spot or OnDemand, not both." if len(asked) > 1 else ""


def _updates(spec: dict[str, Any]) -> str:
    if spec.get("ScheduledUpdateConfig"):
        check_schedule(spec["InstanceGroupName"], spec["ScheduledUpdateConfig"])
    return ""


def _patches(spec: dict[str, Any]) -> str:
    config = spec.get("AutoPatchConfig") or {}
    check_deployment(config.get("DeploymentConfig") or {})
    draining = config.get("PatchingStrategy") == "DrainFirst"
    if config.get("DrainPolicy") and not draining:
        return "DrainPolicy is valid only when PatchingStrategy is DrainFirst."
    if "IdleWaitWindowInSeconds" in config and draining:
        return "IdleWaitWindowInSeconds is valid only when PatchingStrategy is WhenIdle or WhenAllIdle."
    return ""
