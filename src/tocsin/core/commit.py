"""From a cluster as it was to what it shall be: every change that one commit must hold. Called by the fleet.

Records, the events that are owed for them and the lines of the story go together; statuses move only lawfully.
"""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from tocsin.core.announce import announce, announce_steps
from tocsin.core.cluster_events import cluster_events, forget, keep
from tocsin.core.lifecycle import cluster_may_move, group_may_move, node_may_move
from tocsin.core.members import Members
from tocsin.core.tell import tell
from tocsin.model.changes import Accept, Change, Delete, Put, Tell
from tocsin.model.cluster import Cluster, Node
from tocsin.model.records import R


class World(Struct, frozen=True, kw_only=True):
    """A cluster and its nodes, as last committed, and how many Cluster Events it ever told. `waiting`, `held`
    and `wake_at` are from the plan last made."""

    cluster: Cluster
    nodes: Members
    events_told: int = 0
    waiting: tuple[str, ...] = ()
    held: dict[str, str] = {}
    wake_at: datetime | None = None


class Committed(Struct, frozen=True, kw_only=True):
    """`touched` are the instances that came, changed or went. Most of a large cluster does not."""

    world: World | None
    changes: list[Change]
    touched: list[str]


def commit(before: World | None, after: World | None, at: datetime) -> Committed:
    """The world as it will stand, its records numbered as successors, and the changes that bring it about.

    `after` may carry any revisions; a record that does not differ is not written. None: nothing is there (any more).
    """
    old_cluster, old_nodes = (before.cluster, before.nodes) if before else (None, Members())
    new_cluster, new_nodes = (after.cluster, after.nodes) if after else (None, Members())
    touched = new_nodes.differing(old_nodes)
    was = {key: old_nodes[key] for key in touched if key in old_nodes}
    now = {key: _numbered(was.get(key), new_nodes[key]) for key in touched if key in new_nodes}
    _assert_lawful(old_cluster, new_cluster, was, now)
    new_cluster = _numbered(old_cluster, new_cluster) if new_cluster else None
    changes: list[Change] = []
    if new_cluster and new_cluster is not old_cluster:
        changes.append(Put(new_cluster))
    elif old_cluster and not new_cluster:
        changes.append(Delete(old_cluster))
    changes += [Put(node) for key, node in now.items() if node is not was.get(key)]
    changes += [Delete(node) for key, node in was.items() if key not in now]
    members = new_nodes | now
    changes += map(Accept, announce(old_cluster, new_cluster, was, members, at))
    told = before.events_told if before else 0
    steps = cluster_events(old_cluster, new_cluster, was, now, members, at, told)
    if new_cluster:
        changes += [*keep(steps), *map(Accept, announce_steps(new_cluster, steps, at))]
    elif old_cluster:
        changes += forget(old_cluster, told)
    changes += map(Tell, tell(old_cluster, new_cluster, was, now, at))
    world = None
    if after and new_cluster:
        world = replace(after, cluster=new_cluster, nodes=members, events_told=told + len(steps))
    return Committed(world=world, changes=changes, touched=touched)


def _numbered(old: R | None, new: R) -> R:
    """The new record as the direct successor of the old; the old itself when they do not differ."""
    if old is None:
        return replace(new, revision=1)
    return old if replace(new, revision=old.revision) == old else replace(new, revision=old.revision + 1)


def _assert_lawful(
    old: Cluster | None, new: Cluster | None, old_nodes: Mapping[str, Node], new_nodes: Mapping[str, Node]
) -> None:
    before, after = old.status if old else None, new.status if new else None
    mode = new or old
    lawful = cluster_may_move(before, after, continuous=mode is not None and mode.continuous)
    assert lawful, f"a cluster never goes from {before} to {after}"
    _assert_groups_lawful(old, new)
    for key in old_nodes.keys() | new_nodes.keys():
        was, now = old_nodes.get(key), new_nodes.get(key)
        was_status, now_status = was.status if was else None, now.status if now else None
        assert node_may_move(was_status, now_status), f"a node never goes from {was_status} to {now_status}"


def _assert_groups_lawful(old: Cluster | None, new: Cluster | None) -> None:
    """A cluster that is gone takes its groups along, whatever they were."""
    if new is None or (old is not None and old.groups is new.groups):
        return
    before = {group.name: group.status for group in old.groups} if old else {}
    after = {group.name: group.status for group in new.groups}
    for name in before.keys() | after.keys():
        was, now = before.get(name), after.get(name)
        assert group_may_move(was, now), f"a group never goes from {was} to {now}"
