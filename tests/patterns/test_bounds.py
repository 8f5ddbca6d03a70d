"""No pattern and no event makes the language slow, deep or endless. (No clocks: without the bounds these never end.)"""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.core.matcher import Index
from tocsin.core.patterns import Pattern, load_event, matches, parse
from tocsin.core.patterns.limits import assignments_max
from tocsin.core.patterns.wildcards import complexity
from tocsin.model.errors import InvalidEventPattern

from .generated import patterns


def both(pattern: Pattern, event: object) -> bool:
    verdict = matches(pattern, event)
    assert Index.build([("rule", pattern)]).match(event) == (["rule"] if verdict else [])
    return verdict


def test_a_wildcard_does_not_try_every_split_of_a_long_value() -> None:
    pattern = parse('{"a":[{"wildcard":"*x*x*x*y"}]}')

    assert not both(pattern, {"a": "x" * 200_000})
    assert both(pattern, {"a": "x" * 200_000 + "y"})


def test_ignoring_case_does_not_try_every_way_to_read_a_letter() -> None:
    pattern = parse(f'{{"a":[{{"equals-ignore-case":"{"ßﬀΐ" * 500}q"}}]}}')

    assert not both(pattern, {"a": "SSFF\u0399\u0308\u0301" * 500})


def test_two_long_arrays_and_three_fields_in_each_are_joined_not_multiplied() -> None:
    pattern = parse('{"a":{"x":[1],"y":[2],"z":[3]},"b":{"x":[1],"y":[2],"z":[4]}}')
    rows = [{"x": 1, "y": 2, "z": 3}] * 3000

    assert not both(pattern, {"a": rows, "b": rows})
    assert both(pattern, {"a": rows, "b": [*rows, {"x": 1, "y": 2, "z": 4}]})


def test_arrays_laid_over_one_path_by_dots_stop_multiplying() -> None:
    pattern = parse('{"a":{"b":{"c":{"p":[1],"q":[1],"r":[1],"s":[2]}}}}')
    rows = [{"p": 1, "q": 1, "r": 1}] * 200

    event = {"a.b.c": rows, "a": [{"b.c": rows}], "a.b": [{"c": rows}]}
    assert len(rows) ** 2 > assignments_max
    assert not both(pattern, event)


def test_a_deeply_nested_event_is_walked_not_called() -> None:
    depth = 1000
    event = load_event('{"a":' * depth + "1" + "}" * depth)
    pattern = parse(json.dumps({".".join("a" * depth): [1]}))

    assert both(pattern, event)
    assert both(parse('{"a":["x",1]}'), {"a": load_event("[" * depth + '"x"' + "]" * depth)})


def test_an_event_nested_beyond_reason_is_no_json() -> None:
    with pytest.raises(ValueError, match="depth"):
        load_event("[" * 100_000 + "]" * 100_000)
    with pytest.raises(ValueError, match=r"deep|recursion"):
        load_event("[1234567890123456789," * 100_000 + "]" * 100_000)


@pytest.mark.parametrize("text", ['{"a":' * 800, '{"$or":[' * 500, '{"a":[' * 600, "[" * 4000, '{"":{"$or":[' * 300])
def test_a_deeply_nested_pattern_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InvalidEventPattern, match=r"nesting depth|Unrecognized match|Filter is not|Only JSON"):
        parse(text)


def test_a_filter_policy_may_be_longer_than_a_rules_pattern() -> None:
    text = json.dumps({"a": ["x" * 5000]})

    assert both(parse(text, chars_max=10_000), {"a": "x" * 5000})
    with pytest.raises(InvalidEventPattern, match="longer than 4096 characters"):
        parse(text)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["*"], 2),
        (["abc"], 1),
        (["*a*a*a*a*a*a*a*a*"], 17),
        (["*ab*b*b*"], 7),
        (["*:stack/X/*"], 3),
        (["*:stack/X/*", "*:stack/Y/*", "*:stack/Z/*"], 9),
        (["*:*:*:*:*:event-bus/*"], 11),
        (["ab*c", "ab*c"], 1),
        (["a*a*a*a*a*a*"], 10),
    ],
)
def test_complexity_counts_the_beginnings_one_text_can_match_at_once(texts: list[str], expected: int) -> None:
    assert complexity(texts, most=100) == expected


def test_complexity_of_many_wildcards_is_given_up_not_computed() -> None:
    assert complexity([f"{'ab' * count}*q" for count in range(1, 60)], most=10) == 11


@settings(max_examples=200, deadline=None)
@given(patterns, st.lists(st.tuples(st.integers(0, 200), st.sampled_from('"\\{}[],:1e.tn*/ \x00é\ud800')), max_size=3))
def test_any_text_is_parsed_or_refused_and_nothing_else(text: str, slips: list[tuple[int, str]]) -> None:
    for position, character in slips:
        text = f"{text[:position]}{character}{text[position + 1 :]}"

    with suppress(InvalidEventPattern):
        parse(text)
