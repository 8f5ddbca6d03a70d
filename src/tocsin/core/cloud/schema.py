"""What a type of resource is: its properties as CloudFormation's schema of it says, and what a model may not do.

`schemas.py` holds the table of types. Names and rules are those of the public CloudFormation resource schemas.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from tocsin.core.cloud.patch import pointer, same
from tocsin.model.cloud import NotUpdatable
from tocsin.model.errors import Validation

STRING, INTEGER, BOOLEAN, ARRAY, OBJECT = "String", "Integer", "Boolean", "JSONArray", "JSONObject"
_NAMES: dict[type, str] = {str: STRING, int: INTEGER, bool: BOOLEAN, list: ARRAY, dict: OBJECT, float: "BigDecimal"}


class Schema(Struct, frozen=True, kw_only=True):
    """A type of resource. Paths leave out `/properties/`; `*` stands for every item of a list.

    `identifier` names it, `others` may as well. `keys`: the member that tells a list's items apart; lists that are not
    here are sets of scalars. `defaults`: what a property is when it was not sent. `derived`: properties that are made
    up when they were not sent. `named`: where it has a name, which is drawn when it was not sent.
    """

    type_name: str
    identifier: str
    properties: Mapping[str, tuple[str, ...]]
    others: tuple[str, ...] = ()
    named: str = ""
    required: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    create_only: tuple[str, ...] = ()
    write_only: tuple[str, ...] = ()
    keys: Mapping[str, str] = {}
    defaults: Mapping[str, Any] = {}
    derived: frozenset[str] = frozenset()


def check(schema: Schema, model: Mapping[str, Any]) -> None:
    """Raises ValidationException, in the words of AWS's validator."""
    wrong = [f"#: required key [{name}] not found" for name in schema.required if name not in model]
    wrong += [f"#: extraneous key [{name}] is not permitted" for name in model if name not in schema.properties]
    for name, value in model.items():
        wanted = schema.properties.get(name)
        found = _NAMES.get(type(value), "Null")
        if wanted and found not in wanted:
            wrong.append(f"#/{name}: expected type: {' or '.join(wanted)}, found: {found}")
    wrong += [
        f"#/{name}/{at}: expected type: {OBJECT}, found: {_NAMES.get(type(one), 'Null')}"
        for name, items in model.items()
        for at, one in enumerate(items if isinstance(items, list) else [])  # all lists there are hold objects
        if not isinstance(one, dict)
    ]
    if wrong:
        raise Validation(f"Model validation failed ({chr(10).join(wrong)})")


def check_wanted(schema: Schema, model: Mapping[str, Any]) -> None:
    """A desired state says nothing of what only the service can say."""
    fixed = [name for name in schema.read_only if name in model]
    if fixed:
        raise Validation(f"Model validation failed (readOnlyProperties {_listed(fixed)} cannot be specified)")
    check(schema, model)


def check_update(
    schema: Schema, before: Mapping[str, Any], after: Mapping[str, Any], operations: Iterable[Mapping[str, Any]]
) -> None:
    """Raises NotUpdatable, naming all that cannot change, or ValidationException."""
    touched = [pointer(one[at]) for one in operations for at in ("path", "from") if at in one and one["op"] != "test"]
    for what, paths in (("readOnlyProperties", schema.read_only), ("createOnlyProperties", schema.create_only)):
        changed = [path for path in paths if _changes(schema, path, before, after, touched)]
        if changed:
            raise NotUpdatable(f"Invalid patch update: {what} {_listed(changed)} cannot be updated")
    check(schema, after)


def without_read_only(schema: Schema, model: Mapping[str, Any]) -> dict[str, Any]:
    """What a client could have sent: the model without what the service alone says, in lists too."""
    nested = [path.split("/*/") for path in schema.read_only if "/*/" in path]
    kept = {name: value for name, value in model.items() if name not in schema.read_only}
    for outer, inner in nested:
        if isinstance(kept.get(outer), list):
            kept[outer] = [
                {name: one[name] for name in one if name != inner} if isinstance(one, dict) else one
                for one in kept[outer]
            ]
    return kept


def _listed(paths: list[str]) -> str:
    return f"[{', '.join(f'/properties/{path}' for path in paths)}]"


def _changes(
    schema: Schema, path: str, before: Mapping[str, Any], after: Mapping[str, Any], touched: list[list[str]]
) -> bool:
    outer, _, inner = path.partition("/*/")
    if not inner:
        default = schema.defaults.get(outer)
        return not same(before.get(outer, default), after.get(outer, default))
    key = schema.keys[outer]
    olds, news = (_by_key(model.get(outer), key) for model in (before, after))
    if inner == key:
        return any(_renames(parts, outer, key, before, after) for parts in touched)
    if path in schema.read_only and not any((parts[0], parts[2:]) == (outer, [inner]) for parts in touched if parts):
        return False  # an item that is put there whole may say what it was, what it may be, or nothing
    return any(not same(olds[name].get(inner), news[name].get(inner)) for name in olds.keys() & news.keys())


def _renames(parts: list[str], outer: str, key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether an item was given another name in its place: taking one out and putting one in is something else."""
    if len(parts) != 3 or (parts[0], parts[2]) != (outer, key) or not parts[1].isdecimal():
        return False
    olds, news, at = before.get(outer) or [], after.get(outer) or [], int(parts[1])
    return at < min(len(olds), len(news)) and not same(olds[at].get(key), news[at].get(key))


def _by_key(items: object, key: str) -> dict[Any, dict[str, Any]]:
    found = items if isinstance(items, list) else []
    return {one.get(key): one for one in found if isinstance(one, dict)}
