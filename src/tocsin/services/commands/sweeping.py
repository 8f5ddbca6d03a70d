"""What Run Command may forget: commands that are over, once they are older than the history goes back; and tickets, a
day after they expired, with the memory of what they ran."""

from collections.abc import Sequence

from tocsin.model.changes import Delete
from tocsin.model.command import FINAL, Command, Investigation, Invocation, StepOutput
from tocsin.model.records import Record
from tocsin.ports import Store
from tocsin.services.commands.history import History

DAY_MS = 86_400_000
# Records deleted in one commit: a command for thousands of nodes does not keep the others from the writer.
BITE = 500


async def sweep(store: Store, history: History, now_ms: int, history_days: int) -> None:
    """Oldest first, until one is young enough to stay."""
    over = [one for one in await store.find(Investigation) if one.expires_ms <= now_ms - DAY_MS]
    for start in range(0, len(over), BITE):
        await store.commit(*map(Delete, over[start : start + BITE]))
    kept_since_ms = now_ms - history_days * DAY_MS
    for scope, ids in history.oldest():
        for command_id in ids:
            command = await store.get(Command, scope, command_id)
            if command is not None and command.requested_ms >= kept_since_ms:
                break
            if command is None or command.status in FINAL:
                await _drop(store, command)
                history.forget(scope, command_id)


async def _drop(store: Store, command: Command | None) -> None:
    """The command goes last: a sweep that is cut short finds the rest by it."""
    if command is None:
        return
    for kind in (StepOutput, Invocation):
        found: Sequence[Record] = await store.find(kind, command.scope, prefix=f"{command.id}/")
        for start in range(0, len(found), BITE):
            await store.commit(*map(Delete, found[start : start + BITE]))
    await store.commit(Delete(command))
