"""Software of groups and nodes -> the members that describe it (facts/hyperpod.md §3.4)."""

from typing import Any

from tocsin.core.software import image_ids, patch_date
from tocsin.model.cluster import Image, InstanceGroup, Node


def group_software(group: InstanceGroup, nodes: list[Node]) -> dict[str, Any]:
    """Nothing, for a group that asked for no image and was never updated."""
    current, desired = image_ids(group)
    members: dict[str, Any] = {
        "CurrentImageId": current.id or None,
        "DesiredImageId": desired.id or None,
        "CurrentImageReleaseVersion": current.release or None,
        "DesiredImageReleaseVersion": desired.release or None,
        "AutoPatchConfig": _patching(group),
    }
    update = group.update
    if update is not None:
        there = sum(node.joined and node.image.n == update.wanted.n for node in nodes if node.group == group.name)
        members |= {
            "TargetStateCount": there,
            "SoftwareUpdateStatus": update.status,
            "ActiveSoftwareUpdateConfig": update.config or None if update.open else None,
        }
    return members


def node_software(node: Node, group: InstanceGroup | None) -> dict[str, Any]:
    if group is None:
        return {}
    has, desired = _named(node.image, group), image_ids(group)[1]
    return {
        "CurrentImageId": has.id or None,
        "DesiredImageId": desired.id or None,
        "CurrentImageReleaseVersion": has.release or None,
        "DesiredImageReleaseVersion": desired.release or None,
    }


def _named(image: Image, group: InstanceGroup) -> Image:
    """A node's image with the id it got when the first update was begun."""
    if not image.id and group.update is not None and group.update.before.n == image.n:
        return group.update.before
    return image if image.id else image_ids(group)[0]


def _patching(group: InstanceGroup) -> dict[str, Any] | None:
    config = group.spec.get("AutoPatchConfig")
    if not config:
        return None
    date = patch_date(group)
    schedule = {"CurrentPatchSchedule": {"NextPatchDate": date}} if date else {}
    return {**{name: value for name, value in config.items() if name != "PatchSchedule"}, **schedule}
