"""The filters of ListCommands and ListCommandInvocations."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from tocsin.model.command import FINAL, Command, Details, Status
from tocsin.model.command_errors import InvalidFilterKey
from tocsin.model.errors import Validation
from tocsin.model.times import epoch_ms

Test = Callable[[Command, Status, Details], bool]


def _time(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Validation(f"{text} is no time. Write it as 2026-01-31T00:00:00Z.") from None
    return epoch_ms(at if at.tzinfo else at.replace(tzinfo=UTC))


def _after(value: str) -> Test:
    since = _time(value)
    return lambda command, _, __: command.requested_ms >= since


def _before(value: str) -> Test:
    until = _time(value)
    return lambda command, _, __: command.requested_ms < until


def _status(value: str) -> Test:
    return lambda _, status, details: value in (status, details)


def _stage(value: str) -> Test:
    if value not in ("Executing", "Complete"):
        raise Validation("ExecutionStage is Executing or Complete.")
    return lambda _, status, __: (status in FINAL) == (value == "Complete")


def _document(value: str) -> Test:
    return lambda command, _, __: command.document == value


_KEYS: Mapping[str, Mapping[str, Callable[[str], Test]]] = {
    "ListCommands": {
        "InvokedAfter": _after,
        "InvokedBefore": _before,
        "Status": _status,
        "ExecutionStage": _stage,
        "DocumentName": _document,
    },
    "ListCommandInvocations": {"InvokedAfter": _after, "InvokedBefore": _before, "Status": _status},
}


def fits(operation: str, filters: Sequence[Mapping[str, str]]) -> Test:
    """Whether a command, or an invocation of it, with this status passes all filters. Raises InvalidFilterKey."""
    tests: list[Test] = []
    for one in filters:
        if one["key"] not in _KEYS[operation]:
            raise InvalidFilterKey(f"{operation} has no filter {one['key']}. It has: {', '.join(_KEYS[operation])}.")
        tests.append(_KEYS[operation][one["key"]](one["value"]))
    return lambda command, status, details: all(test(command, status, details) for test in tests)
