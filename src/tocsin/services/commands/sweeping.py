"""What Run Command may forget: commands that are over, once they are older than the history goes back."""

from collections.abc import Sequence

from tocsin.model.changes import Delete
from tocsin.model.command import FINAL, Command, Invocation, StepOutput
from tocsin.model.records import Record
from tocsin.ports import Store

DAY_MS = 86_400_000
# Records deleted in one commit: a command for thousands of nodes does not keep the others from the writer.
BITE = 500


async def sweep(store: Store, now_ms: int, history_days: int) -> None:
    """The command goes last: a sweep that is cut short finds the rest by it."""
    kept_since_ms = now_ms - history_days * DAY_MS
    for command in await store.find(Command):
        if command.status not in FINAL or command.requested_ms >= kept_since_ms:
            continue
        for kind in (StepOutput, Invocation):
            found: Sequence[Record] = await store.find(kind, command.scope, prefix=f"{command.id}/")
            for start in range(0, len(found), BITE):
                await store.commit(*map(Delete, found[start : start + BITE]))
        await store.commit(Delete(command))
