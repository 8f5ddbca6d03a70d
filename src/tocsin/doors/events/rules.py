"""Rules and their targets. They change in the store first, then the bus takes them up, then the call is answered."""

from collections.abc import Callable
from typing import Any

from tocsin.core.patterns import parse
from tocsin.core.schedule import parse as parse_schedule
from tocsin.doors.door import Context, decided
from tocsin.doors.events.finding import PAGE_MAX, TOO_MANY, bus_of, named_rule, rules_of
from tocsin.doors.events.limits import EventsLimits
from tocsin.doors.events.tagging import told
from tocsin.doors.paging import page
from tocsin.model.bus import EventBus
from tocsin.model.changes import Change, Delete, Put
from tocsin.model.errors import LimitExceeded, Validation
from tocsin.model.names import DEFAULT_BUS
from tocsin.model.noise import NoiseSetting
from tocsin.model.records import successor
from tocsin.model.rule import Rule, RuleState
from tocsin.ports import Store
from tocsin.services.bus import Bus
from tocsin.services.tagging import first_tags, last_tags


class Rules:
    def __init__(self, store: Store, bus: Bus, limits: EventsLimits) -> None:
        self._store = store
        self._bus = bus
        self._limits = limits

    async def put(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        bus = await bus_of(self._store, context.scope, request)
        _check(bus, request)
        tags = told(request)

        async def attempt() -> tuple[Rule, bool]:
            bus = await bus_of(self._store, context.scope, request)
            old = await self._store.get(Rule, context.scope, f"{bus.name}/{request['Name']}")
            rule = _made(bus, old, request, context.now_ms)
            changes: list[Change] = [Put(rule)]
            if old is None:
                changes += await self._firsts(bus, rule, tags)
            await self._store.commit(*changes)
            return rule, bool(rule.schedule or (old and old.schedule))

        rule, timed = await decided(attempt)
        await self._bus.reload(context.scope, bus.name, timed=timed)
        return {"RuleArn": rule.arn}

    async def _firsts(self, bus: EventBus, rule: Rule, tags: dict[str, str]) -> list[Change]:
        """What a new rule brings along. Raises LimitExceeded."""
        if await self._store.count(Rule, bus.scope, f"{bus.name}/") >= self._limits.rules_per_bus_max:
            raise LimitExceeded(TOO_MANY)
        first = await first_tags(self._store, bus.scope, rule.arn, tags)
        return first + holding(bus)

    async def describe(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        bus = await bus_of(self._store, context.scope, request)
        rule = await named_rule(self._store, context.scope, bus.name, request["Name"])
        return _members(rule) | {"CreatedBy": context.scope.account}

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        bus = await bus_of(self._store, context.scope, request)
        taken, token = page(
            await rules_of(self._store, context.scope, bus.name, request.get("NamePrefix", "")),
            kind="ListRules",
            position=lambda rule: [rule.name],
            limit=request.get("Limit", PAGE_MAX),
            token=request.get("NextToken"),
        )
        return {"Rules": [_members(rule) for rule in taken], "NextToken": token}

    async def delete(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Deleting a rule that is not there succeeds, as on AWS."""
        bus = await bus_of(self._store, context.scope, request)

        async def attempt() -> None:
            rule = await self._store.get(Rule, context.scope, f"{bus.name}/{request['Name']}")
            if rule is None:
                return
            if rule.targets:
                raise Validation("Rule can't be deleted since it has targets.")
            controls = await self._store.find(NoiseSetting, context.scope, prefix=f"{rule.key}/")
            last = await last_tags(self._store, context.scope, rule.arn)
            await self._store.commit(Delete(rule), *last, *map(Delete, controls))

        await decided(attempt)
        await self._bus.reload(context.scope, bus.name)
        return {}

    async def enable(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return await self.change(context, request, request["Name"], lambda rule: _enabled(rule, context.now_ms))

    async def disable(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return await self.change(
            context, request, request["Name"], lambda rule: successor(rule, state=RuleState.DISABLED)
        )

    async def change(
        self, context: Context, request: dict[str, Any], name: str, change: Callable[[Rule], Rule]
    ) -> dict[str, Any]:
        """Replace the named rule by what `change` makes of it. Raises ResourceNotFoundException."""
        bus = await bus_of(self._store, context.scope, request)

        async def attempt() -> Rule:
            rule = change(await named_rule(self._store, context.scope, bus.name, name))
            await self._store.commit(Put(rule))
            return rule

        rule = await decided(attempt)
        await self._bus.reload(context.scope, bus.name, timed=bool(rule.schedule))
        return {}


def _enabled(rule: Rule, now_ms: int) -> Rule:
    """A schedule that was off counts from its enabling: what it missed meanwhile is not caught up."""
    since_ms = now_ms if rule.state is RuleState.DISABLED else rule.scheduled_ms
    return successor(rule, state=RuleState.ENABLED, scheduled_ms=since_ms)


def holding(bus: EventBus) -> list[Change]:
    """A new thing on a bus makes a bus that is being deleted meanwhile stale: nothing ends up on a bus that is gone."""
    return [] if bus.name == DEFAULT_BUS else [Put(successor(bus))]


def _check(bus: EventBus, request: dict[str, Any]) -> None:
    if request.get("ScheduleExpression"):
        if bus.name != DEFAULT_BUS:
            raise Validation("ScheduleExpression is supported only on the default event bus.")
        parse_schedule(request["ScheduleExpression"])
    if request.get("EventPattern"):
        parse(request["EventPattern"])
    elif not request.get("ScheduleExpression"):
        raise Validation("Parameter(s) EventPattern or ScheduleExpression must be specified.")


def _made(bus: EventBus, old: Rule | None, request: dict[str, Any], now_ms: int) -> Rule:
    """The rule as put: what the request leaves out is cleared, the targets stay. A schedule that stays counts on."""
    schedule = request.get("ScheduleExpression", "")
    counting = old is not None and old.schedule == schedule and old.state is not RuleState.DISABLED
    return Rule(
        scope=bus.scope,
        revision=old.revision + 1 if old else 1,
        bus=bus.name,
        name=request["Name"],
        state=RuleState(request.get("State", RuleState.ENABLED)),
        pattern=request.get("EventPattern", ""),
        schedule=schedule,
        scheduled_ms=old.scheduled_ms if old and counting else now_ms,
        description=request.get("Description", ""),
        role_arn=request.get("RoleArn", ""),
        targets=old.targets if old else (),
    )


def _members(rule: Rule) -> dict[str, Any]:
    return {
        "Name": rule.name,
        "Arn": rule.arn,
        "EventPattern": rule.pattern or None,
        "State": rule.state,
        "Description": rule.description or None,
        "ScheduleExpression": rule.schedule or None,
        "RoleArn": rule.role_arn or None,
        "EventBusName": rule.bus,
    }
