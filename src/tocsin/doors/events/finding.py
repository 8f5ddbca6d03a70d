"""Finding what a request names: a bus by name or ARN, a rule on it. Every other file here asks it."""

from typing import Any

from tocsin.model.bus import EventBus, default_bus
from tocsin.model.errors import ResourceNotFoundException, Validation
from tocsin.model.names import DEFAULT_BUS, Scope, split_arn
from tocsin.model.rule import Rule
from tocsin.ports import Store

# Items a page of any listing here.
PAGE_MAX = 100
TOO_MANY = "The requested resource exceeds the maximum number allowed."


def bus_name(scope: Scope, given: str) -> str:
    """The name in a name or an ARN. The ARN of a bus of another account or region stays as it is: it is not ours."""
    split = split_arn(given)
    return split[2].removeprefix("event-bus/") if split and split[:2] == ("events", scope) else given


async def find_bus(store: Store, scope: Scope, name: str) -> EventBus | None:
    found = await store.get(EventBus, scope, name)
    return default_bus(scope) if found is None and name == DEFAULT_BUS else found


async def named_bus(store: Store, scope: Scope, given: str) -> EventBus:
    """The bus of a name or ARN. Raises ResourceNotFoundException."""
    name = bus_name(scope, given)
    bus = await find_bus(store, scope, name)
    if bus is None:
        raise ResourceNotFoundException(f"Event bus {name} does not exist.")
    return bus


async def bus_of(store: Store, scope: Scope, request: dict[str, Any]) -> EventBus:
    """The bus an operation on rules is about."""
    return await named_bus(store, scope, request.get("EventBusName", DEFAULT_BUS))


async def rules_of(store: Store, scope: Scope, bus: str, prefix: str = "") -> list[Rule]:
    return await store.find(Rule, scope, prefix=f"{bus}/{prefix}")


async def named_rule(store: Store, scope: Scope, bus: str, name: str) -> Rule:
    rule = await store.get(Rule, scope, f"{bus}/{name}")
    if rule is None:
        raise _no_rule(bus, name)
    return rule


async def tagged_arn(store: Store, scope: Scope, arn: str) -> str:
    """The ARN of the rule or bus that is meant. Raises ResourceNotFoundException, Validation for anything else."""
    service, place, resource = split_arn(arn) or ("", scope, "")
    sort, _, rest = resource.partition("/")
    if service != "events" or sort not in ("rule", "event-bus") or not rest:
        raise Validation(f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format.")
    if sort == "event-bus":
        return (await named_bus(store, scope, arn)).arn
    bus, _, name = rest.rpartition("/")
    if place != scope:
        raise _no_rule(bus or DEFAULT_BUS, name)
    return (await named_rule(store, scope, bus or DEFAULT_BUS, name)).arn


def _no_rule(bus: str, name: str) -> ResourceNotFoundException:
    return ResourceNotFoundException(f"Rule {name} does not exist on EventBus {bus}.")
