"""What steps write, and where it goes: the head that GetCommandInvocation tells, the log group, the bucket.

Head and log lines commit with the report that brought them. An object is written before: a report that comes again
writes the same bytes to the same place.
"""

import logging

from msgspec.structs import replace

from tocsin.core.commands.hearing import empty_output, log_lines, object_key, said, stream_of, written
from tocsin.core.reports import acceptable_time
from tocsin.model.changes import Change, Log, Put
from tocsin.model.command import Command, Invocation, StepOutput, output_key
from tocsin.model.link import CommandEnded, CommandOutput, CommandReport
from tocsin.model.logs import LogGroup
from tocsin.model.names import Scope
from tocsin.model.times import epoch_ms
from tocsin.ports import Buckets, Clock, Store

log = logging.getLogger(__name__)


class Output:
    def __init__(self, store: Store, clock: Clock, buckets: Buckets) -> None:
        self._store = store
        self._clock = clock
        self._buckets = buckets

    async def changes(self, command: Command, one: Invocation, report: CommandReport) -> list[Change]:
        """What a commit holds for what the report says. Writes to the bucket, if there is one."""
        match report:
            case CommandOutput():
                await self._to_bucket(command, one, report)
                head = await self._head(one, report.step)
                text = "".join(text for _, text in report.pieces)
                return [*_put(head, written(head, report.stream, text)), *await self._log(command, one, report)]
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

    async def _log(self, command: Command, one: Invocation, report: CommandOutput) -> list[Change]:
        if not command.log_group or not report.pieces:
            return []
        now = self._clock.now()
        lines = tuple(replace(line, at_ms=acceptable_time(line.at_ms, now)) for line in log_lines(report.pieces))
        change = Log(
            scope=command.scope,
            group=command.log_group,
            stream=stream_of(command.id, one.instance_id, report.step, report.stream),
            lines=lines,
            ingested_ms=epoch_ms(now),
        )
        return [*await self._missing_group(command.scope, command.log_group), change]

    async def _missing_group(self, scope: Scope, name: str) -> list[Change]:
        """A group that somebody deleted is made again: the output must go somewhere."""
        if await self._store.get(LogGroup, scope, name) is not None:
            return []
        return [Put(LogGroup(scope=scope, name=name, created_ms=epoch_ms(self._clock.now())))]

    async def _to_bucket(self, command: Command, one: Invocation, report: CommandOutput) -> None:
        step = next((step for step in command.steps if step.name == report.step), None)
        if not command.bucket or step is None:
            return
        data = "".join(text for _, text in report.pieces).encode()
        key = object_key(command, one.instance_id, step, report.stream)
        try:
            await self._buckets.write(command.bucket, key, report.at, data)
        except OSError as error:
            log.warning("output of command %s cannot be written to bucket %s: %s", command.id, command.bucket, error)


def _put(before: StepOutput, after: StepOutput) -> list[Change]:
    return [] if after is before else [Put(after)]
