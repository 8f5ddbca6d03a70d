"""The law of statuses: which may follow which, and what may be asked for in which.

Clusters move by operations: Creating, Updating and Deleting begin with a client's request; InService, RollingBack and
Failed are where the planner takes them (facts/hyperpod.md §3.1). With continuous provisioning a cluster scales while it
is InService. The commit path asserts these tables, and the diagrams in docs/clusters.md are drawn from them.
"""

from tocsin.model.cluster import ClusterStatus as C
from tocsin.model.cluster import GroupStatus as G
from tocsin.model.cluster import NodeStatus as N

# None stands for "is not there": before its creation, after its end.
CLUSTER_MOVES: dict[C | None, frozenset[C | None]] = {
    None: frozenset({C.CREATING}),
    C.CREATING: frozenset({C.IN_SERVICE, C.ROLLING_BACK, C.FAILED, C.DELETING}),
    C.IN_SERVICE: frozenset({C.UPDATING, C.SYSTEM_UPDATING, C.DELETING}),
    C.UPDATING: frozenset({C.IN_SERVICE, C.ROLLING_BACK, C.FAILED, C.DELETING}),
    C.SYSTEM_UPDATING: frozenset({C.IN_SERVICE, C.ROLLING_BACK, C.FAILED, C.DELETING}),
    C.ROLLING_BACK: frozenset({C.IN_SERVICE, C.FAILED, C.DELETING}),
    C.FAILED: frozenset({C.DELETING}),
    C.DELETING: frozenset({None}),
}

# With continuous provisioning: scaling is no status, and only software updates are rolled back.
CONTINUOUS_CLUSTER_MOVES: dict[C | None, frozenset[C | None]] = {
    None: frozenset({C.CREATING}),
    C.CREATING: frozenset({C.IN_SERVICE, C.FAILED, C.DELETING}),
    C.IN_SERVICE: frozenset({C.SYSTEM_UPDATING, C.DELETING}),
    C.SYSTEM_UPDATING: frozenset({C.IN_SERVICE, C.ROLLING_BACK, C.DELETING}),
    C.ROLLING_BACK: frozenset({C.IN_SERVICE, C.DELETING}),
    C.FAILED: frozenset({C.DELETING}),
    C.DELETING: frozenset({None}),
}

# Groups of both modes. A rollback takes a group back to where it was, so what updates or goes may be as before; a
# cluster that fails takes all its groups along.
GROUP_MOVES: dict[G | None, frozenset[G | None]] = {
    None: frozenset({G.CREATING}),
    G.CREATING: frozenset({G.IN_SERVICE, G.FAILED, G.DELETING}),
    G.IN_SERVICE: frozenset({G.UPDATING, G.SYSTEM_UPDATING, G.DEGRADED, G.DELETING}),
    G.UPDATING: frozenset({G.IN_SERVICE, G.DEGRADED, G.DELETING}),
    G.SYSTEM_UPDATING: frozenset({G.IN_SERVICE, G.DELETING}),
    G.DEGRADED: frozenset({G.IN_SERVICE, G.UPDATING, G.SYSTEM_UPDATING, G.DELETING}),
    G.FAILED: frozenset({G.DELETING}),
    G.DELETING: frozenset({G.IN_SERVICE, G.DEGRADED, G.FAILED, None}),
}

NODE_MOVES: dict[N | None, frozenset[N | None]] = {
    None: frozenset({N.PENDING}),
    N.PENDING: frozenset({N.RUNNING, N.DEEP_HEALTH_CHECK, N.FAILURE, N.SHUTTING_DOWN}),
    N.RUNNING: frozenset({N.PENDING, N.SYSTEM_UPDATING, N.DEEP_HEALTH_CHECK, N.FAILURE, N.SHUTTING_DOWN}),
    N.FAILURE: frozenset({N.PENDING, N.RUNNING, N.DEEP_HEALTH_CHECK, N.SHUTTING_DOWN}),
    N.SHUTTING_DOWN: frozenset({None}),
    N.SYSTEM_UPDATING: frozenset({N.RUNNING, N.DEEP_HEALTH_CHECK, N.FAILURE, N.SHUTTING_DOWN}),
    N.DEEP_HEALTH_CHECK: frozenset({N.RUNNING, N.PENDING, N.FAILURE, N.SHUTTING_DOWN}),
}

# Default provisioning allows one operation at a time: everything else waits with ConflictException. A cluster may be
# deleted from anywhere; deleting it twice is a conflict.
MAY_UPDATE = frozenset({C.IN_SERVICE})
MAY_UPDATE_CONTINUOUS = frozenset({C.CREATING, C.IN_SERVICE, C.SYSTEM_UPDATING})
MAY_UPDATE_SOFTWARE = frozenset({C.IN_SERVICE})
MAY_DELETE = frozenset(C) - {C.DELETING}


def cluster_may_move(before: C | None, after: C | None, *, continuous: bool = False) -> bool:
    """True when the cluster stays, or goes where the table of its mode allows."""
    moves = CONTINUOUS_CLUSTER_MOVES if continuous else CLUSTER_MOVES
    return before == after or after in moves.get(before, ())


def group_may_move(before: G | None, after: G | None) -> bool:
    return before == after or after in GROUP_MOVES[before]


def node_may_move(before: N | None, after: N | None) -> bool:
    return before == after or after in NODE_MOVES[before]
