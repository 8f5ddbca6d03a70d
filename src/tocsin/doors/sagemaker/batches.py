"""Batch operations on nodes: BatchDeleteClusterNodes, BatchRebootClusterNodes, BatchReplaceClusterNodes."""

from collections.abc import Iterable
from typing import Any

from tocsin.core.batches import DELETE, REBOOT, REPLACE, Batch, Refused
from tocsin.doors.door import Context, Handler
from tocsin.services.fleet import Fleet


def batch_operations(fleet: Fleet) -> dict[str, Handler]:
    return {operation: _handler(fleet, operation) for operation in (DELETE, REBOOT, REPLACE)}


def _handler(fleet: Fleet, operation: str) -> Handler:
    async def handle(context: Context, request: dict[str, Any]) -> dict[str, Any]:
        made = await fleet.batch(context.scope, operation, request)
        return _answer(made, code="Code" if operation == DELETE else "ErrorCode")

    return handle


def _answer(made: Batch, code: str) -> dict[str, Any]:
    """Lists that nothing is in are left out."""
    return {
        "Successful": list(made.done) or None,
        "Failed": _failures(made.refused, "NodeId", code),
        "SuccessfulNodeLogicalIds": list(made.logical_done) or None,
        "FailedNodeLogicalIds": _failures(made.logical_refused, "NodeLogicalId", code),
    }


def _failures(refused: Iterable[Refused], name: str, code: str) -> list[dict[str, Any]] | None:
    return [{name: one.id, code: one.code, "Message": one.message} for one in refused] or None
