"""Run Command as a target: the command and its invocations commit with the bus's place, so it is sent exactly once.

What the nodes make of it is the business of services/commands; what no node or document fits is refused.
"""

from collections.abc import Sequence

from tocsin.core.commands.rules import Unfit, request_of
from tocsin.model.changes import Change, Put
from tocsin.model.command_errors import InvalidDocument, InvalidInstanceId
from tocsin.model.delivery import Delivery, Landed, Refused
from tocsin.model.errors import AwsError, LimitExceeded
from tocsin.services.commands import Commands, Drafting
from tocsin.services.commands.drafting import Draft

# AWS's dead-letter codes (facts/peers.md §3.2), by what SendCommand would have answered.
_CODES: dict[type[AwsError], str] = {
    InvalidDocument: "NO_RESOURCE",
    InvalidInstanceId: "NO_RESOURCE",
    LimitExceeded: "THROTTLING",
}


class CommandTargets:
    def __init__(self, commands: Commands, drafting: Drafting) -> None:
        self._commands = commands
        self._drafting = drafting

    async def land(self, deliveries: Sequence[Delivery], now_ms: int) -> Landed:
        drafts: list[Draft] = []
        refused: list[Refused] = []
        for one in deliveries:
            try:
                self._commands.check_room(len(drafts) + 1)
                request = request_of(one.target.spec, one.payload, one.event.body)
                drafts.append(await self._drafting.draft(one.event.scope, request, now_ms, one.rule.arn))
            except Unfit as error:
                refused.append(Refused(delivery=one, code="INVALID_PARAMETER", message=str(error)))
            except AwsError as error:
                code = _CODES.get(type(error), "INVALID_PARAMETER")
                refused.append(Refused(delivery=one, code=code, message=error.message))

        def committed() -> None:
            for draft in drafts:
                self._commands.opened(draft)

        return Landed(changes=_changes(drafts), refused=tuple(refused), committed=committed)


def _changes(drafts: Sequence[Draft]) -> tuple[Change, ...]:
    """All that the drafts need, a log group that several of them miss made once."""
    changes: dict[object, Change] = {}
    for draft in drafts:
        for change in draft.changes:
            key = (change.record.kind, change.record.scope, change.record.key) if isinstance(change, Put) else change
            changes.setdefault(key, change)
    return tuple(changes.values())
