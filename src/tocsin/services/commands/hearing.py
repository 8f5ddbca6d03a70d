"""Reports of nodes on commands -> one commit each: the invocation, its event, its output, the report's number."""

from typing import Protocol

from msgspec.structs import replace

from tocsin.core.commands.hearing import empty_output, heard, log_lines, said, stream_of, written
from tocsin.core.reports import acceptable_time
from tocsin.model.changes import Change, Log, Put
from tocsin.model.command import Command, Invocation, StepOutput, output_key
from tocsin.model.errors import Stale
from tocsin.model.link import CommandEnded, CommandOutput, CommandReport
from tocsin.model.logs import LogGroup
from tocsin.model.names import Scope
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Nodes, Store

TRIES_MAX = 5  # each loses only to a writer that won


class Memory(Protocol):
    """The open commands, as Commands keeps them."""

    def of(self, command_id: str, instance_id: str) -> tuple[Command, Invocation] | None: ...

    def moved(self, command: Command, one: Invocation, now_ms: int) -> list[Change]: ...

    def remember(self, one: Invocation) -> None: ...


class Hearing:
    def __init__(self, store: Store, clock: Clock, nodes: Nodes, memory: Memory) -> None:
        self._store = store
        self._clock = clock
        self._nodes = nodes
        self._memory = memory

    async def take(self, instance_id: str, report: CommandReport) -> None:
        """Raises Stale when another was faster again and again; StoreUnavailable."""
        for attempt in range(TRIES_MAX):
            try:
                await self._take(instance_id, report)
                return
            except Stale:
                if attempt == TRIES_MAX - 1:
                    raise

    async def _take(self, instance_id: str, report: CommandReport) -> None:
        found = await self._invocation(instance_id, report)
        if found is None:  # forgotten, or never one of ours: acknowledged, so that it does not come again
            await self._nodes.keep(instance_id, report.n)
            return
        command, before = found
        now_ms = epoch_ms(self._clock.now())
        after = heard(before, report, now_ms)
        changes = self._memory.moved(command, after, now_ms) if after is not before else []
        changes += await self._output(command, before, report, now_ms)
        if await self._nodes.keep(instance_id, report.n, *changes) and after is not before:
            self._memory.remember(after)

    async def _invocation(self, instance_id: str, report: CommandReport) -> tuple[Command, Invocation] | None:
        """Of an open command from memory; of one that is over, whose output may still come, from the store."""
        command_id = report.work.rpartition("/")[2]
        found, home = self._memory.of(command_id, instance_id), self._nodes.node(instance_id)
        if found or home is None:
            return found
        scope = home[0].cluster.scope
        command = await self._store.get(Command, scope, command_id)
        one = await self._store.get(Invocation, scope, f"{command_id}/{instance_id}")
        return (command, one) if command and one else None

    async def _output(self, command: Command, one: Invocation, report: CommandReport, now_ms: int) -> list[Change]:
        match report:
            case CommandOutput():
                head = await self._head(one, report.step)
                text = "".join(text for _, text in report.pieces)
                return [*_put(head, written(head, report.stream, text)), *await self._log(command, one, report, now_ms)]
            case CommandEnded():
                changes: list[Change] = []
                for result in report.steps:
                    if result.detail:
                        head = await self._head(one, result.step)
                        changes += _put(head, said(head, result))
                return changes
            case _:
                return []

    async def _head(self, one: Invocation, step: str) -> StepOutput:
        key = output_key(one.command_id, one.instance_id, step)
        return await self._store.get(StepOutput, one.scope, key) or empty_output(one, step)

    async def _log(self, command: Command, one: Invocation, report: CommandOutput, now_ms: int) -> list[Change]:
        if not command.log_group or not report.pieces:
            return []
        now = self._clock.now()
        lines = tuple(replace(line, at_ms=acceptable_time(line.at_ms, now)) for line in log_lines(report.pieces))
        change = Log(
            scope=command.scope,
            group=command.log_group,
            stream=stream_of(command.id, one.instance_id, report.step, report.stream),
            lines=lines,
            ingested_ms=now_ms,
        )
        return [*await self._missing_group(command.scope, command.log_group, now_ms), change]

    async def _missing_group(self, scope: Scope, name: str, now_ms: int) -> list[Change]:
        """A group that somebody deleted is made again: the output must go somewhere."""
        if await self._store.get(LogGroup, scope, name) is not None:
            return []
        return [Put(LogGroup(scope=scope, name=name, created_ms=now_ms))]


def _put(before: StepOutput, after: StepOutput) -> list[Change]:
    return [] if after is before else [Put(after)]
