"""Deliveries: each log group has got what its rule owes it up to the router's place, once and in order."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from tocsin.core.audit.history import whole
from tocsin.core.audit.world import Note, Owed, World
from tocsin.core.routing import BusName, RuleIndex, route
from tocsin.model.names import log_group_of
from tocsin.model.rule import Rule, Target


def deliveries(world: World) -> Iterable[Note]:
    if world.delivered is None:
        return
    logged = {(rule.arn, one.id) for rule in world.rules for one in rule.targets if log_group_of(one.arn)}
    owed = {target: seqs for target, seqs in owed_events(world).items() if target in logged}
    shaped = {(rule.arn, target.id) for rule in world.rules for target in rule.targets if _is_shaped(target)}
    places = {entry.event.body.decode(): entry.seq for entry in world.journal}
    for target in {**owed, **world.delivered}:
        name = " ".join(target)
        expected = owed.get(target, [])
        lines = sorted(world.delivered.get(target, ()), key=lambda line: line.id)
        if target in shaped:  # what it is sent no longer tells which event it was
            if not world.rules_since and whole(world) and len(lines) != len(expected):
                yield Note("what is routed is delivered", name, f"{len(lines)} lines for {len(expected)} events")
            continue
        sent = [places.get(line.message, 0) for line in lines]
        # What the journal has forgotten, or other rules decided, is not judged; but nothing comes out of nowhere.
        judged = [seq for seq in sent if seq > world.rules_since]
        if 0 in sent and whole(world):
            yield Note("only events are delivered", name, f"{sent.count(0)} lines are none")
        for seq, times in Counter(sent).items():
            if seq and times > 1:
                yield Note("an event is delivered once", name, f"{seq} came {times} times")
        if missing := sorted(set(expected) - set(judged)):
            yield Note("what is routed is delivered", name, f"{missing} did not come")
        if surplus := sorted(set(judged) - set(expected)):
            yield Note("only what is owed is delivered", name, f"{surplus} came")
        if sorted(judged) != judged:
            yield Note("deliveries keep the journal's order", name, f"{judged}")


def _is_shaped(target: Target) -> bool:
    return any(name in target.spec for name in ("Input", "InputPath", "InputTransformer"))


def owed_events(world: World) -> dict[Owed, list[int]]:
    """The places of the events that each target is owed by now."""
    by_bus: dict[BusName, list[Rule]] = defaultdict(list)
    for rule in world.rules:
        by_bus[rule.scope, rule.bus].append(rule)
    indexes = {bus: RuleIndex.of(rules) for bus, rules in by_bus.items()}
    owed: dict[Owed, list[int]] = defaultdict(list)
    for entry in world.journal:
        rules = indexes.get((entry.event.scope, entry.event.bus))
        if rules is None or not world.rules_since < entry.seq <= world.routed:
            continue
        deliveries, _unfit = route(entry.event, rules)
        for one in deliveries:
            owed[one.rule.arn, one.target.id].append(entry.seq)
    return owed
