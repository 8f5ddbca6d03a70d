"""PutTargets entries -> targets: what a target may be, and what this server can deliver to."""

from typing import Any

from tocsin.core.transform import shaping
from tocsin.model.errors import LimitExceeded, NotImplementedYet, Validation
from tocsin.model.names import Scope, log_group_of, split_arn
from tocsin.model.rule import Rule, Target

# Accepted members of any target. The rest of AWS's Target belongs to kinds of targets that are not there yet.
_CARRIED = frozenset({"Id", "Arn", "RoleArn", "RetryPolicy", "Input", "InputPath", "InputTransformer"})


def to_target(spec: dict[str, Any], scope: Scope) -> Target:
    """Raises Validation on a bad target, NotImplementedYet on one that could not be delivered to."""
    target_id, arn = spec["Id"], spec["Arn"]
    shaping(spec)
    split, place = split_arn(arn), log_group_of(arn)
    # No name of a log group holds a colon: what follows one is a stream or a mistake.
    if split is None or (split[0] == "logs" and (place is None or ":" in place[1])):
        raise Validation(f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format.")
    if place is None:
        raise NotImplementedYet(
            f"Targets of service {split[0]} are not implemented in Tocsin yet (target {target_id})."
        )
    if place[0] != scope:
        raise Validation(
            f"Parameter {arn} is not valid. Reason: The log group must be in account and region of the rule."
        )
    later = sorted(spec.keys() - _CARRIED)
    if later:
        raise NotImplementedYet(f"{', '.join(later)} of target {target_id} is not implemented in Tocsin yet.")
    return Target(id=target_id, arn=arn, spec=spec)


def with_targets(rule: Rule, added: list[Target], targets_max: int) -> tuple[Target, ...]:
    """The rule's targets with those put: same id replaces, new ones go behind. Raises LimitExceeded in AWS's words."""
    merged = {target.id: target for target in rule.targets} | {target.id: target for target in added}
    if len(merged) > targets_max:
        raise LimitExceeded("The requested resource exceeds the maximum number allowed.")
    return tuple(merged.values())
