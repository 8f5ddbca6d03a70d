"""Resource policies: what they let a service or an account do. Asked by targets before they deliver, and by
`rule explain`.

The language is IAM's (JSON policy elements reference): no statement that allows means no, and one that denies wins over
all that allow. What cannot be understood here never allows, and denies where it stands in a Deny.
"""

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from tocsin.model.names import PARTITION

# Documents and texts with wildcards that stay taken apart.
REMEMBERED_MAX = 1024

Statement = Mapping[str, Any]


class Wish(Struct, frozen=True):
    """Who (service principals that act as one, or an account) wants to do what to what. `facts` are condition keys,
    their values."""

    services: tuple[str, ...]
    action: str
    resource: str
    facts: Mapping[str, str]
    account: str = ""


def allowed(documents: Iterable[str], wish: Wish) -> bool:
    """Whether the policies, taken together, grant the wish."""
    statements = [one for document in documents for one in statements_of(document)]
    if any(one.get("Effect") == "Deny" and _concerns(one, wish, unsure=True) for one in statements):
        return False
    return any(one.get("Effect") == "Allow" and _concerns(one, wish, unsure=False) for one in statements)


@functools.lru_cache(REMEMBERED_MAX)
def statements_of(document: str) -> tuple[Statement, ...]:
    """The statements of a policy's text; none of one that is no policy."""
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        return ()
    return tuple(one for one in _listed(found.get("Statement") if isinstance(found, dict) else []) if _is_object(one))


def _concerns(statement: Statement, wish: Wish, *, unsure: bool) -> bool:
    """`unsure`: the answer where a condition is none that can be judged here."""
    return (
        _either(statement, "Principal", lambda one: _names(one, wish))
        and _either(statement, "Action", lambda one: _any_like(one, wish.action, fold=True))
        and _either(statement, "Resource", lambda one: _any_like(one, wish.resource))
        and _holds(statement.get("Condition", {}), wish.facts, unsure=unsure)
    )


def _either(statement: Statement, element: str, said: Callable[[Any], bool]) -> bool:
    """The element, or its opposite with Not before its name. A statement without either concerns nothing."""
    if element in statement:
        return said(statement[element])
    return f"Not{element}" in statement and not said(statement[f"Not{element}"])


def _names(principal: Any, wish: Wish) -> bool:
    if not _is_object(principal):
        return bool(principal == "*")
    accounts = ("*", wish.account, f"arn:{PARTITION}:iam::{wish.account}:root") if wish.account else ("*",)
    if any(one in accounts for one in _listed(principal.get("AWS", []))):
        return True
    return any(one == "*" or one in wish.services for one in _listed(principal.get("Service", [])))


def _any_like(patterns: Any, name: str, *, fold: bool = False) -> bool:
    """`fold`: upper and lower case are one."""
    texts = [one for one in _listed(patterns) if isinstance(one, str)]
    return any(like(text.lower(), name.lower()) if fold else like(text, name) for text in texts)


def like(pattern: str, text: str) -> bool:
    """IAM's wildcards: `*` for any characters, `?` for one."""
    return _compiled(pattern).fullmatch(text) is not None


@functools.lru_cache(REMEMBERED_MAX)
def _compiled(pattern: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(char) or re.escape(char) for char in re.sub(r"\*+", "*", pattern)), re.DOTALL)


def _same(wanted: str, found: str) -> bool:
    return wanted == found


def _same_in_any_case(wanted: str, found: str) -> bool:
    return wanted.lower() == found.lower()


# Condition operators: how a value compares, and whether the operator asks for the opposite.
_OPERATORS: Mapping[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (_same, False),
    "StringNotEquals": (_same, True),
    "StringEqualsIgnoreCase": (_same_in_any_case, False),
    "StringNotEqualsIgnoreCase": (_same_in_any_case, True),
    "StringLike": (like, False),
    "StringNotLike": (like, True),
    "ArnEquals": (like, False),
    "ArnNotEquals": (like, True),
    "ArnLike": (like, False),
    "ArnNotLike": (like, True),
    "Bool": (_same_in_any_case, False),
}


def _holds(condition: Any, facts: Mapping[str, str], *, unsure: bool) -> bool:
    """Whether all operators of a condition hold for all their keys. Keys count no case."""
    if not _is_object(condition):
        return unsure
    known = {name.lower(): value for name, value in facts.items()}
    for operator, asked in condition.items():
        name = operator.removesuffix("IfExists")
        if name not in _OPERATORS or not _is_object(asked):
            return unsure
        compare, opposite = _OPERATORS[name]
        for key, values in asked.items():
            found = known.get(key.lower())
            if found is None:
                met = opposite or operator != name
            else:
                met = any(compare(str(value), found) for value in _listed(values)) is not opposite
            if not met:
                return False
    return True


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
