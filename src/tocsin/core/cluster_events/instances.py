"""What is told about instances: from the order to the end, and all that is done with them in between."""

from collections.abc import Callable, Iterator

from tocsin.core.announce import UNHEALTHY_REASON, repair_action
from tocsin.core.cluster_events.said import ERROR, INFO, WARN, Said, of_instance, where
from tocsin.model.cluster import Cluster, Health, Node, ScriptState
from tocsin.model.cluster import NodeStatus as N

_SCRIPT = {ScriptState.STARTED: "Started", ScriptState.SUCCEEDED: "Succeeded", ScriptState.FAILED: "Failed"}


def instance_steps(cluster: Cluster, old: Node | None, new: Node | None) -> Iterator[Said]:
    if new is None:
        assert old is not None, "a node is there before or after"
        yield of_instance(
            INFO, f"Instance deletion {old.instance_id} {where(cluster, old.group)} completed successfully", old
        )
    elif old is None:
        yield _ordered(cluster, new)
    else:
        yield from _script(cluster, old, new)
        yield from _health(cluster, old, new)
        step = _STEPS.get((old.status, new.status))
        if step is not None:
            yield from step(cluster, old, new)
        elif new.status is N.SYSTEM_UPDATING and old.runs != new.runs:
            yield _renewed(new)


def _ordered(cluster: Cluster, node: Node) -> Said:
    place = where(cluster, node.group)
    if node.replaces:
        text = f"Instance {node.instance_id} is starting as part of instance replacement {place}"
    else:
        text = f"Instance creation started successfully {place}"
    return of_instance(INFO, text, node)


def _script(cluster: Cluster, old: Node, new: Node) -> Iterator[Said]:
    if old.script is new.script or new.script not in _SCRIPT:
        return
    if not old.joined and old.script is ScriptState.WAITING:
        yield _provisioned(cluster, new)
    state = _SCRIPT[new.script]
    text = f"Instance lifecycle script execution for EC2 Instance {new.instance_id} has {state}"
    if new.script is ScriptState.FAILED:
        text += f". To view lifecycle script logs, visit log group {cluster.log_group}"
        yield of_instance(ERROR, text, new, failure=new.message, script=state)
    else:
        yield of_instance(INFO, text, new, script=state)


def _provisioned(cluster: Cluster, node: Node) -> Said:
    text = f"EC2 Instance {node.instance_id} successfully provisioned {where(cluster, node.group)}"
    return of_instance(INFO, text, node)


def _health(cluster: Cluster, old: Node, new: Node) -> Iterator[Said]:
    if old.health is new.health:
        return
    if new.health is Health.UNHEALTHY:
        reason, action = UNHEALTHY_REASON.format(fault=new.fault), repair_action(cluster, new) or "None"
        text = f"Instance {new.instance_id} is unhealthy. {reason} Repair action: {action}."
        yield of_instance(WARN, text, new, failure=new.message)
    else:
        yield of_instance(INFO, f"Instance {new.instance_id} is healthy.", new)


def _created(cluster: Cluster, old: Node, new: Node) -> Iterator[Said]:
    place, one = where(cluster, new.group), new.instance_id
    if old.joined:
        yield of_instance(INFO, f"Instance reboot {one} {place} completed successfully", new)
        return
    if new.script is ScriptState.NONE:
        yield _provisioned(cluster, new)
    if new.replaces:
        text = f"Instance {one} creation completed successfully as part of instance replacement {place}"
    else:
        text = f"Instance creation {one} {place} completed successfully"
    yield of_instance(INFO, text, new)


def _not_created(cluster: Cluster, old: Node, new: Node) -> Iterator[Said]:
    place, one = where(cluster, new.group), new.instance_id
    if old.joined:
        text = f"Instance reboot {one} {place} failed"
    elif new.replaces:
        text = f"Instance {one} creation failed as part of instance replacement {place}"
    else:
        text = f"Instance creation in Cluster {cluster.name} and InstanceGroup {new.group} failed"
    yield of_instance(ERROR, text, new, failure=new.message)


def _rebooting(cluster: Cluster, _old: Node, new: Node) -> Iterator[Said]:
    place = f"on Cluster {cluster.name} and IG {new.group}"
    text = f"Reboot of EC2 Instance {new.instance_id} is currently in progress {place}"
    yield of_instance(INFO, text, new)


def _leaving(cluster: Cluster, _old: Node, new: Node) -> Iterator[Said]:
    place = where(cluster, new.group)
    yield of_instance(INFO, f"Termination of EC2 Instance {new.instance_id} is currently in progress {place}", new)


def _renewed(node: Node) -> Said:
    return of_instance(
        INFO, f"Root volume replacement started for Instance {node.instance_id} in IG {node.group}.", node
    )


def _updating(_cluster: Cluster, _old: Node, new: Node) -> Iterator[Said]:
    yield _renewed(new)


def _updated(cluster: Cluster, _old: Node, new: Node) -> Iterator[Said]:
    what = "rolled back successfully to previous AMI" if cluster.reverting else "updated successfully"
    yield of_instance(INFO, f"Instance {new.instance_id} in IG {new.group} {what}.", new)


def _not_updated(_cluster: Cluster, _old: Node, new: Node) -> Iterator[Said]:
    yield of_instance(
        ERROR, f"Instance {new.instance_id} in IG {new.group} failed to update.", new, failure=new.message
    )


_STEPS: dict[tuple[N, N], Callable[[Cluster, Node, Node], Iterator[Said]]] = {
    (N.PENDING, N.RUNNING): _created,
    (N.PENDING, N.DEEP_HEALTH_CHECK): _created,
    (N.DEEP_HEALTH_CHECK, N.PENDING): _rebooting,
    (N.SYSTEM_UPDATING, N.DEEP_HEALTH_CHECK): _updated,
    (N.PENDING, N.FAILURE): _not_created,
    (N.RUNNING, N.PENDING): _rebooting,
    (N.FAILURE, N.PENDING): _rebooting,
    (N.RUNNING, N.SYSTEM_UPDATING): _updating,
    (N.SYSTEM_UPDATING, N.RUNNING): _updated,
    (N.SYSTEM_UPDATING, N.FAILURE): _not_updated,
    **{(status, N.SHUTTING_DOWN): _leaving for status in N if status is not N.SHUTTING_DOWN},
}
