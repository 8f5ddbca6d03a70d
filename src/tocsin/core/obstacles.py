"""A rule -> what keeps it from delivering, whatever the events. `tocsin rule explain` says it first.

Knows rules; what is missing in the world is told by the caller.
"""

from collections.abc import Collection

from tocsin.core.loggrants import POLICY_NAME, needed_policy
from tocsin.model.command import document_of
from tocsin.model.names import bus_of, log_group_of, queue_of, topic_of
from tocsin.model.rule import Rule, RuleState, Target


def obstacles(rule: Rule, missing: Collection[str], closed: Collection[str] = ()) -> list[str]:
    """Sentences. `missing` holds the ARNs of targets that do not exist, `closed` of those the rule may not write to."""
    told: list[str] = []
    if rule.state is RuleState.DISABLED:
        told.append("The rule is disabled: nothing is delivered until it is enabled.")
    if not rule.pattern:
        told.append(f"The rule has no event pattern, only a schedule ({rule.schedule}): no event can match it.")
    if not rule.targets:
        told.append("The rule has no targets: a match leads to nothing.")
    for target in rule.targets:
        what = f"{_named(target.arn)} of target {target.id}"
        if target.arn in missing:
            told.append(f"{what} does not exist: deliveries to it {_end(target)}.")
        elif target.arn in closed:
            told.append(
                f"No resource policy lets EventBridge write to {_lower(what)}: deliveries to it {_end(target)}."
            )
            put = f"aws logs put-resource-policy --policy-name {POLICY_NAME} --policy-document"
            told.append(f"This one would: {put} '{needed_policy(target.arn)}'")
    return told


def _end(target: Target) -> str:
    """What becomes of deliveries that cannot be made."""
    dead_letters = target.spec.get("DeadLetterConfig", {}).get("Arn")
    return f"go to {dead_letters}" if dead_letters else "are dropped"


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _named(arn: str) -> str:
    for place_of, kind in (
        (log_group_of, "log group"),
        (queue_of, "queue"),
        (bus_of, "event bus"),
        (topic_of, "topic"),
        (document_of, "document"),
    ):
        place = place_of(arn)
        if place:
            return f"The {kind} {place[1]}"
    return arn
