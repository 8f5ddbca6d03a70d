"""GetCommandInvocation: what became of a command on a node, and what it wrote."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tocsin.core.commands.happenings import iso_ms
from tocsin.core.commands.hearing import STDERR_CHARS_MAX, STDOUT_CHARS_MAX, object_url, reasoned
from tocsin.core.commands.targets import instance_of
from tocsin.doors.door import Context
from tocsin.doors.ssm.members import run_of
from tocsin.model.command import Command, Invocation, StepOutput, StepRun
from tocsin.model.command_errors import (
    InvalidCommandId,
    InvalidPluginName,
    InvocationDoesNotExist,
)
from tocsin.model.link import CommandStep
from tocsin.ports import Store

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Reading:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def invocation(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        command = await self._store.get(Command, context.scope, checked_id(request["CommandId"]))
        key = f"{request['CommandId']}/{instance_of(request['InstanceId'])}"
        one = await self._store.get(Invocation, context.scope, key)
        if command is None or one is None:
            raise InvocationDoesNotExist(
                f"Command {request['CommandId']} was not sent to {request['InstanceId']}, or is forgotten."
            )
        steps = _steps(command, request.get("PluginName", ""))
        return _told(command, one, steps, await outputs_of(self._store, one), request)


async def outputs_of(store: Store, one: Invocation) -> dict[str, StepOutput]:
    """By step."""
    return {output.step: output for output in await store.find(StepOutput, one.scope, prefix=f"{one.key}/")}


def checked_id(command_id: str) -> str:
    if not _ID.fullmatch(command_id):
        raise InvalidCommandId(f"{command_id} is no command id.")
    return command_id


def _steps(command: Command, name: str) -> list[CommandStep]:
    """The step asked for, or all of them."""
    steps = [step for step in command.steps if name in ("", step.name)]
    if not steps:
        names = ", ".join(step.name for step in command.steps)
        raise InvalidPluginName(f"The command has no step {name}. It has: {names}.")
    return steps


def _told(
    command: Command,
    one: Invocation,
    steps: list[CommandStep],
    outputs: Mapping[str, StepOutput],
    request: Mapping[str, Any],
) -> dict[str, Any]:
    """Of one step; or, of a document with several, of the whole with the output of all."""
    run = run_of(one, steps[0]) if len(steps) == 1 else _whole(one, [run_of(one, step) for step in steps])
    stdout = _together(outputs[step.name].stdout for step in steps if step.name in outputs)
    stderr = _together(outputs[step.name].stderr for step in steps if step.name in outputs)
    if one.reason:
        stderr = reasoned(stderr, one.reason)
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


def _together(texts: Iterable[str]) -> str:
    """What each step wrote begins on a line of its own."""
    whole = ""
    for text in texts:
        between = "\n" if whole and text and not whole.endswith("\n") else ""
        whole += between + text
    return whole


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
