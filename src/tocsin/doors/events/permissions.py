"""Who may put events on a bus: its resource policy, statement by statement or whole.

Rules of other accounts are let in by it (targets/buses.py).
"""

from collections.abc import Callable
from typing import Any

import orjson

from tocsin.doors.door import Context, decided
from tocsin.doors.events.finding import bus_of
from tocsin.model.bus import EventBus
from tocsin.model.changes import Put
from tocsin.model.errors import PolicyLengthExceeded, ResourceNotFoundException, Validation
from tocsin.model.names import PARTITION
from tocsin.model.records import successor
from tocsin.ports import Store

# "Maximum policy size of event bus: 10 KB" (AWS, EventBridge quotas).
POLICY_BYTES_MAX = 10_240
_ACTION = "events:PutEvents"
_STATEMENT = ("Action", "Principal", "StatementId")


class Permissions:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """The whole policy where it is given, else one statement, which replaces the one of its id."""

        def change(bus: EventBus) -> str:
            if request.get("Policy"):
                return _whole(request["Policy"])
            statement = _statement(bus, request)
            others = [one for one in _statements(bus) if one.get("Sid") != statement["Sid"]]
            return _policy([*others, statement])

        return await self._change(context, request, change)

    async def remove(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        sid = request.get("StatementId")
        everything = bool(request.get("RemoveAllPermissions"))
        if not sid and not everything:
            raise Validation("Parameter StatementId is required.")

        def change(bus: EventBus) -> str:
            if everything:
                return ""
            left = [one for one in _statements(bus) if one.get("Sid") != sid]
            if len(left) == len(_statements(bus)):
                raise ResourceNotFoundException("Statement with the provided id does not exist.")
            return _policy(left) if left else ""

        return await self._change(context, request, change)

    async def _change(
        self, context: Context, request: dict[str, Any], change: Callable[[EventBus], str]
    ) -> dict[str, Any]:
        async def attempt() -> None:
            bus = await bus_of(self._store, context.scope, request)
            policy = change(bus)
            if len(policy.encode()) > POLICY_BYTES_MAX:
                raise PolicyLengthExceeded(f"The policy would be longer than {POLICY_BYTES_MAX} bytes.")
            await self._store.commit(Put(successor(bus, policy=policy, modified_ms=context.now_ms)))

        await decided(attempt)
        return {}


def _whole(text: str) -> str:
    try:
        policy = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Validation("This policy contains invalid Json") from error
    if not isinstance(policy, dict) or not _listed(policy.get("Statement")):
        raise Validation("This policy contains invalid Json")
    return text


def _statement(bus: EventBus, request: dict[str, Any]) -> dict[str, Any]:
    missing = [name for name in _STATEMENT if not request.get(name)]
    if missing:
        raise Validation(f"Parameter(s) {', '.join(missing)} or Policy must be specified.")
    if request["Action"] != _ACTION:
        raise Validation("Provided value in parameter 'action' is not supported.")
    principal = request["Principal"]
    statement: dict[str, Any] = {
        "Sid": request["StatementId"],
        "Effect": "Allow",
        "Principal": "*" if principal == "*" else {"AWS": f"arn:{PARTITION}:iam::{principal}:root"},
        "Action": _ACTION,
        "Resource": bus.arn,
    }
    if condition := request.get("Condition"):
        statement["Condition"] = {condition["Type"]: {condition["Key"]: condition["Value"]}}
    return statement


def _statements(bus: EventBus) -> list[dict[str, Any]]:
    return _listed(orjson.loads(bus.policy)["Statement"]) if bus.policy else []


def _listed(statements: object) -> list[dict[str, Any]]:
    """A policy may hold one statement, or a list. Empty for what is neither."""
    listed = statements if isinstance(statements, list) else [statements]
    found = [one for one in listed if isinstance(one, dict)]
    return found if len(found) == len(listed) else []


def _policy(statements: list[dict[str, Any]]) -> str:
    return orjson.dumps({"Version": "2012-10-17", "Statement": statements}).decode()
