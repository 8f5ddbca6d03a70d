"""SendCommand and CancelCommand."""

from typing import Any

from tocsin.core.commands.targets import instance_of
from tocsin.doors.door import Context, decided
from tocsin.doors.ssm.members import command_members
from tocsin.model.command import Counts
from tocsin.model.command_errors import DuplicateInstanceId
from tocsin.model.errors import NotImplementedYet
from tocsin.services.commands import Commands


class Sending:
    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    async def send(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("AlarmConfiguration"):
            raise NotImplementedYet("AlarmConfiguration of SendCommand is not implemented in Tocsin: it has no alarms.")
        command = await decided(lambda: self._commands.send(context.scope, request))
        return {"Command": command_members(command, Counts())}

    async def cancel(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        ids = [instance_of(one) for one in request.get("InstanceIds") or []]
        if len(set(ids)) < len(ids):
            raise DuplicateInstanceId("InstanceIds names a node twice.")
        await decided(lambda: self._commands.cancel(context.scope, request["CommandId"], ids))
        return {}
