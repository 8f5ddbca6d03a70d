"""EventBridge's operations. Rules change in the store first, then the bus takes them up, then the call is answered."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from tocsin.core.patterns import load_event, matches, parse
from tocsin.doors.door import Context, Door, decided
from tocsin.doors.events.entries import Refusal, check_size, to_event
from tocsin.doors.events.targets import to_target, with_targets
from tocsin.doors.paging import page
from tocsin.model.changes import Change, Delete, Put
from tocsin.model.errors import LimitExceeded, NotImplementedYet, ResourceNotFoundException, Validation
from tocsin.model.event import Event
from tocsin.model.names import DEFAULT_BUS, Scope, split_arn
from tocsin.model.records import successor
from tocsin.model.rule import Rule, RuleState
from tocsin.model.tags import Tags
from tocsin.ports import Store
from tocsin.services.bus import Bus

PAGE_MAX = 100
_ENVELOPE_NEEDED = ("id", "account", "source", "time", "region", "detail-type")


class EventsLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """AWS's quotas, and what AWS never allows: `aws_sources` lets clients put events as `aws.…`, for tests."""

    rules_per_bus_max: int = 300
    targets_per_rule_max: int = 5
    aws_sources: bool = False


def events_door(store: Store, bus: Bus, limits: EventsLimits, new_id: Callable[[int], str]) -> Door:
    """`new_id` gives a fresh event id at every call; it is told the time in epoch milliseconds."""
    operations = _Events(store, bus, limits, new_id)
    return Door(
        service="events",
        operations={
            "PutEvents": operations.put_events,
            "PutRule": operations.put_rule,
            "DescribeRule": operations.describe_rule,
            "ListRules": operations.list_rules,
            "DeleteRule": operations.delete_rule,
            "EnableRule": operations.enable_rule,
            "DisableRule": operations.disable_rule,
            "PutTargets": operations.put_targets,
            "RemoveTargets": operations.remove_targets,
            "ListTargetsByRule": operations.list_targets_by_rule,
            "ListRuleNamesByTarget": operations.list_rule_names_by_target,
            "TestEventPattern": operations.test_event_pattern,
            "TagResource": operations.tag_resource,
            "UntagResource": operations.untag_resource,
            "ListTagsForResource": operations.list_tags_for_resource,
        },
    )


class _Events:
    def __init__(self, store: Store, bus: Bus, limits: EventsLimits, new_id: Callable[[int], str]) -> None:
        self._store = store
        self._bus = bus
        self._limits = limits
        self._new_id = new_id

    async def put_events(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        entries = request["Entries"]
        check_size(entries)
        made = [
            to_event(
                entry,
                scope=context.scope,
                now=context.now,
                new_id=self._new_id,
                aws_sources=self._limits.aws_sources,
            )
            for entry in entries
        ]
        # An event for a bus that does not exist is taken and dropped, as AWS does.
        here = [_bus_name(context.scope, entry) == DEFAULT_BUS for entry in entries]
        taken = [event for event, mine in zip(made, here, strict=True) if isinstance(event, Event) and mine]
        if taken:
            await self._bus.accept(taken)
        return {
            "FailedEntryCount": sum(isinstance(one, Refusal) for one in made),
            "Entries": [
                {"ErrorCode": one.code, "ErrorMessage": one.message}
                if isinstance(one, Refusal)
                else {"EventId": one.id}
                for one in made
            ],
        }

    async def put_rule(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        bus = _known_bus(context, request)
        pattern = request.get("EventPattern", "")
        if request.get("ScheduleExpression"):
            raise NotImplementedYet("ScheduleExpression is not implemented in Tocsin yet.")
        if not pattern:
            raise Validation("Parameter(s) EventPattern or ScheduleExpression must be specified.")
        parse(pattern)

        async def attempt() -> Rule:
            old = await self._store.get(Rule, context.scope, f"{bus}/{request['Name']}")
            if old is None and len(await self._rules(context.scope, bus)) >= self._limits.rules_per_bus_max:
                raise LimitExceeded("The requested resource exceeds the maximum number allowed.")
            rule = Rule(
                scope=context.scope,
                revision=old.revision + 1 if old else 1,
                bus=bus,
                name=request["Name"],
                state=RuleState(request.get("State", RuleState.ENABLED)),
                pattern=pattern,
                description=request.get("Description", ""),
                role_arn=request.get("RoleArn", ""),
                targets=old.targets if old else (),
            )
            tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags") or []}
            changes: list[Change] = [Put(rule)]
            if old is None and tags:
                changes.append(Put(Tags(scope=context.scope, arn=rule.arn, tags=tags)))
            await self._store.commit(*changes)
            return rule

        rule = await decided(attempt)
        await self._bus.reload(context.scope, bus)
        return {"RuleArn": rule.arn}

    async def describe_rule(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        rule = await self._rule(context.scope, _known_bus(context, request), request["Name"])
        return _rule_members(rule) | {"CreatedBy": context.scope.account}

    async def list_rules(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        rules = await self._rules(context.scope, _known_bus(context, request), request.get("NamePrefix", ""))
        taken, token = page(
            rules,
            kind="ListRules",
            position=lambda rule: [rule.name],
            limit=request.get("Limit", PAGE_MAX),
            token=request.get("NextToken"),
        )
        return {"Rules": [_rule_members(rule) for rule in taken], "NextToken": token}

    async def delete_rule(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Deleting a rule that is not there succeeds, as on AWS."""
        bus = _known_bus(context, request)

        async def attempt() -> None:
            rule = await self._store.get(Rule, context.scope, f"{bus}/{request['Name']}")
            if rule is None:
                return
            if rule.targets:
                raise Validation("Rule can't be deleted since it has targets.")
            tags = await self._store.get(Tags, context.scope, rule.arn)
            await self._store.commit(Delete(rule), *([Delete(tags)] if tags else []))

        await decided(attempt)
        await self._bus.reload(context.scope, bus)
        return {}

    async def enable_rule(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return await self._change(context, request, "Name", lambda rule: successor(rule, state=RuleState.ENABLED))

    async def disable_rule(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        return await self._change(context, request, "Name", lambda rule: successor(rule, state=RuleState.DISABLED))

    async def put_targets(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        targets_max = self._limits.targets_per_rule_max
        targets = [to_target(spec, context.scope) for spec in request["Targets"]]
        await self._change(
            context, request, "Rule", lambda rule: successor(rule, targets=with_targets(rule, targets, targets_max))
        )
        return {"FailedEntryCount": 0, "FailedEntries": []}

    async def remove_targets(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        gone = set(request["Ids"])
        await self._change(
            context,
            request,
            "Rule",
            lambda rule: successor(rule, targets=tuple(target for target in rule.targets if target.id not in gone)),
        )
        return {"FailedEntryCount": 0, "FailedEntries": []}

    async def list_targets_by_rule(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        rule = await self._rule(context.scope, _known_bus(context, request), request["Rule"])
        taken, token = page(
            sorted(rule.targets, key=lambda target: target.id),
            kind="ListTargetsByRule",
            position=lambda target: [target.id],
            limit=request.get("Limit", PAGE_MAX),
            token=request.get("NextToken"),
        )
        return {"Targets": [target.spec for target in taken], "NextToken": token}

    async def list_rule_names_by_target(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        rules = await self._rules(context.scope, _known_bus(context, request))
        taken, token = page(
            [rule.name for rule in rules if any(target.arn == request["TargetArn"] for target in rule.targets)],
            kind="ListRuleNamesByTarget",
            position=lambda name: [name],
            limit=request.get("Limit", PAGE_MAX),
            token=request.get("NextToken"),
        )
        return {"RuleNames": taken, "NextToken": token}

    async def test_event_pattern(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        pattern = parse(request["EventPattern"])
        try:
            event = load_event(request["Event"])
        except ValueError:
            event = None
        if not isinstance(event, dict) or any(name not in event for name in _ENVELOPE_NEEDED):
            raise Validation("Parameter Event is not valid.")
        return {"Result": matches(pattern, event)}

    async def tag_resource(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        added = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        return await self._retag(context, request["ResourceARN"], lambda tags: tags | added)

    async def untag_resource(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        gone = set(request["TagKeys"])
        return await self._retag(
            context, request["ResourceARN"], lambda tags: {key: tags[key] for key in tags if key not in gone}
        )

    async def list_tags_for_resource(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        rule = await self._rule_by_arn(context.scope, request["ResourceARN"])
        record = await self._store.get(Tags, context.scope, rule.arn)
        return {"Tags": [{"Key": key, "Value": value} for key, value in (record.tags if record else {}).items()]}

    async def _retag(
        self, context: Context, arn: str, change: Callable[[dict[str, str]], dict[str, str]]
    ) -> dict[str, Any]:
        rule = await self._rule_by_arn(context.scope, arn)

        async def attempt() -> None:
            record = await self._store.get(Tags, context.scope, rule.arn)
            if record:
                await self._store.commit(Put(successor(record, tags=change(record.tags))))
            else:
                await self._store.commit(Put(Tags(scope=context.scope, arn=rule.arn, tags=change({}))))

        await decided(attempt)
        return {}

    async def _change(
        self, context: Context, request: dict[str, Any], name_member: str, change: Callable[[Rule], Rule]
    ) -> dict[str, Any]:
        """Replace the named rule by what `change` makes of it. Raises ResourceNotFoundException."""
        bus = _known_bus(context, request)

        async def attempt() -> None:
            await self._store.commit(Put(change(await self._rule(context.scope, bus, request[name_member]))))

        await decided(attempt)
        await self._bus.reload(context.scope, bus)
        return {}

    async def _rules(self, scope: Scope, bus: str, prefix: str = "") -> list[Rule]:
        return await self._store.find(Rule, scope, prefix=f"{bus}/{prefix}")

    async def _rule(self, scope: Scope, bus: str, name: str) -> Rule:
        rule = await self._store.get(Rule, scope, f"{bus}/{name}")
        if rule is None:
            raise _no_rule(bus, name)
        return rule

    async def _rule_by_arn(self, scope: Scope, arn: str) -> Rule:
        split = split_arn(arn)
        if split and split[0] == "events" and split[2].startswith("event-bus/"):
            raise NotImplementedYet("Tags of event buses are not implemented in Tocsin yet.")
        if split is None or split[0] != "events" or not split[2].startswith("rule/"):
            raise Validation(f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format.")
        bus, _, name = split[2].removeprefix("rule/").rpartition("/")
        if split[1] != scope:
            raise _no_rule(bus or DEFAULT_BUS, name)
        return await self._rule(scope, bus or DEFAULT_BUS, name)


def _bus_name(scope: Scope, request: dict[str, Any]) -> str:
    """EventBusName may be a name or an ARN. That of another account or region is not taken for ours."""
    given: str = request.get("EventBusName", DEFAULT_BUS)
    split = split_arn(given)
    return split[2].removeprefix("event-bus/") if split and split[1] == scope else given


def _known_bus(context: Context, request: dict[str, Any]) -> str:
    name = _bus_name(context.scope, request)
    if name != DEFAULT_BUS:
        raise ResourceNotFoundException(f"Event bus {name} does not exist.")
    return name


def _no_rule(bus: str, name: str) -> ResourceNotFoundException:
    return ResourceNotFoundException(f"Rule {name} does not exist on EventBus {bus}.")


def _rule_members(rule: Rule) -> dict[str, Any]:
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
