"""Software updates, batch by batch: there, and back when a node or an alarm says so (facts/hyperpod.md §3.4).

One group after the other, the controller's first. A node keeps its id; its root volume is a new one, and its lifecycle
script runs again. All groups of an update come through it, or all go back.
"""

from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from tocsin.core.members import stays
from tocsin.core.plan.draft import Draft, controller_group
from tocsin.core.plan.mend import mend, worn_out
from tocsin.core.plan.size import fill, shrinking
from tocsin.core.plan.texts import FAULT_UPDATE, ROLLBACK_FAILED, SCRIPT_FAILED, UPDATE_ALARMED, UPDATE_FAILED
from tocsin.core.software import batch_size, begun, first_image_id, next_update
from tocsin.model.cluster import (
    ClusterStatus,
    GroupStatus,
    Health,
    InstanceGroup,
    Node,
    NodeStatus,
    ScriptState,
    SoftwareUpdate,
)
from tocsin.model.cluster import SoftwareUpdateStatus as S
from tocsin.model.times import iso_second


def pursue_system_updating(draft: Draft) -> None:
    """Bring the update one step further; turn back when it went wrong."""
    mend(draft)
    fill(draft)
    leaving = shrinking(draft)
    wrong = _wrong(draft)
    if wrong:
        _turn_back(draft, wrong)
    elif not _advance(draft, S.SUCCEEDED) and not leaving:
        _finish(draft)


def take_back(draft: Draft) -> None:
    """Bring the nodes back to the image they had."""
    _give_up(draft)
    mend(draft)
    fill(draft)
    if not _advance(draft, S.ROLLBACK_COMPLETE):
        _finish(draft)


def begin_scheduled(draft: Draft) -> None:
    """Begin the updates that are due by a schedule or a patch date; wake up for the next."""
    for group in draft.cluster.groups:
        found = next_update(group, group.update_since or draft.cluster.created_at)
        if found is None or draft.cluster.status is not ClusterStatus.IN_SERVICE or group.status not in _SETTLED:
            continue
        at, config, why = found
        if draft.expired(at, 0):
            _begin(draft, group, config, why)


_SETTLED = (GroupStatus.IN_SERVICE, GroupStatus.DEGRADED)


def _begin(draft: Draft, group: InstanceGroup, config: dict[str, Any], why: str) -> None:
    """The time that has come is over, whatever becomes of the update."""
    spec = group.spec
    if why == "AutoPatchConfig":
        spec = spec | {"AutoPatchConfig": {key: spec[why][key] for key in spec[why] if key != "PatchSchedule"}}
    changed = replace(group, update_since=draft.now, spec=spec)
    groups = tuple(changed if one.name == group.name else one for one in draft.cluster.groups)
    cluster = replace(draft.cluster, groups=groups)
    image_id = group.image.id or first_image_id(group)
    members = begun(cluster, [group.name], config, image_id, why=why)
    draft.cluster = replace(cluster, **members)


def _in_order(draft: Draft) -> list[tuple[InstanceGroup, SoftwareUpdate]]:
    """The groups still to be done: the controller's first, and the other way round on the way back."""
    first = controller_group(draft.cluster)
    groups = sorted(draft.cluster.groups, key=lambda group: group.name != first)
    if draft.cluster.reverting:
        groups.reverse()
    return [(group, group.update) for group in groups if group.update is not None and group.update.open]


def _advance(draft: Draft, end: S) -> bool:
    """Take the next group on. False when there is none left; what is through is marked with the status of the end."""
    for group, update in _in_order(draft):
        if update.status is S.PENDING:
            update = replace(update, status=S.IN_PROGRESS)
            group = _record(draft, group, update=update)
        if _roll(draft, group, update):
            return True
        failed = end is S.ROLLBACK_COMPLETE and any(node.fault == FAULT_UPDATE for node in draft.of(group))
        ended = replace(update, status=S.FAILED if failed else end, baked_until=None)
        _record(draft, group, update=ended, image=ended.wanted)
    return False


def _record(draft: Draft, group: InstanceGroup, **changes: object) -> InstanceGroup:
    changed = replace(group, **changes)
    groups = tuple(changed if one.name == group.name else one for one in draft.cluster.groups)
    draft.cluster = replace(draft.cluster, groups=groups)
    return changed


def _roll(draft: Draft, group: InstanceGroup, update: SoftwareUpdate) -> bool:
    """Whether anything is still to be done or waited for in the group; the next batch is begun when it may be."""
    updating = (node for node in draft.nodes.stirred() if node.group == group.name and _updating(node))
    under_way = [node for node in updating if node.image.n == update.wanted.n]
    if under_way:
        for node in under_way:
            _try_again(draft, node, update)
        draft.wait(f"{len(under_way)} instances of {group.name} are being updated")
        return True
    if update.in_batch:
        going_back = update.status is S.ROLLBACK_IN_PROGRESS  # the sooner the better
        wait_s = 0 if going_back else update.config.get("WaitIntervalInSeconds", 0)
        update = replace(update, in_batch=False, baked_until=draft.now + timedelta(seconds=wait_s))
        _record(draft, group, update=update)
    if update.baked_until is not None and not draft.expired(update.baked_until, 0):
        draft.wait(f"instance group {group.name} waits after a batch, until {iso_second(update.baked_until)}")
        return True
    return _next_batch(draft, group, update, draft.of(group))


def _next_batch(draft: Draft, group: InstanceGroup, update: SoftwareUpdate, members: list[Node]) -> bool:
    """Begin it. False when every node that lives has the image."""
    todo = [node for node in members if node.image.n != update.wanted.n and node.status is not NodeStatus.FAILURE]
    for node in todo:
        if not node.joined:
            draft.set(node, image=update.wanted)
    sound = (node for node in todo if node.repair is None)  # what is to be repaired is waited for
    able = (node for node in sound if node.status in _RENEWABLE and draft.was(node) in _RENEWABLE)
    ready = sorted(able, key=lambda node: not _updating(node))
    batch = ready[: batch_size(update, max(group.wanted, len(members)))]
    for node in batch:
        _renew(draft, node, update, tries=1)
    if batch:
        _record(draft, group, update=replace(update, in_batch=True, baked_until=None))
    pending = [node for node in members if node.status is NodeStatus.PENDING]
    coming = len({node.instance_id for node in [*pending, *todo]} - {node.instance_id for node in ready})
    if coming:
        draft.wait(f"{coming} instances of {group.name} are on their way in")
    return bool(batch or coming)


_RENEWABLE = (NodeStatus.RUNNING, NodeStatus.SYSTEM_UPDATING)


def _updating(node: Node) -> bool:
    return node.status is NodeStatus.SYSTEM_UPDATING


def _renew(draft: Draft, node: Node, update: SoftwareUpdate, tries: int) -> None:
    """A new root volume: the machine boots from it, and the lifecycle script runs as on a new one. The message stays,
    as on AWS, until the node runs."""
    draft.set(
        node,
        status=NodeStatus.SYSTEM_UPDATING,
        image=update.wanted,
        script=ScriptState.NONE if node.script is ScriptState.NONE else ScriptState.WAITING,
        runs=node.runs + 1,
        tries=tries,
        reboot_due=True,
        rebooted_at=None,
        repair=None,
        why=f"back to {update.wanted.id}" if update.status is S.ROLLBACK_IN_PROGRESS else update.why,
    )


def _try_again(draft: Draft, node: Node, update: SoftwareUpdate) -> None:
    if node.script is ScriptState.FAILED and not _worn(draft, node):
        _renew(draft, node, update, tries=node.tries + 1)


def _worn(draft: Draft, node: Node) -> bool:
    """Its script failed as often as it may."""
    failed = _updating(node) and node.script is ScriptState.FAILED
    return failed and node.tries >= draft.policy.update_attempts_max


def _wrong(draft: Draft) -> str:
    """Why the update cannot go on; "" when it can."""
    stirred = [node for node in draft.nodes.stirred() if stays(node)]
    for group, update in _in_order(draft):
        if update.status is not S.IN_PROGRESS:
            continue
        alarms = {alarm["AlarmName"] for alarm in update.config.get("AutoRollbackConfiguration") or []}
        ringing = sorted(alarms & draft.seen.alarms)
        if ringing:
            return UPDATE_ALARMED.format(group=group.name, alarms=", ".join(ringing))
        members = (node for node in stirred if node.group == group.name)
        for node in members:
            if node.image.n == update.image.n and (_worn(draft, node) or worn_out(draft, node)):
                message = node.message or SCRIPT_FAILED
                return UPDATE_FAILED.format(group=group.name, instance_id=node.instance_id, message=message)
    return ""


def _turn_back(draft: Draft, why: str) -> None:
    """All groups of the update go back; those whose turn had not come have nothing to take back, and name the image
    they keep as the others do."""
    groups = []
    for group in draft.cluster.groups:
        if group.status is GroupStatus.SYSTEM_UPDATING and group.update is not None:
            never = group.update.status is S.PENDING
            back = S.ROLLBACK_COMPLETE if never else S.ROLLBACK_IN_PROGRESS
            update = replace(group.update, status=back, in_batch=False, baked_until=None)
            group = replace(group, update=update, image=update.before if never else group.image)
        groups.append(group)
    draft.move(ClusterStatus.ROLLING_BACK, groups, failure_message=why)


def _give_up(draft: Draft) -> None:
    """A node that does not even come back on its former image has failed."""
    for node in draft.nodes.stirred():
        if _worn(draft, node) and node.image.n == _wanted_n(draft, node):
            message = ROLLBACK_FAILED.format(message=node.message or SCRIPT_FAILED)
            draft.set(
                node, status=NodeStatus.FAILURE, health=Health.UNHEALTHY, fault=FAULT_UPDATE, message=message, tries=0
            )


def _wanted_n(draft: Draft, node: Node) -> int:
    return next(group.wanted_image.n for group in draft.cluster.groups if group.name == node.group)


def _finish(draft: Draft) -> None:
    """The groups of the update are in service; with continuous provisioning others may be on their own way."""
    back = {GroupStatus.SYSTEM_UPDATING: GroupStatus.IN_SERVICE}
    groups = [replace(group, status=back.get(group.status, group.status)) for group in draft.cluster.groups]
    draft.move(ClusterStatus.IN_SERVICE, groups, before=())
