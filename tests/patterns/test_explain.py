"""An explanation agrees with the verdict, names what failed, and knows the usual slips."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from tocsin.core.patterns import explain, load_event, matches, parse
from tocsin.model.errors import InvalidEventPattern

from .generated import events, patterns


def _failing(pattern: dict[str, Any], event: dict[str, Any]) -> list[tuple[str, tuple[str, ...], str]]:
    explanation = explain(parse(json.dumps(pattern)), event)
    assert not explanation.matched
    return [(field.path, field.found, field.hint) for field in explanation.alternatives[0].failing]


@pytest.mark.parametrize(
    ("conditions", "value", "hint"),
    [
        (["Running"], "running", "differs only in case"),
        ([{"prefix": "Run"}], "running", "differs only in case"),
        (["Running"], "Running ", "differs only in space around it"),
        (["Runing"], "Running", "nearly Runing"),
        (["*ing"], "Running", 'a plain text has no wildcards; {"wildcard": …} does'),
        (["5"], 5, "is a number, the pattern wants a string"),
        ([{"wildcard": "*"}], None, "is null, the pattern wants a string"),
        ([5], "5", "is a string, the pattern wants a number"),
        ([{"numeric": [">", 5]}], 5, "is the bound itself, which is not included"),
        ([{"numeric": [">", 5, "<=", 9]}], 4, "is too small"),
        ([{"numeric": [">", 5, "<=", 9]}], 9.5, "is too large"),
        ([{"numeric": ["=", 5]}], 6, ""),
        ([{"numeric": [">", 5]}], True, "is a boolean, the pattern wants a number"),
        ([{"numeric": [">", 5]}], 9007199254740993, ""),
        ([{"anything-but": "x"}], "x", "is what the pattern excludes"),
        ([{"anything-but": [1, 2]}], 2, "is what the pattern excludes"),
        ([True], "true", "is a string, the pattern wants true without quotes"),
        ([{"wildcard": "run*"}], "Running", "differs only in case"),
        ([{"wildcard": "Run"}], "Running", "the wildcard has no star"),
        ([{"cidr": "10.0.0.0/8"}], "11.0.0.1", "lies outside the block"),
        ([{"cidr": "10.0.0.0/8"}], "::1", "is an address of the other IP family"),
        ([{"cidr": "10.0.0.0/8"}], "node-1", "is no IP address"),
        ([{"suffix": "ing"}], "Running ", "differs only in space around it"),
        ([{"equals-ignore-case": "Running"}], " running", "differs only in space around it"),
        ([{"exists": False}], 1, "the event has it, the pattern wants it absent"),
        ([None], "x", ""),
    ],
)
def test_a_value_that_nearly_fits_is_told_how(conditions: list[Any], value: Any, hint: str) -> None:
    [(path, found, told)] = _failing({"detail": {"a": conditions}}, {"detail": {"a": value}})

    assert (path, found) == ("detail.a", (json.dumps(value),))
    assert told == hint or not hint


@pytest.mark.parametrize(
    ("event", "hint"),
    [
        ({"detail": {"clustername": "x"}}, "no such key; keys count case: did you mean detail.clustername?"),
        ({"detail": {"ClusterNam": "x"}}, "no such key; did you mean detail.ClusterNam?"),
        ({"x": {"y": {"z": {"ClusterName": "x"}}}}, "no such key; did you mean x.y.z.ClusterName?"),
        (
            {"detail": {"ClusterName": {"Value": "x"}}},
            "holds an object, not a value; the event has detail.ClusterName.Value",
        ),
        ({"detail": "{}"}, "detail holds a value, not an object"),
        ({"q": 1}, "no such key"),
        ({"detail": {"ClusterName": []}}, "is empty in the event: [] holds no value"),
        ({"detail": {"ClusterName": {}}}, "is empty in the event: {} holds no value"),
    ],
)
def test_a_missing_key_is_told_with_what_is_near(event: dict[str, Any], hint: str) -> None:
    assert _failing({"detail": {"ClusterName": ["x"]}}, event) == [("detail.ClusterName", (), hint)]


def test_fields_that_hold_only_in_different_elements_are_a_conflict() -> None:
    explanation = explain(parse('{"a":{"b":[1],"c":[2]}}'), {"a": [{"b": 1}, {"c": 2}]})

    assert not explanation.matched
    assert explanation.alternatives[0].conflict
    assert explanation.alternatives[0].failing == ()


def test_the_nearest_alternative_stands_first_and_conditions_are_shown_as_written() -> None:
    text = '{"$or":[{"a":[{"numeric":[">",0,"<=",5.5]}],"b":["x"]},{"c":[{"anything-but":[1,2]}],"d":["y"]}]}'
    explanation = explain(parse(text), {"c": 3, "d": "z"})

    nearest = explanation.alternatives[0]
    assert [(field.path, field.matched, field.wanted) for field in nearest.fields] == [
        ("c", True, ('{"anything-but": [1, 2]}',)),
        ("d", False, ('"y"',)),
    ]
    assert explanation.alternatives[1].fields[0].wanted == ('{"numeric": [">", 0, "<=", 5.5]}',)


@settings(max_examples=150, deadline=None)
@given(patterns, events)
def test_an_explanation_never_disagrees_with_the_verdict(rule: str, text: str) -> None:
    try:
        pattern = parse(rule)
    except InvalidEventPattern:
        return
    event = load_event(text)
    explanation = explain(pattern, event)

    assert explanation.matched is matches(pattern, event)
    assert explanation.matched is any(alternative.matched for alternative in explanation.alternatives)
