"""Before and after -> lines of the story. The twin of announce, for people instead of rules."""

from collections.abc import Collection, Mapping
from datetime import datetime

from tocsin.model.cluster import Cluster, ClusterStatus, Health, InstanceGroup, Node, NodeStatus, ScriptState
from tocsin.model.story import Chapter, StoryLine
from tocsin.model.times import epoch_ms

_SCRIPT = {
    ScriptState.STARTED: "lifecycle script started",
    ScriptState.SUCCEEDED: "lifecycle script succeeded",
    ScriptState.FAILED: "lifecycle script failed",
}


def tell(
    before: Cluster | None,
    after: Cluster | None,
    nodes_before: Mapping[str, Node],
    nodes_after: Mapping[str, Node],
    at: datetime,
) -> list[StoryLine]:
    """One line for every status, script and health that changed, nodes first: their changes are the cause."""
    cluster = after or before
    assert cluster is not None, "a story needs a cluster"
    lines = []
    tried = {node.name for key, node in nodes_after.items() if key not in nodes_before}
    for instance_id in [*nodes_before, *(new for new in nodes_after if new not in nodes_before)]:
        old, new = nodes_before.get(instance_id), nodes_after.get(instance_id)
        lines += [line(cluster, at, *words, instance_id=instance_id) for words in _node_lines(old, new, tried)]
    status_before, status_after = before.status if before else None, after.status if after else None
    if status_before != status_after:
        words = status_words(status_before, status_after)
        failure = after.failure_message if after else ""
        known = before is not None and failure == before.failure_message and status_after is not ClusterStatus.FAILED
        why = "" if known else failure
        lines.append(line(cluster, at, Chapter.STATUS, words, why))
    if after and before and before.groups != after.groups:
        lines += [line(cluster, at, Chapter.STATUS, words, why) for words, why in _group_lines(before, after)]
    return lines


def status_words(before: ClusterStatus | None, after: ClusterStatus | None) -> str:
    return f"{before or 'nothing'} → {after or 'gone'}"


def line(
    cluster: Cluster, at: datetime, chapter: Chapter, what: str, why: str = "", *, instance_id: str = ""
) -> StoryLine:
    return StoryLine(
        scope=cluster.scope,
        cluster_id=cluster.id,
        cluster_name=cluster.name,
        instance_id=instance_id,
        at_ms=epoch_ms(at),
        chapter=chapter,
        what=what,
        why=why,
    )


def _node_lines(old: Node | None, new: Node | None, tried: Collection[str]) -> list[tuple[Chapter, str, str]]:
    """`tried` are the names of the nodes that come."""
    if old is None and new is not None:
        why = f"replaces {new.replaces}" if new.replaces else ""
        return [(Chapter.NODE, f"{new.name} ordered: {new.instance_type} at {new.address}", why)]
    if new is None:
        assert old is not None, "a node is there before or after"
        return [(Chapter.NODE, f"{old.name} is gone", "")]
    assert old is not None, "ordered nodes are told above"
    lines = []
    if old.script is not new.script and new.script in _SCRIPT:
        why = new.message if new.script is ScriptState.FAILED else ""
        lines.append((Chapter.SCRIPT, f"{new.name}: {_SCRIPT[new.script]}", why))
    if old.health is not new.health:
        lines.append((Chapter.HEALTH, f"{new.name}: {old.health} → {new.health}", new.fault))
    if old.reset is not new.reset and (old.reset is None or new.reset is None):
        lines.append(_reset_line(old, new))
    if old.status is not new.status:
        lines.append((Chapter.NODE, f"{new.name}: {old.status} → {new.status}", _why(new, again=new.name in tried)))
    return lines


def _reset_line(old: Node, new: Node) -> tuple[Chapter, str, str]:
    if new.reset is not None:
        return Chapter.DECISION, f"{new.name}: {', '.join(new.reset.gpus)} is reset", new.why
    if new.reset_end is None:
        return Chapter.NODE, f"{new.name}: the reset of its GPUs is given up", ""
    failed = new.reset_end.failed
    return Chapter.NODE, f"{new.name}: the reset of its GPUs {'failed' if failed else 'is done'}", failed


def _why(node: Node, *, again: bool) -> str:
    match node.status:
        case NodeStatus.SHUTTING_DOWN if node.repair or node.health is Health.UNHEALTHY:
            why = node.why or node.fault
            return f"to be replaced: {why}" if again else f"not replaced: {why}"
        case NodeStatus.SHUTTING_DOWN:
            return "another one is tried" if again and not node.joined else node.why
        case NodeStatus.SYSTEM_UPDATING:
            return node.why
        case NodeStatus.PENDING:
            return f"reboots: {node.why or node.fault}"
        case NodeStatus.FAILURE:
            return node.message
        case NodeStatus.DEEP_HEALTH_CHECK if node.deep:
            why = (
                f"for {node.deep.suspect}" if node.deep.suspect else "asked for" if node.deep.operation else "on start"
            )
            return f"{', '.join(node.deep.kinds)} {why}"
        case NodeStatus.RUNNING if node.deep and node.deep.ended:
            return node.deep.detail
    return ""


def _group_lines(before: Cluster, after: Cluster) -> list[tuple[str, str]]:
    """What is told of groups, and why."""
    old = {group.name: group for group in before.groups}
    new = {group.name: group for group in after.groups}
    added = [(f"group {name} added, {new[name].target} wanted", "") for name in new if name not in old]
    gone = [(f"group {name} is gone", "") for name in old if name not in new]
    changed = [
        (f"group {name}: {_counted(old[name], new[name])}{new[name].status}", _group_why(old[name], new[name]))
        for name in new
        if name in old and (old[name].target, old[name].status) != (new[name].target, new[name].status)
    ]
    updated = [
        (f"group {name}: software update {update.status}", "")
        for name in new
        if name in old and (update := new[name].update) and (was := old[name].update) != update
        if was is None or was.status != update.status
    ]
    return added + changed + updated + gone


def _group_why(old: InstanceGroup, new: InstanceGroup) -> str:
    """The message of a group that turned back."""
    return new.message if new.message != old.message else ""


def _counted(old: InstanceGroup, new: InstanceGroup) -> str:
    return f"{old.target} → {new.target} wanted, " if old.target != new.target else ""
