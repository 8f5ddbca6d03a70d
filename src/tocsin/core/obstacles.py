"""A rule -> what keeps it from delivering, whatever the events. `tocsin rule explain` says it first.

Knows rules; what is missing in the world is told by the caller.
"""

from collections.abc import Collection

from tocsin.model.names import bus_of, log_group_of, queue_of
from tocsin.model.rule import Rule, RuleState


def obstacles(rule: Rule, missing: Collection[str]) -> list[str]:
    """Sentences. `missing` holds the ARNs of targets that do not exist."""
    told: list[str] = []
    if rule.state is RuleState.DISABLED:
        told.append("The rule is disabled: nothing is delivered until it is enabled.")
    if not rule.pattern:
        told.append(f"The rule has no event pattern, only a schedule ({rule.schedule}): no event can match it.")
    if not rule.targets:
        told.append("The rule has no targets: a match leads to nothing.")
    for target in rule.targets:
        if target.arn in missing:
            dead_letters = target.spec.get("DeadLetterConfig", {}).get("Arn")
            end = f"go to {dead_letters}" if dead_letters else "are dropped"
            told.append(f"{_named(target.arn)} of target {target.id} does not exist: deliveries to it {end}.")
    return told


def _named(arn: str) -> str:
    for place_of, kind in ((log_group_of, "log group"), (queue_of, "queue"), (bus_of, "event bus")):
        place = place_of(arn)
        if place:
            return f"The {kind} {place[1]}"
    return arn
