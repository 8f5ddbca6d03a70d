"""Targets inside our own store: a delivery is a change that commits together with the bus's place in the journal.

So a delivery to a log group happens exactly once, whatever crashes when.
"""

import functools

from tocsin.model.names import Scope, derived_uuid, log_group_of

# Streams are named again after this many others; naming one costs a few microseconds.
STREAMS_REMEMBERED_MAX = 10_000


@functools.lru_cache(STREAMS_REMEMBERED_MAX)
def log_place(rule_arn: str, target_id: str, target_arn: str) -> tuple[Scope, str, str]:
    """Scope and name of the target's log group, and the stream: one for each rule and target, UUID-shaped as on AWS.

    Source: facts/hyperpod.md §10.2.
    """
    place = log_group_of(target_arn)
    assert place is not None, "PutTargets takes only ARNs of kinds that can be delivered"
    return *place, derived_uuid(rule_arn, target_id)
