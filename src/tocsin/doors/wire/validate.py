"""An operation's input held against the model's constraints: one closure per shape, compiled on first use.

Every protocol's parser comes before it, the handler after it. All violations go into one sentence, in AWS's words
(fact sheet, 3.2); a shape without constraints compiles to nothing.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any

from tocsin.core.regex.charset import Untranslatable
from tocsin.core.regex.matching import Matcher, matcher
from tocsin.doors.wire.coral import lower_camel, quoted
from tocsin.doors.wire.model import Service, Shape

# (value, where it stands, the violations found so far) -> nothing
Check = Callable[[Any, str, list[str]], None]
# value -> whether it holds; with the sentence AWS says when it does not
Rule = tuple[Callable[[Any], object], str]

# More would say nothing new, and a batch of a million bad entries must not make a megabyte of text.
violations_max = 100

MISSING = "Value null at '{}' failed to satisfy constraint: Member must not be null"

SIZED = {"string", "list", "map", "blob"}
NUMBERS = {"integer", "long", "float", "double"}


def sentence(violations: list[str]) -> str:
    """`2 validation errors detected: ...; ...`."""
    count = len(violations)
    return f"{count} validation error{'s' if count > 1 else ''} detected: {'; '.join(violations[:violations_max])}"


def rules_of(shape: Shape) -> list[Rule]:
    """What a shape asks of its own value, in the order AWS lists it. Cheap rules first: length before pattern."""
    rules: list[Rule] = []
    least, most = shape.get("min"), shape.get("max")
    if shape["type"] in SIZED:
        if most is not None:
            rules.append((lambda v: len(v) <= most, f"Member must have length less than or equal to {most}"))
        if least:
            rules.append((lambda v: len(v) >= least, f"Member must have length greater than or equal to {least}"))
    elif shape["type"] in NUMBERS:
        if most is not None:
            rules.append((lambda v: v <= most, f"Member must have value less than or equal to {most}"))
        if least is not None:
            rules.append((lambda v: v >= least, f"Member must have value greater than or equal to {least}"))
    if "enum" in shape:
        allowed = frozenset(shape["enum"])
        rules.append((allowed.__contains__, f"Member must satisfy enum value set: [{', '.join(shape['enum'])}]"))
    if "pattern" in shape:
        fits = _fits(shape["pattern"], most)
        rules.append((fits, f"Member must satisfy regular expression pattern: {shape['pattern']}"))
    return rules


@functools.cache
def _enforced(pattern: str) -> Matcher:
    """The pattern's matcher; one that cannot be translated lets everything pass (`skipped` lists them)."""
    try:
        return matcher(pattern)
    except Untranslatable:
        return lambda value: True


def _fits(pattern: str, most: int | None) -> Callable[[str], object]:
    """Compiled at the first value, for most members of a large operation are never sent.

    A text that is too long already says so: no pattern is tried on it.
    """
    compiled: list[Matcher] = []

    def fits(value: str) -> object:
        if most is not None and len(value) > most:
            return True
        if not compiled:
            compiled.append(_enforced(pattern))
        return compiled[0](value)

    return fits


class Validators:
    """The compiled checks of one service, by shape name; None where nothing is asked."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._compiled: dict[str, Check | None] = {}

    def of(self, name: str) -> Check | None:
        """The check of a shape, or None. A recursive shape finds itself on first use."""
        if name in self._compiled:
            return self._compiled[name]

        def later(value: Any, where: str, violations: list[str]) -> None:
            if (check := self._compiled[name]) is not None:
                check(value, where, violations)

        self._compiled[name] = later
        check = self._compile(name, self._service.shapes[name])
        self._compiled[name] = check
        return check

    def _compile(self, name: str, shape: Shape) -> Check | None:
        inner: Check | None = None
        match shape["type"]:
            case "structure":
                inner = self._structure(name, shape)
            case "list":
                inner = self._list(name, shape)
            case "map":
                inner = self._map(name, shape)
        return _both(self._own(name, rules_of(shape)), inner)

    def _own(self, name: str, rules: list[Rule]) -> Check | None:
        if not rules:
            return None
        service = self._service

        def own(value: Any, where: str, violations: list[str]) -> None:
            for holds, text in rules:
                if not holds(value):
                    said = f"{quoted(service, name, value)} at '{where}' failed to satisfy constraint: {text}"
                    violations.append(said)

        return own

    def _structure(self, name: str, shape: Shape) -> Check | None:
        required = frozenset(shape.get("required", ()))
        members = [
            (member, lower_camel(member), member in required, self.of(reference["shape"]))
            for member, reference in shape["members"].items()
        ]
        asked = [member for member in members if member[2] or member[3]]

        def structure(value: Any, where: str, violations: list[str]) -> None:
            for member, label, needed, check in asked:
                item = value.get(member)
                if item is None:
                    if needed:
                        violations.append(MISSING.format(f"{where}.{label}" if where else label))
                elif check is not None:
                    check(item, f"{where}.{label}" if where else label, violations)

        return _both(self._union(name) if shape.get("union") else None, structure if asked else None)

    def _union(self, name: str) -> Check:
        service, labels = self._service, ", ".join(map(lower_camel, self._service.shapes[name]["members"]))

        def union(value: Any, where: str, violations: list[str]) -> None:
            if len(value) != 1:
                said = f"Member must have exactly one of its members set: [{labels}]"
                violations.append(f"{quoted(service, name, value)} at '{where}' failed to satisfy constraint: {said}")

        return union

    def _list(self, name: str, shape: Shape) -> Check | None:
        item_name = shape["member"]["shape"]
        item_shape = self._service.shapes[item_name]
        if item_shape["type"] not in ("structure", "list", "map"):
            return self._each(name, "Member", rules_of(item_shape), lambda value: value)
        check = self.of(item_name)
        if check is None:
            return None

        def items(value: Any, where: str, violations: list[str]) -> None:
            for at, item in enumerate(value, 1):
                check(item, f"{where}.{at}.member", violations)
                if len(violations) >= violations_max:
                    return

        return items

    def _map(self, name: str, shape: Shape) -> Check | None:
        keys = self._each(name, "Map keys", rules_of(self._service.shapes[shape["key"]["shape"]]), list)
        value_name = shape["value"]["shape"]
        value_shape = self._service.shapes[value_name]
        if value_shape["type"] not in ("structure", "list", "map"):
            return _both(keys, self._each(name, "Map value", rules_of(value_shape), lambda v: v.values()))
        check = self.of(value_name)
        if check is None:
            return keys

        def entries(value: Any, where: str, violations: list[str]) -> None:
            for key, item in value.items():
                check(item, f"{where}.{key}.member", violations)
                if len(violations) >= violations_max:
                    return

        return _both(keys, entries)

    def _each(self, name: str, what: str, rules: list[Rule], parts: Callable[[Any], Any]) -> Check | None:
        """Plain items are judged together, at the collection: AWS lists all that is asked of an item."""
        if not rules:
            return None
        service, asked = self._service, ", ".join(text for _, text in rules)
        holds = [rule for rule, _ in rules]

        def each(value: Any, where: str, violations: list[str]) -> None:
            if all(hold(part) for part in parts(value) for hold in holds):
                return
            said = f"{what} must satisfy constraint: [{asked}]"
            violations.append(f"{quoted(service, name, value)} at '{where}' failed to satisfy constraint: {said}")

        return each


def _both(first: Check | None, second: Check | None) -> Check | None:
    if first is None or second is None:
        return first or second

    def both(value: Any, where: str, violations: list[str]) -> None:
        first(value, where, violations)
        second(value, where, violations)

    return both


def skipped(services: Iterable[str]) -> dict[str, str]:
    """The patterns of these services that are not enforced, and why."""
    found: dict[str, str] = {}
    for service in services:
        for shape in Service(service).shapes.values():
            try:
                matcher(shape.get("pattern", ""))
            except Untranslatable as error:
                found[shape["pattern"]] = str(error)
    return found
