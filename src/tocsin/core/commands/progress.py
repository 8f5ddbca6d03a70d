"""A command, its invocations and what is seen -> the records as they shall be. Turns, time-outs, ends.

Level, not edge: deciding twice on the same changes nothing. Sending follows from the records: whatever was sent and is
not over is ordered from its node, again on each new link; the node does it once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from tocsin.model.command import FINAL, Command, Counts, Details, Invocation, Status
from tocsin.model.records import successor

# After its steps should have ended by their own limits, a node is given this long to say so.
SILENCE_GRACE_S = 60

GONE = "The node is gone: it was replaced or removed while the command was to run on it."
NOT_DELIVERED = "The command did not reach the node in time: its agent had no link."
NOT_HEARD = "The node took the command and was not heard of again within its time. What came of it is not known."
TERMINATED = "More of the command's nodes than MaxErrors allows had failed before this one's turn came."
NO_TURN = "The command expired before the node's turn came."


class Seen(Struct, frozen=True, kw_only=True):
    """The nodes there are, those with a link, and those that have as many commands in hand as they may have."""

    known: frozenset[str]
    linked: frozenset[str]
    full: frozenset[str] = frozenset()


def ended(invocation: Invocation, status: Status, details: Details, at_ms: int, reason: str = "") -> Invocation:
    assert status in FINAL
    assert not invocation.final
    return successor(invocation, status=status, details=details, ended_ms=at_ms, reason=reason)


def advance(
    command: Command, invocations: Sequence[Invocation], seen: Seen, now_ms: int
) -> tuple[Command, list[Invocation]]:
    """The command and those invocations that change. `invocations` are all of the command's, in their order."""
    changed = {one.instance_id: after for one in invocations if (after := _settled(command, one, seen, now_ms))}
    current = [changed.get(one.instance_id, one) for one in invocations]
    for one in _turns(command, current, seen, now_ms):
        changed[one.instance_id] = one
    current = [changed.get(one.instance_id, one) for one in invocations]
    return concluded(command, current), list(changed.values())


def _settled(command: Command, one: Invocation, seen: Seen, now_ms: int) -> Invocation | None:
    """The invocation as it is over by now, or reached by now; None while nothing happened to it."""
    if one.final:
        return None
    if one.instance_id not in seen.known:
        return ended(one, Status.FAILED, Details.UNDELIVERABLE, now_ms, GONE)
    if one.cancelled and not one.sent_ms:
        return ended(one, Status.CANCELLED, Details.CANCELLED, now_ms)
    if now_ms >= deadline_ms(command, one):
        reason = NOT_HEARD if one.started_ms else NOT_DELIVERED if one.sent_ms else NO_TURN
        return ended(one, Status.TIMED_OUT, Details.DELIVERY_TIMED_OUT, now_ms, reason)
    if one.status is Status.DELAYED and one.instance_id in seen.linked:
        return successor(one, status=Status.IN_PROGRESS, details=Details.IN_PROGRESS)
    return None


def deadline_ms(command: Command, one: Invocation) -> int:
    """When time alone ends the invocation, unless something else does before."""
    if not one.sent_ms:
        return command.expires_ms
    if not one.started_ms:
        return one.sent_ms + command.deliver_within_s * 1000
    steps_ms = int(sum(step.time_limit_s for step in command.steps) * 1000)
    return max(one.started_ms, one.sent_ms) + steps_ms + SILENCE_GRACE_S * 1000


def due_ms(command: Command, invocations: Iterable[Invocation]) -> int | None:
    """When time alone changes something next; None when it never will."""
    return min((deadline_ms(command, one) for one in invocations if not one.final), default=None)


def _turns(command: Command, current: Sequence[Invocation], seen: Seen, now_ms: int) -> list[Invocation]:
    """The invocations whose turn has come, or which get none any more because too many went wrong."""
    waiting = [one for one in current if not one.final and not one.sent_ms]
    if failed(current) > command.errors_max:
        return [ended(one, Status.CANCELLED, Details.TERMINATED, now_ms, TERMINATED) for one in waiting]
    room = command.sent_max - sum(1 for one in current if one.sent_ms and not one.final)
    ready = [one for one in waiting if one.instance_id not in seen.full]
    return [_sent(one, seen, now_ms) for one in ready[: max(0, room)]]


def _sent(one: Invocation, seen: Seen, now_ms: int) -> Invocation:
    if one.instance_id in seen.linked:
        return successor(one, status=Status.IN_PROGRESS, details=Details.IN_PROGRESS, sent_ms=now_ms)
    return successor(one, status=Status.DELAYED, details=Details.DELAYED, sent_ms=now_ms)


def failed(invocations: Iterable[Invocation]) -> int:
    """What counts against MaxErrors: Failed and Execution Timed Out."""
    return sum(1 for one in invocations if one.details in (Details.FAILED, Details.EXECUTION_TIMED_OUT))


def counted(invocations: Collection[Invocation]) -> Counts:
    return Counts(
        completed=sum(one.final for one in invocations),
        errors=failed(invocations),
        undelivered=sum(one.details is Details.DELIVERY_TIMED_OUT for one in invocations),
    )


def concluded(command: Command, invocations: Sequence[Invocation]) -> Command:
    """The command with the status that follows from its invocations; the very same where none of it changes."""
    status, details = _standing(command, invocations)
    if (status, details) == (command.status, command.details):
        return command
    counts = counted(invocations) if status in FINAL else None
    return successor(command, status=status, details=details, counts=counts)


def _standing(command: Command, invocations: Sequence[Invocation]) -> tuple[Status, Details]:
    if not invocations:
        return Status.SUCCESS, Details.NO_INSTANCES_IN_TAG
    if all(one.final for one in invocations):
        return _end(command, invocations)
    if command.cancelled:
        return Status.CANCELLING, Details.CANCELLING
    if any(one.sent_ms for one in invocations):
        return Status.IN_PROGRESS, Details.IN_PROGRESS
    return Status.PENDING, Details.PENDING


def _end(command: Command, invocations: Sequence[Invocation]) -> tuple[Status, Details]:
    """AWS's rules (SSM, command statuses): Undeliverable counts for nothing unless it is all there is; a delivery that
    timed out is no error, and no success either."""
    kinds = {one.details for one in invocations}
    if failed(invocations) > command.errors_max:
        if Details.FAILED not in kinds:
            return Status.TIMED_OUT, Details.EXECUTION_TIMED_OUT
        return Status.FAILED, Details.FAILED
    if command.cancelled and Details.CANCELLED in kinds:
        return Status.CANCELLED, Details.CANCELLED
    counted = kinds - {Details.UNDELIVERABLE}
    return _ENDS.get(frozenset(counted), (Status.FAILED, Details.INCOMPLETE))


# By the kinds of ends that count, where there is but one.
_ENDS: Mapping[frozenset[Details], tuple[Status, Details]] = {
    frozenset(): (Status.FAILED, Details.UNDELIVERABLE),
    frozenset({Details.SUCCESS}): (Status.SUCCESS, Details.SUCCESS),
    frozenset({Details.CANCELLED}): (Status.CANCELLED, Details.CANCELLED),
    frozenset({Details.DELIVERY_TIMED_OUT}): (Status.TIMED_OUT, Details.DELIVERY_TIMED_OUT),
}
