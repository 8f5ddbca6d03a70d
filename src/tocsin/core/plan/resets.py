"""Resets of GPUs in the plan: ordered from the node's agent, and over once it says so, or says nothing for too long.

heal.py begins one within the budget; core/reports hands in what the agent says. The node runs on meanwhile, unhealthy.
"""

from msgspec.structs import replace

from tocsin.core.faults import after_gpu_reset
from tocsin.core.plan.draft import Draft
from tocsin.core.plan.steps import ResetGpus
from tocsin.model.cluster import Node, NodeStatus
from tocsin.model.health import GpuReset, Remedy, ResetEnd
from tocsin.model.link import GpuResetEnded

WHY_CHARS_MAX = 300
# The agent says that a command did not end in time; this is for it to say so.
TELL_S = 30.0
SILENT = "it did not end within {seconds:g} s"


def begin(draft: Draft, node: Node, gpus: tuple[str, ...]) -> None:
    draft.set(node, reset=GpuReset(gpus=gpus, at=draft.now), reset_end=None)


def follow_reset(draft: Draft, node: Node) -> None:
    """Wait for its end, and not for ever."""
    assert node.reset is not None, "only a reset that is under way is waited for"
    limit_s = draft.health.gpu_reset_limit_s * len(node.reset.gpus) + TELL_S
    if draft.expired(node.reset.at, limit_s):
        draft.nodes[node.instance_id] = failed(node, SILENT.format(seconds=limit_s))
    else:
        draft.wait(f"{node.instance_id} is not well yet: {', '.join(node.reset.gpus)} is being reset")


def list_resets(draft: Draft) -> None:
    """Order the resets under way from agents that were not told of them on their present link."""
    for node in draft.nodes.stirred():
        if node.reset is None or node.status is not NodeStatus.RUNNING:
            continue
        link = draft.seen.links.get(node.instance_id)
        if link is not None and link.connected and node.reset_work not in link.ordered:
            draft.step(ResetGpus(node))


def ended(node: Node, report: GpuResetEnded) -> Node:
    """The node once its GPUs were reset, or could not be. A reset that is no longer the node's changes nothing."""
    if node.reset is None or report.work != node.reset_work:
        return node
    if report.failed:
        return failed(node, report.failed)
    left = after_gpu_reset(node.faults, node.reset.gpus)
    return replace(node, reset=None, reset_end=ResetEnd(), why="", faults=left)


def failed(node: Node, why: str) -> Node:
    """This reset is the last that was done about the node: nothing begins while one is under way. Who called its fault
    over meanwhile had it forgotten."""
    why, mended = why[:WHY_CHARS_MAX], node.mended
    if mended and mended[-1].remedy is Remedy.GPU_RESET:
        mended = (*mended[:-1], replace(mended[-1], failed=why))
    return replace(node, reset=None, reset_end=ResetEnd(failed=why), why="", mended=mended)
