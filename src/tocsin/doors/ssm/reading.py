"""ListCommands, ListCommandInvocations and GetCommandInvocation: what there is, newest first."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tocsin.core.commands.happenings import iso_ms
from tocsin.core.commands.hearing import STDERR_CHARS_MAX, STDOUT_CHARS_MAX, object_url
from tocsin.core.commands.targets import instance_of
from tocsin.doors.door import Context
from tocsin.doors.paging import page
from tocsin.doors.ssm.filters import fits
from tocsin.doors.ssm.members import command_members, invocation_members, run_of
from tocsin.model.command import Command, Invocation, Step, StepOutput, StepRun
from tocsin.model.command_errors import (
    InvalidCommandId,
    InvalidNextToken,
    InvalidPluginName,
    InvocationDoesNotExist,
)
from tocsin.model.names import Scope
from tocsin.ports import Store

PAGE_MAX = 50
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Reading:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def commands(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        instance_id = instance_of(request.get("InstanceId", ""))
        wanted = fits("ListCommands", request.get("Filters") or [])
        found = [one for one in await self._commands(context.scope, request) if wanted(one, one.status, one.details)]
        if instance_id:
            found = [one for one in found if await self._invocation(one, instance_id)]
        taken, token = _page(found, request, "ListCommands", lambda one: [-one.requested_ms, one.id])
        return {
            "Commands": [command_members(one, await self._invocations(one)) for one in taken],
            "NextToken": token,
        }

    async def invocations(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        instance_id = instance_of(request.get("InstanceId", ""))
        wanted = fits("ListCommandInvocations", request.get("Filters") or [])
        commands = {one.id: one for one in await self._commands(context.scope, request)}
        found: list[Invocation] = []
        for command in commands.values():
            some = await self._invocations(command) if not instance_id else await self._one(command, instance_id)
            found += [one for one in some if wanted(command, one.status, one.details)]
        taken, token = _page(
            found,
            request,
            "ListCommandInvocations",
            lambda one: [-one.requested_ms, one.command_id, one.instance_id],
        )
        told = [
            invocation_members(
                commands[one.command_id], one, await self._outputs(one) if request.get("Details") else None
            )
            for one in taken
        ]
        return {"CommandInvocations": told, "NextToken": token}

    async def invocation(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        command = await self._store.get(Command, context.scope, _checked(request["CommandId"]))
        one = await self._invocation(command, instance_of(request["InstanceId"])) if command else None
        if command is None or one is None:
            raise InvocationDoesNotExist(
                f"Command {request['CommandId']} was not sent to {request['InstanceId']}, or is forgotten."
            )
        steps = _steps(command, request.get("PluginName", ""))
        return _told(command, one, steps, await self._outputs(one), request)

    async def _commands(self, scope: Scope, request: Mapping[str, Any]) -> list[Command]:
        if "CommandId" in request:
            command = await self._store.get(Command, scope, _checked(request["CommandId"]))
            return [command] if command else []
        return await self._store.find(Command, scope)

    async def _invocations(self, command: Command) -> list[Invocation]:
        return await self._store.find(Invocation, command.scope, prefix=f"{command.id}/")

    async def _invocation(self, command: Command, instance_id: str) -> Invocation | None:
        return await self._store.get(Invocation, command.scope, f"{command.id}/{instance_id}")

    async def _one(self, command: Command, instance_id: str) -> list[Invocation]:
        found = await self._invocation(command, instance_id)
        return [found] if found else []

    async def _outputs(self, one: Invocation) -> dict[str, StepOutput]:
        found = await self._store.find(StepOutput, one.scope, prefix=f"{one.key}/")
        return {output.step: output for output in found}


def _checked(command_id: str) -> str:
    if not _ID.fullmatch(command_id):
        raise InvalidCommandId(f"{command_id} is no command id.")
    return command_id


def _page(found: Iterable[Any], request: Mapping[str, Any], kind: str, position: Callable[[Any], list[object]]) -> Any:
    return page(
        sorted(found, key=position),
        kind=kind,
        position=position,
        limit=request.get("MaxResults", PAGE_MAX),
        token=request.get("NextToken"),
        error=InvalidNextToken,
    )


def _steps(command: Command, name: str) -> list[Step]:
    """The step asked for, or all of them."""
    steps = [step for step in command.steps if name in ("", step.name)]
    if not steps:
        names = ", ".join(step.name for step in command.steps)
        raise InvalidPluginName(f"The command has no step {name}. It has: {names}.")
    return steps


def _told(
    command: Command, one: Invocation, steps: list[Step], outputs: Mapping[str, StepOutput], request: Mapping[str, Any]
) -> dict[str, Any]:
    """Of one step; or, of a document with several, of the whole with the output of all."""
    run = run_of(one, steps[0]) if len(steps) == 1 else _whole(one, [run_of(one, step) for step in steps])
    stdout = "".join(outputs[step.name].stdout for step in steps if step.name in outputs)
    stderr = "".join(outputs[step.name].stderr for step in steps if step.name in outputs)
    if one.reason:
        stderr += f"{'' if not stderr or stderr.endswith(chr(10)) else chr(10)}[Tocsin] {one.reason}\n"
    return {
        "CommandId": command.id,
        "InstanceId": request["InstanceId"],
        "Comment": command.request.get("Comment", ""),
        "DocumentName": command.document,
        "DocumentVersion": command.document_version,
        "PluginName": run.step,
        "ResponseCode": run.code,
        "ExecutionStartDateTime": iso_ms(run.started_ms) if run.started_ms else "",
        "ExecutionElapsedTime": _elapsed(run) if run.ended_ms else "",
        "ExecutionEndDateTime": iso_ms(run.ended_ms) if run.ended_ms else "",
        "Status": run.status,
        "StatusDetails": run.details,
        "StandardOutputContent": stdout[:STDOUT_CHARS_MAX],
        "StandardOutputUrl": object_url(command, one.instance_id, steps[0], "stdout") if len(steps) == 1 else "",
        "StandardErrorContent": stderr[:STDERR_CHARS_MAX],
        "StandardErrorUrl": object_url(command, one.instance_id, steps[0], "stderr") if len(steps) == 1 else "",
        "CloudWatchOutputConfig": command.request.get("CloudWatchOutputConfig")
        or {"CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": False},
    }


def _whole(one: Invocation, runs: list[StepRun]) -> StepRun:
    codes = [run.code for run in runs if run.code]
    return StepRun(
        step="",
        status=one.status,
        details=one.details,
        code=codes[0] if codes else 0,
        started_ms=one.started_ms,
        ended_ms=one.ended_ms if one.started_ms else 0,
    )


def _elapsed(run: StepRun) -> str:
    """ISO 8601: PT1.5S."""
    return f"PT{max(0, run.ended_ms - run.started_ms) / 1000:g}S"
