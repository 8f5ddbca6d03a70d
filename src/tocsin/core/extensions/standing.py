"""Where an extension stands on its nodes, what they are due, and what that makes of its status and health.

`nodes` are the cluster's nodes that run: "every running node in your cluster, including nodes that you add" (botocore).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct

from tocsin.model.cluster import Node, NodeStatus
from tocsin.model.extension import Extension, ExtensionNode, ExtensionStatus, NodeState, Work

# "The list contains at most 20 issues."
ISSUES_MAX = 20
OTHER = "Other"


class Stands(StrEnum):
    DUE = "due"
    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    UNWELL = "unwell"


class Fate(StrEnum):
    """Of an extension on a node: gone with the node, or with its root volume; out of reach with it; or within."""

    GONE = "gone"
    LOST = "lost"
    THERE = "there"


class Issue(Struct, frozen=True):
    code: str
    message: str
    nodes: int


def stands(extension: Extension, record: ExtensionNode | None, node: Node) -> Stands:
    """A script that is under way is let end before the next is ordered: two would be in each other's way."""
    removing = extension.work is Work.DELETE
    if record is None:
        return Stands.DONE if removing else Stands.DUE
    if record.state is NodeState.ORDERED:
        return Stands.OPEN
    if (record.n, record.runs, record.removing) != (extension.n, node.runs, removing):
        return Stands.DUE
    return _ENDED[record.state]


_ENDED = {NodeState.ACTIVE: Stands.DONE, NodeState.FAILED: Stands.FAILED, NodeState.UNWELL: Stands.UNWELL}


def counted(extension: Extension, records: Mapping[str, ExtensionNode], nodes: Iterable[Node]) -> Mapping[Stands, int]:
    return Counter(stands(extension, records.get(node.instance_id), node) for node in nodes)


def fate(record: ExtensionNode, node: Node | None) -> Fate:
    """What the removal of an extension has to expect of a node that had it. One that failed is not waited for."""
    if node is None or node.status is NodeStatus.SHUTTING_DOWN:
        return Fate.GONE
    if node.runs != record.runs and record.state is not NodeState.ORDERED:
        return Fate.GONE
    return Fate.LOST if node.status is NodeStatus.FAILURE else Fate.THERE


def status(extension: Extension, counts: Mapping[Stands, int]) -> ExtensionStatus:
    """In AWS's words: Active is all nodes, Degraded some and not all, the failed ones none."""
    waiting = counts.get(Stands.DUE, 0) + counts.get(Stands.OPEN, 0)
    done, failed, unwell = (counts.get(one, 0) for one in (Stands.DONE, Stands.FAILED, Stands.UNWELL))
    if extension.work is Work.DELETE:
        return ExtensionStatus.DELETE_FAILED if failed and not waiting else ExtensionStatus.DELETING
    creating = extension.work is Work.CREATE
    if waiting and not extension.settled:
        return ExtensionStatus.CREATING if creating else ExtensionStatus.UPDATING
    if not waiting and not failed and not unwell:
        return ExtensionStatus.ACTIVE
    if failed and not done and not unwell and not waiting:
        return ExtensionStatus.CREATE_FAILED if creating else ExtensionStatus.UPDATE_FAILED
    return ExtensionStatus.DEGRADED


def issues(records: Iterable[ExtensionNode]) -> list[Issue]:
    """Problems by cause, the one of the most nodes first; a node is in one at most."""
    causes = Counter((one.code, one.message) for one in records if one.code)
    found = [Issue(code, message, nodes) for (code, message), nodes in sorted(causes.items(), key=_rank)]
    if len(found) <= ISSUES_MAX:
        return found
    shown, rest = found[: ISSUES_MAX - 1], found[ISSUES_MAX - 1 :]
    return [*shown, Issue(OTHER, f"{len(rest)} more problems.", sum(one.nodes for one in rest))]


def _rank(cause: tuple[tuple[str, str], int]) -> tuple[int, tuple[str, str]]:
    return -cause[1], cause[0]
