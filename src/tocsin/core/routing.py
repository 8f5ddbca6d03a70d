"""Event -> deliveries. Called by the bus for every journaled event; knows rules and patterns, no store and no wire."""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from tocsin.core.matcher import Index
from tocsin.core.patterns import parse
from tocsin.model.names import Scope
from tocsin.model.rule import Rule, RuleState, Target

Bus = tuple[Scope, str]


class RuleIndex(Struct, frozen=True):
    """The enabled rules of one bus, ready to match. Immutable: a change of rules builds a new one."""

    index: Index[str]
    rules: dict[str, Rule]

    @staticmethod
    def of(rules: Iterable[Rule]) -> "RuleIndex":
        live = {rule.key: rule for rule in rules if rule.pattern and rule.state is not RuleState.DISABLED}
        return RuleIndex(Index.build([(key, parse(rule.pattern)) for key, rule in live.items()]), live)


def route(event: Any, rules: RuleIndex) -> list[tuple[Rule, Target]]:
    """The targets that the event is owed, rule by rule. `event` is the parsed envelope."""
    return [
        (rule, target) for key in rules.index.match(event) for rule in (rules.rules[key],) for target in rule.targets
    ]
