"""PutTargets entries -> targets: what a target may be, and what this server can deliver to."""

from collections.abc import Callable
from typing import Any

from tocsin.core.commands import rules as command_rules
from tocsin.core.transform import shaping
from tocsin.model.command import document_of
from tocsin.model.connection import api_destination_of
from tocsin.model.errors import LimitExceeded, NotImplementedYet, Validation
from tocsin.model.names import API_DESTINATION, Scope, bus_of, log_group_of, queue_of, split_arn, target_kind, topic_of
from tocsin.model.rule import Rule, Target

_ANY = frozenset({"Id", "Arn", "RoleArn", "RetryPolicy", "DeadLetterConfig"})
_SHAPED = _ANY | {"Input", "InputPath", "InputTransformer"}


def _log_group(arn: str) -> tuple[Scope, str] | None:
    """No name of a log group holds a colon: what follows one is a stream or a mistake."""
    place = log_group_of(arn)
    return place if place and ":" not in place[1] else None


def _topic(arn: str) -> tuple[Scope, str] | None:
    """A FIFO topic wants a group for each message, which a target has no member for. Nor does AWS take one."""
    if arn.endswith(".fifo"):
        raise Validation(
            f"Parameter {arn} is not valid. Reason: SNS FIFO topics are not supported as targets of rules."
        )
    return topic_of(arn)


# By what the ARN names: where such a target is, and the members it may have. AWS shapes nothing on the way to a bus.
_KINDS: dict[str, tuple[Callable[[str], tuple[Scope, str] | None], frozenset[str]]] = {
    "logs": (_log_group, _SHAPED),
    "sqs": (queue_of, _SHAPED | {"SqsParameters"}),
    "events": (bus_of, _ANY),
    "sns": (_topic, _SHAPED),
    "ssm": (document_of, _SHAPED | {"RunCommandParameters"}),
    API_DESTINATION: (api_destination_of, _SHAPED | {"HttpParameters"}),
}
# What is built in belongs to no account, and its ARN names none.
_EVERYBODYS = frozenset({"ssm"})
# May be of another account or region. Whether they take events is asked at each delivery.
_ANYWHERE = frozenset({"events"})


def to_target(spec: dict[str, Any], scope: Scope) -> Target:
    """Raises Validation on a bad target, NotImplementedYet on one that could not be delivered to."""
    target_id, arn = spec["Id"], spec["Arn"]
    shaping(spec)
    if split_arn(arn) is None:
        raise _malformed(arn)
    kind = target_kind(arn)
    if kind not in _KINDS:
        raise NotImplementedYet(f"Targets of service {kind} are not implemented in Tocsin yet (target {target_id}).")
    where, members = _KINDS[kind]
    place = where(arn)
    if place is None:
        raise _malformed(arn)
    at_home = place[0] == scope or (kind in _EVERYBODYS and place[0] == Scope("", scope.region))
    if not at_home and kind not in _ANYWHERE:
        raise Validation(f"Parameter {arn} is not valid. Reason: It must be in account and region of the rule.")
    later = sorted(spec.keys() - members)
    if later:
        raise NotImplementedYet(f"{', '.join(later)} of target {target_id} is not implemented in Tocsin yet.")
    _check_queues(spec)
    if kind == "ssm":
        command_rules.check(spec)
    return Target(id=target_id, arn=arn, spec=spec)


def _check_queues(spec: dict[str, Any]) -> None:
    if spec["Arn"].endswith(".fifo") and not spec.get("SqsParameters", {}).get("MessageGroupId"):
        raise Validation(f"Parameter(s) SqsParameters must be specified for target: {spec['Id']}.")
    dead_letters = spec.get("DeadLetterConfig", {}).get("Arn")
    if dead_letters is not None and (queue_of(dead_letters) is None or dead_letters.endswith(".fifo")):
        raise Validation(f"Parameter {dead_letters} is not valid. Reason: A dead-letter queue is a standard SQS queue.")


def _malformed(arn: str) -> Validation:
    return Validation(f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format.")


def with_targets(rule: Rule, added: list[Target], targets_max: int) -> tuple[Target, ...]:
    """The rule's targets with those put: same id replaces, new ones go behind. Raises LimitExceeded in AWS's words."""
    merged = {target.id: target for target in rule.targets} | {target.id: target for target in added}
    if len(merged) > targets_max:
        raise LimitExceeded("The requested resource exceeds the maximum number allowed.")
    return tuple(merged.values())
