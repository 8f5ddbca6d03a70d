"""A rule -> what keeps it from delivering, whatever the events. `tocsin rule explain` says it first.

Knows rules; what is missing in the world is told by the caller.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from tocsin.core.busgrants import needed_permission
from tocsin.core.loggrants import POLICY_NAME, needed_policy
from tocsin.model.command import document_of
from tocsin.model.connection import api_destination_of
from tocsin.model.names import bus_of, log_group_of, queue_of, topic_of
from tocsin.model.rule import Rule, RuleState, Target
from tocsin.model.times import iso_second


def obstacles(
    rule: Rule,
    missing: Collection[str],
    closed: Collection[str] = (),
    troubles: Mapping[str, Sequence[str]] | None = None,
) -> list[str]:
    """Sentences. `missing` holds the ARNs of targets that do not exist, `closed` of those the rule may not write to;
    `troubles` what else is to be said of a target, by its id."""
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
        told += (troubles or {}).get(target.id, ())
    return told


def made_anew(target: Target, name: str, arn: str) -> str:
    """Of an API destination that was deleted, and another made under its name."""
    return (
        f"The API destination {name} of target {target.id} was made anew: deliveries {_end(target)} until the target "
        f"names {arn}."
    )


def not_authorized(target: Target, connection: str, state: str, reason: str) -> str:
    """Of an API destination. `state` is empty when the connection does not exist."""
    what = f"The connection {connection} of target {target.id}"
    if not state:
        return f"{what} does not exist: deliveries {_end(target)}."
    return f"{what} is {state}{f' ({reason})' if reason else ''}: deliveries wait until it is authorized."


def unheard(target: Target, topic: str, pending: int) -> str:
    """Of a topic whose messages nobody asked for, or nobody yet."""
    asked = f"; {pending} wait{'s' if pending == 1 else ''} to be confirmed" if pending else ""
    return f"The topic {topic} of target {target.id} has no confirmed subscription and no chat's channel{asked}."


def unposted(target: Target, topic: str, configuration: str) -> str:
    """Of a chat's channel that hears the topic, and that the settings do not know."""
    what = f"The channel {configuration} hears the topic {topic} of target {target.id}"
    return f"{what}, and the settings name no webhook or token for it: its posts wait."


def not_let_in(target: Target, account: str) -> str:
    """Of an event bus of another account, whose policy does not name this one."""
    bus = bus_of(target.arn)
    assert bus is not None, "the target is a bus"
    return (
        f"The policy of the event bus of target {target.id} does not let account {account} put events: deliveries "
        f"{_end(target)}. In account {bus[0].account} this would: {needed_permission(account, bus[1])}"
    )


def failing(target: Target, owed: int, since_ms: int, error: str, next_try_ms: int | None) -> str:
    """Of a target whose deliveries are tried again and again."""
    following = f"; the next try is at {_moment(next_try_ms)}" if next_try_ms else ""
    many = "1 delivery is" if owed == 1 else f"{owed} deliveries are"
    return f"Target {target.id} fails since {_moment(since_ms)}, and {many} owed to it{following}: {error}"


def _moment(at_ms: int) -> str:
    return iso_second(datetime.fromtimestamp(at_ms / 1000, UTC))


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
        (api_destination_of, "API destination"),
        (document_of, "document"),
    ):
        place = place_of(arn)
        if place:
            return f"The {kind} {place[1]}"
    return arn
