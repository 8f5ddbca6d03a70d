"""Event -> deliveries. Called by the bus for every journaled event; knows rules and patterns, no store and no wire."""

from collections.abc import Iterable

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


def route(body: bytes, rules: RuleIndex) -> list[tuple[Rule, Target]]:
    """The targets that an event is owed, rule by rule. `body` is its envelope."""
    index = rules.index
    matched = [rules.rules[key] for key in index.match(index.load(body))]
    return [(rule, target) for rule in matched for target in rule.targets]
