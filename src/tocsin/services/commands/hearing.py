"""Reports of nodes on commands -> one commit each: the invocation, its event, its output, the report's number."""

from typing import Protocol

from tocsin.core.commands.hearing import heard
from tocsin.model.command import Command, Invocation
from tocsin.model.errors import Stale
from tocsin.model.link import CommandReport
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Nodes, Store
from tocsin.services.commands.output import Output
from tocsin.services.commands.telling import Move, Telling

TRIES_MAX = 5  # each loses only to a writer that won


class Memory(Protocol):
    """The open commands, as Commands keeps them."""

    def of(self, command_id: str, instance_id: str) -> tuple[Command, Invocation] | None: ...

    def remember(self, one: Invocation) -> None: ...


class Hearing:
    def __init__(self, store: Store, clock: Clock, nodes: Nodes, telling: Telling, output: Output) -> None:
        self._store = store
        self._clock = clock
        self._nodes = nodes
        self._telling = telling
        self._output = output

    async def take(self, memory: Memory, instance_id: str, report: CommandReport) -> None:
        """Raises Stale when another was faster again and again; StoreUnavailable."""
        for attempt in range(TRIES_MAX):
            try:
                await self._take(memory, instance_id, report)
                return
            except Stale:
                if attempt == TRIES_MAX - 1:
                    raise

    async def _take(self, memory: Memory, instance_id: str, report: CommandReport) -> None:
        found = await self._invocation(memory, instance_id, report)
        if found is None:  # forgotten, or never one of ours: acknowledged, so that it does not come again
            await self._nodes.keep(instance_id, report.n)
            return
        command, before = found
        now_ms = epoch_ms(self._clock.now())
        after = heard(before, report, now_ms)
        moves = [Move(before, after)] if after is not before else []
        owed = await self._telling.invocations(command, moves, now_ms)
        output = await self._output.changes(command, before, report)
        if await self._nodes.keep(instance_id, report.n, *owed.changes, *output):
            owed.committed()
            memory.remember(after)

    async def _invocation(
        self, memory: Memory, instance_id: str, report: CommandReport
    ) -> tuple[Command, Invocation] | None:
        """Of an open command from memory; of one that is over, whose output may still come, from the store."""
        command_id = report.work.rpartition("/")[2]
        found, home = memory.of(command_id, instance_id), self._nodes.node(instance_id)
        if found or home is None:
            return found
        scope = home[0].cluster.scope
        command = await self._store.get(Command, scope, command_id)
        one = await self._store.get(Invocation, scope, f"{command_id}/{instance_id}")
        return (command, one) if command and one else None
