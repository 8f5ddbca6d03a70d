"""The tables of statuses: complete, and nothing in them is a dead end."""

from collections.abc import Mapping
from typing import Any

import pytest

from tocsin.core.lifecycle import CLUSTER_MOVES, MAY_DELETE, MAY_UPDATE, NODE_MOVES, cluster_may_move, node_may_move
from tocsin.model.cluster import ClusterStatus, NodeStatus

TABLES = [
    pytest.param(CLUSTER_MOVES, ClusterStatus, id="cluster"),
    pytest.param(NODE_MOVES, NodeStatus, id="node"),
]
# Statuses of operations that are not there yet: nothing leads to them, but they lead on.
LATER = {NodeStatus.SYSTEM_UPDATING, NodeStatus.DEEP_HEALTH_CHECK}


def reached(table: Mapping[Any, frozenset[Any]], start: Any) -> set[Any]:
    found: set[Any] = set()
    waiting = [start]
    while waiting:
        new = table[waiting.pop()] - found
        found |= new
        waiting += new
    return found


@pytest.mark.parametrize(("table", "statuses"), TABLES)
def test_every_status_has_its_moves(table: Mapping[Any, frozenset[Any]], statuses: Any) -> None:
    assert set(table) == {None, *statuses}


@pytest.mark.parametrize(("table", "statuses"), TABLES)
def test_every_status_can_come_about_and_can_end(table: Mapping[Any, frozenset[Any]], statuses: Any) -> None:
    assert reached(table, None) >= set(statuses) - LATER
    assert all(None in reached(table, status) for status in statuses)


def test_what_stays_has_not_moved_and_what_is_gone_does_not_come_back() -> None:
    assert all(cluster_may_move(status, status) for status in ClusterStatus)
    assert not any(cluster_may_move(None, status) for status in ClusterStatus if status != ClusterStatus.CREATING)
    assert not any(node_may_move(NodeStatus.SHUTTING_DOWN, status) for status in NodeStatus if status != "ShuttingDown")


def test_requests_begin_only_moves_that_the_table_has() -> None:
    assert all(ClusterStatus.UPDATING in CLUSTER_MOVES[status] for status in MAY_UPDATE)
    assert all(ClusterStatus.DELETING in CLUSTER_MOVES[status] for status in MAY_DELETE)
