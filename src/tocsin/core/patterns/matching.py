"""One pattern against one event, the plain way: what every faster way must agree with.

TestEventPattern and filter policies use it as it is; the index is checked against it.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from .conditions import Condition, Exists
from .fields import Leaf, Question, flatten, hold_together
from .reader import Field, Pattern

_tests_max: Final = 4096
"""Compiled fields kept for the next event; a bus's own rules are compiled into its index instead."""


def matches(pattern: Pattern, event: Any) -> bool:
    """Whether a parsed JSON event matches. Anything but an object matches nothing."""
    if not isinstance(event, dict):
        return False
    leaves = flatten(event)
    return any(
        hold_together(question(field, leaves.get(field.path, ())) for field in alternative)
        for alternative in pattern.alternatives
    )


def question(field: Field, leaves: Sequence[Leaf]) -> Question:
    """A field of a pattern, asked of the leaves an event has at its path."""
    if field.path.endswith("."):
        leaves = ()  # an empty last key names nothing (docs/patterns.md)
    return leaves, value_test(field.conditions), may_lack(field.conditions)


def may_lack(conditions: tuple[Condition, ...]) -> bool:
    """Whether the field is content when the event has nothing there."""
    return any(isinstance(condition, Exists) and not condition.present for condition in conditions)


def compiled(conditions: tuple[Condition, ...]) -> Callable[[Any], bool]:
    """A test whether a leaf meets one of the conditions."""
    tests = [condition.test() for condition in conditions]
    if len(tests) == 1:
        return tests[0]
    return lambda value: any(test(value) for test in tests)


value_test = lru_cache(maxsize=_tests_max)(compiled)
