"""Event -> deliveries. Called by the bus for every journaled event; knows rules and patterns, no store and no wire."""

import functools
import json
from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec import Struct

from tocsin.core.matcher import Index
from tocsin.core.patterns import parse
from tocsin.core.transform import About, Filled, Shaping, sendable, shape, shaping
from tocsin.model.delivery import Delivery, Refused
from tocsin.model.event import Event
from tocsin.model.names import Scope
from tocsin.model.rule import Rule, RuleState, Target
from tocsin.model.times import iso_second

BusName = tuple[Scope, str]

# What a firing schedule tells its bus (facts/peers.md §3.2).
SCHEDULED_SOURCE, SCHEDULED_EVENT = "aws.events", "Scheduled Event"

# AWS's dead-letter code for what the target could never take (facts/peers.md §3.2).
INVALID_PARAMETER = "INVALID_PARAMETER"


# Patterns that stay parsed, some kilobytes each: when one rule of a bus changes, the others need not be read again.
PATTERNS_REMEMBERED_MAX = 20_000

_parse = functools.lru_cache(PATTERNS_REMEMBERED_MAX)(parse)


class RuleIndex(Struct, frozen=True):
    """The enabled rules of one bus, ready to match. Immutable: a change of rules builds a new one."""

    index: Index[str]
    owed: dict[str, tuple[tuple[Rule, Target, Shaping | None], ...]]

    @staticmethod
    def of(rules: Iterable[Rule]) -> "RuleIndex":
        live = [rule for rule in rules if rule.state is not RuleState.DISABLED]
        asked = [(rule.key, _parse(rule.pattern)) for rule in live if rule.pattern]
        # A schedule is a pattern too: it asks for the events of its own firing, which nobody else can put.
        timed = [(f"{rule.key}\0", parse(_firing(rule))) for rule in live if rule.schedule]
        owed = {rule.key: tuple((rule, one, shaping(one.spec)) for one in rule.targets) for rule in live}
        return RuleIndex(Index.build(asked + timed), owed | {key: owed[key.rstrip("\0")] for key, _ in timed})


def _firing(rule: Rule) -> str:
    return json.dumps({"source": [SCHEDULED_SOURCE], "detail-type": [SCHEDULED_EVENT], "resources": [rule.arn]})


def matched(event: Event, rules: RuleIndex) -> list[str]:
    """The keys of the rules that the event matches, whether they have targets or not."""
    return rules.index.match(rules.index.load(event.body))


def route(event: Event, rules: RuleIndex, keys: list[str] | None = None) -> tuple[list[Delivery], list[Refused]]:
    """What the event owes the targets, rule by rule, and what its transformation made unfit to be sent.

    `keys` are those of the rules that it matches, where they are known already.
    """
    owed: list[Delivery] = []
    unfit: list[Refused] = []
    for key in matched(event, rules) if keys is None else keys:
        for rule, target, shaped in rules.owed[key]:
            if shaped is None:
                owed.append(Delivery(event=event, rule=rule, target=target, payload=event.body))
                continue
            accepted = iso_second(datetime.fromtimestamp(event.at_ms / 1000, UTC))
            payload = shape(shaped, event.body, About(rule.arn, rule.name, accepted))
            filled = isinstance(shaped, Filled)
            delivery = Delivery(event=event, rule=rule, target=target, payload=payload, from_template=filled)
            if sendable(shaped, payload):
                owed.append(delivery)
            else:
                message = "The input template did not come out as valid JSON for this event."
                unfit.append(Refused(delivery=delivery, code=INVALID_PARAMETER, message=message))
    return owed, unfit
