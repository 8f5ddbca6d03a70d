"""Targets inside our own store: a delivery is a change that commits together with the bus's place in the journal.

So a delivery to a log group happens exactly once, whatever crashes when.
"""

from tocsin.model.changes import Log
from tocsin.model.event import Event
from tocsin.model.logs import LogLine
from tocsin.model.names import derived_uuid, log_group_of
from tocsin.model.rule import Rule, Target


def log_stream(rule: Rule, target: Target) -> str:
    """The stream a rule's target writes to: one for each, UUID-shaped as on AWS (facts/hyperpod.md §10.2)."""
    return derived_uuid(rule.arn, target.id)


def to_log_group(event: Event, rule: Rule, target: Target) -> Log:
    """The event as one line of the target's log group, at the time of its acceptance."""
    place = log_group_of(target.arn)
    assert place is not None, "PutTargets takes only ARNs of kinds that can be delivered"
    scope, group = place
    return Log(
        scope=scope,
        group=group,
        stream=log_stream(rule, target),
        lines=(LogLine(event.at_ms, event.body.decode()),),
        ingested_ms=event.at_ms,
    )
