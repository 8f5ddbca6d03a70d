"""The targets of rules: put, removed, listed. What may be a target says targets.py."""

from typing import Any

from tocsin.doors.door import Context
from tocsin.doors.events.finding import PAGE_MAX, bus_of, named_rule, rules_of
from tocsin.doors.events.rules import Rules
from tocsin.doors.events.targets import to_target, with_targets
from tocsin.doors.paging import page
from tocsin.model.records import successor
from tocsin.ports import Store


class Aiming:
    def __init__(self, store: Store, rules: Rules, targets_max: int) -> None:
        """`targets_max`: of one rule."""
        self._store = store
        self._rules = rules
        self._targets_max = targets_max

    async def put(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        targets = [to_target(spec, context.scope) for spec in request["Targets"]]
        await self._rules.change(
            context,
            request,
            request["Rule"],
            lambda rule: successor(rule, targets=with_targets(rule, targets, self._targets_max)),
        )
        return {"FailedEntryCount": 0, "FailedEntries": []}

    async def remove(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        gone = set(request["Ids"])
        await self._rules.change(
            context,
            request,
            request["Rule"],
            lambda rule: successor(rule, targets=tuple(target for target in rule.targets if target.id not in gone)),
        )
        return {"FailedEntryCount": 0, "FailedEntries": []}

    async def list_by_rule(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        bus = await bus_of(self._store, context.scope, request)
        rule = await named_rule(self._store, context.scope, bus.name, request["Rule"])
        taken, token = page(
            sorted(rule.targets, key=lambda target: target.id),
            kind="ListTargetsByRule",
            position=lambda target: [target.id],
            limit=request.get("Limit", PAGE_MAX),
            token=request.get("NextToken"),
        )
        return {"Targets": [target.spec for target in taken], "NextToken": token}

    async def list_rule_names(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        bus = await bus_of(self._store, context.scope, request)
        rules = await rules_of(self._store, context.scope, bus.name)
        taken, token = page(
            [rule.name for rule in rules if any(target.arn == request["TargetArn"] for target in rule.targets)],
            kind="ListRuleNamesByTarget",
            position=lambda name: [name],
            limit=request.get("Limit", PAGE_MAX),
            token=request.get("NextToken"),
        )
        return {"RuleNames": taken, "NextToken": token}
