"""Patterns and events drawn from one small world of keys and values, so that they often meet."""

import json
from typing import Any

from hypothesis import strategies as st

KEYS = ("a", "a", "a", "b", "b", "a.b", "c", "")
WORDS = (
    "x",
    "x",
    "x",
    "xy",
    "xy",
    "yx",
    "X",
    "",
    "10.0.0.1",
    "10.0.0.01",
    "::1",
    "1",
    "null",
    "ß",
    "SS",
    "🚀",
    "x*y",
    "xxyy",
)
NUMBERS = ("0", "1", "1", "1.0", "-0.0", "1e0", "2", "2.5", "9007199254740993", "0.10000000000000001", "1e400", "-3")
PLAIN = tuple(number for number in NUMBERS if len(number) < 6 and "400" not in number)

words = st.sampled_from(WORDS)
affixes = words.filter(bool)
stars = st.sampled_from(("*", "x*", "*x", "x*y", "*x*", "\\*", "", "xy", "*y*x", "X*"))
scalars = words.map(json.dumps) | st.sampled_from((*NUMBERS, "true", "false", "null"))


def _object(entries: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{value}" for key, value in entries) + "}"


def _list(entries: list[str]) -> str:
    return "[" + ",".join(entries) + "]"


def _operator(name: str, value: Any) -> str:
    return json.dumps({name: value})


def _or_list(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return texts | st.lists(texts, min_size=1, max_size=3)


bounds = st.one_of(
    st.tuples(st.sampled_from(("=", "<", "<=", ">", ">=")), st.sampled_from(PLAIN)).map(
        lambda pair: f'{{"numeric":["{pair[0]}",{pair[1]}]}}'
    ),
    st.tuples(st.sampled_from((">", ">=")), st.sampled_from(("<", "<="))).map(
        lambda pair: f'{{"numeric":["{pair[0]}",0,"{pair[1]}",2]}}'
    ),
)
excluded = st.one_of(
    _or_list(words),
    _or_list(affixes).map(lambda texts: {"prefix": texts}),
    _or_list(affixes).map(lambda texts: {"suffix": texts}),
    _or_list(words).map(lambda texts: {"equals-ignore-case": texts}),
    _or_list(stars).map(lambda texts: {"wildcard": texts}),
).map(lambda value: _operator("anything-but", value))
excluded_numbers = st.lists(st.sampled_from(PLAIN), min_size=1, max_size=2).map(
    lambda numbers: f'{{"anything-but":{_list(numbers)}}}'
)
texts_by_operator = st.one_of(
    st.tuples(st.sampled_from(("exactly", "prefix", "suffix", "equals-ignore-case")), words),
    st.tuples(st.just("wildcard"), stars),
    st.tuples(st.sampled_from(("prefix", "suffix")), words.map(lambda text: {"equals-ignore-case": text})),
    st.tuples(st.just("cidr"), st.sampled_from(("10.0.0.0/8", "0.0.0.0/0", "::/64"))),
    st.tuples(st.just("exists"), st.booleans()),
).map(lambda pair: _operator(*pair))
conditions = st.one_of(scalars, scalars, texts_by_operator, excluded, excluded_numbers, bounds)
fields = st.lists(conditions, min_size=1, max_size=4).map(_list)


def _with_or(objects: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, str]]:
    return st.lists(objects, min_size=2, max_size=2).map(lambda branches: ("$or", _list(branches)))


def _objects(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    entry = st.tuples(st.sampled_from(KEYS), fields | inner)
    return st.lists(entry | _with_or(inner), min_size=1, max_size=2).map(_object)


patterns = st.recursive(
    st.lists(st.tuples(st.sampled_from(KEYS), fields), min_size=1, max_size=2).map(_object), _objects, max_leaves=4
)
"""Texts of patterns; almost all are valid (wildcards may be too complex together)."""

values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(_list)
        | st.lists(st.tuples(st.sampled_from(KEYS), inner), max_size=3, unique_by=lambda entry: entry[0]).map(_object)
    ),
    max_leaves=8,
)
events = st.lists(
    st.tuples(st.sampled_from(KEYS), values), min_size=1, max_size=5, unique_by=lambda entry: entry[0]
).map(_object)
"""Texts of events."""
