"""The index is the naive matcher, only faster: whatever the rules and the event, both name the same rules."""

import json
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.core.matcher import Index
from tocsin.core.patterns import Pattern, load_event, matches, parse
from tocsin.model.errors import InvalidEventPattern

from .generated import events, patterns

relaxed = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def _parsed(texts: list[str]) -> list[Pattern]:
    parsed = []
    for text in texts:
        with suppress(InvalidEventPattern):
            parsed.append(parse(text))
    return parsed


@relaxed
@given(st.lists(patterns, min_size=1, max_size=12), st.lists(events, min_size=1, max_size=4))
def test_the_index_names_exactly_the_rules_the_naive_matcher_finds(rules: list[str], texts: list[str]) -> None:
    parsed = _parsed(rules)
    index = Index.build(enumerate(parsed))

    for text in texts:
        event = load_event(text)
        assert index.match(event) == [number for number, pattern in enumerate(parsed) if matches(pattern, event)]


@relaxed
@given(patterns, events)
def test_dotted_and_nested_events_are_one(rule: str, text: str) -> None:
    parsed = _parsed([rule])
    event = load_event(text)
    dotted = {f"{key}.{below}": value for key, inner in event.items() if isinstance(inner, dict) and key
              for below, value in inner.items() if below}  # fmt: skip
    nested = {key: {below: value for below, value in inner.items() if below}
              for key, inner in event.items() if isinstance(inner, dict) and key}  # fmt: skip

    for pattern in parsed:
        if len(dotted) == sum(map(len, nested.values())):
            assert matches(pattern, dotted) is matches(pattern, nested)


def test_keys_come_once_and_in_the_order_of_building() -> None:
    rules = [
        ("later", '{"a":["x"]}'),
        ("first", '{"$or":[{"a":["x"]},{"b":[1]}]}'),
        ("later", '{"b":[1]}'),
        ("never", '{"c":["x"]}'),
        ("absent", '{"c":[{"exists":false}]}'),
    ]
    index = Index.build((key, parse(text)) for key, text in rules)

    assert index.match({"a": "x", "b": 1}) == ["later", "first", "absent"]
    assert index.match({"b": 1}) == ["later", "first", "absent"]
    assert index.match([]) == []
    assert Index.build([]).match({"a": 1}) == []


def test_an_index_says_whether_the_texts_of_numbers_matter_to_it() -> None:
    texts_only = Index.build([(1, parse('{"a":["x",{"anything-but":"y"},{"exists":true}]}'))])
    numbers = Index.build([(1, parse('{"a":["x"]}')), (2, parse('{"a":[{"numeric":[">",0]}]}'))])

    assert not texts_only.numbers_matter
    assert numbers.numbers_matter
    assert numbers.match(numbers.load('{"a":0.10000000000000001}')) == []
    assert texts_only.match(texts_only.load('{"a":0.10000000000000001}')) == [1]


def test_what_a_bucket_wakes_is_still_asked_everything() -> None:
    rules = {
        "exact": {"a": ["abc"], "z": [1]},
        "prefix": {"a": [{"prefix": "ab"}], "z": [1]},
        "suffix": {"a": [{"suffix": "bc"}], "z": [1]},
        "case": {"a": [{"equals-ignore-case": "ABC"}], "z": [1]},
        "stars": {"a": [{"wildcard": "a*c"}], "z": [1]},
        "number": {"a": [7], "z": [1]},
        "several": {"a": ["q", {"prefix": "a"}, {"suffix": "c"}, {"wildcard": "*b*"}], "z": [1]},
    }
    index = Index.build((key, parse(json.dumps(pattern))) for key, pattern in rules.items())

    assert index.match({"a": "abc", "z": 1}) == [key for key in rules if key != "number"]
    assert index.match({"a": "abc", "z": 2}) == []
    assert index.match({"a": 7.0, "z": 1}) == ["number"]
    assert index.match({"a": ["axc", "ABC"], "z": [2, 1]}) == ["case", "stars", "several"]
