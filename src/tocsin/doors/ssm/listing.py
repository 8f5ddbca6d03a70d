"""ListCommands and ListCommandInvocations: newest first, read one by one until a page is full."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from tocsin.core.commands.targets import instance_of
from tocsin.doors.door import Context
from tocsin.doors.ssm.filters import Test, fits
from tocsin.doors.ssm.members import command_members, invocation_members
from tocsin.doors.ssm.reading import checked_id, outputs_of
from tocsin.doors.wire import tokens
from tocsin.model.command import Command, Invocation, invocations_prefix
from tocsin.model.command_errors import InvalidNextToken
from tocsin.model.names import Scope
from tocsin.ports import Store
from tocsin.services.commands import Commands

PAGE_MAX = 50
# Of commands or invocations, by one call: a filter that nothing fits answers pages without any, but answers.
LOOKED_AT_MAX = 2_000


class Listing:
    def __init__(self, store: Store, commands: Commands) -> None:
        self._store = store
        self._commands = commands

    async def commands(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        instance_id = instance_of(request.get("InstanceId", ""))
        wanted = fits("ListCommands", request.get("Filters") or [])
        page = _Page(request, "ListCommands")
        async for one in self._walked(context.scope, request, before=page.place(1)[0]):
            fitting = wanted(one, one.status, one.details)
            if fitting and instance_id:
                fitting = await self._one(one, instance_id) is not None
            if not page.takes([one.id], command_members(one, self._commands.counted(one)) if fitting else None):
                break
        return {"Commands": page.taken, "NextToken": page.token}

    async def invocations(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        instance_id = instance_of(request.get("InstanceId", ""))
        wanted = fits("ListCommandInvocations", request.get("Filters") or [])
        page = _Page(request, "ListCommandInvocations")
        command_id, after = page.place(2)
        details = bool(request.get("Details"))
        if command_id:
            command = await self._store.get(Command, context.scope, command_id)
            if command and not await self._take(page, command, after, instance_id, wanted, details=details):
                return {"CommandInvocations": page.taken, "NextToken": page.token}
        async for command in self._walked(context.scope, request, before=command_id):
            if not await self._take(page, command, "", instance_id, wanted, details=details):
                break
        return {"CommandInvocations": page.taken, "NextToken": page.token}

    async def _take(
        self, page: "_Page", command: Command, after: str, instance_id: str, wanted: Test, *, details: bool
    ) -> bool:
        """The invocations of a command beyond one of them onto the page; False when it is full."""
        for one in await self._of(command, after, instance_id):
            told = None
            if wanted(command, one.status, one.details):
                outputs = await outputs_of(self._store, one) if details else None
                told = invocation_members(command, one, outputs)
            if not page.takes([command.id, one.instance_id], told):
                return False
        return True

    async def _of(self, command: Command, after: str, instance_id: str) -> list[Invocation]:
        if instance_id:
            one = await self._one(command, instance_id)
            return [one] if one and one.instance_id > after else []
        prefix = invocations_prefix(command.id)
        return await self._store.find(Invocation, command.scope, prefix=prefix, after=f"{prefix}{after}")

    async def _one(self, command: Command, instance_id: str) -> Invocation | None:
        return await self._store.get(Invocation, command.scope, f"{invocations_prefix(command.id)}{instance_id}")

    async def _walked(self, scope: Scope, request: Mapping[str, Any], before: str) -> AsyncIterator[Command]:
        """The command that is asked for, or all that are older than `before`."""
        if "CommandId" in request:
            ids = iter([] if before else [checked_id(request["CommandId"])])
        else:
            ids = self._commands.history.newest(scope, before)
        for command_id in ids:
            command = await self._store.get(Command, scope, command_id)
            if command:
                yield command


class _Page:
    """A page that is filled in order. Its token is the place of the last that was looked at."""

    def __init__(self, request: Mapping[str, Any], kind: str) -> None:
        self.taken: list[dict[str, Any]] = []
        self.token: str | None = None
        self._kind = kind
        self._given = request.get("NextToken")
        self._room = request.get("MaxResults", PAGE_MAX)
        self._looked_at = 0
        self._last: list[str] = []

    def place(self, length: int) -> list[str]:
        """Behind which it begins; empty texts at the very beginning. Raises InvalidNextToken."""
        found = tokens.decode(self._kind, self._given, error=InvalidNextToken) if self._given else [""] * length
        assert isinstance(found, list), "tokens of this kind are made here"
        return found

    def takes(self, place: list[str], told: dict[str, Any] | None) -> bool:
        """False when it was full already: then there is more."""
        if len(self.taken) == self._room or self._looked_at == LOOKED_AT_MAX:
            self.token = tokens.encode(self._kind, list(self._last))
            return False
        self._last = place
        self._looked_at += 1
        if told is not None:
            self.taken.append(told)
        return True
