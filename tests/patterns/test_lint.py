"""What lint says of valid patterns, and that what it calls certain is."""

import json

import pytest
from hypothesis import given, settings

from tocsin.core.patterns import lint, load_event, matches, parse
from tocsin.model.errors import InvalidEventPattern

from .generated import events, patterns

CASES: list[tuple[str, list[tuple[str, str, str]]]] = [
    ('{"source":["aws.sagemaker"],"detail":{"a":[{"numeric":[">",0,"<",10]}]}}', []),
    # a path twice
    ('{"a":["x"],"a":["y"]}', [("duplicate-path", "a", "")]),
    ('{"a":{"b":["x"]},"a.b":["y"]}', [("duplicate-path", "a.b", "")]),
    ('{"a":{"b":["x"]},"a":{"c":["y"]}}', []),
    # $or
    ('{"a":["x"],"$or":[{"a":["y"]},{"b":["z"]}]}', [("replaced", "a", "$or[0]")]),
    ('{"$or":[{"a":["y"]},{"b":["z"]}],"a":["x"]}', [("replaced", "a", ""), ("redundant-branch", "", "$or[1]")]),
    ('{"$or":[{"a":["y"]},{"a":["y"]}]}', [("redundant-branch", "", "$or[1]")]),
    ('{"$or":[{"a":["y"]},{"a":["y"],"b":["z"]}]}', [("redundant-branch", "", "$or[1]")]),
    ('{"$or":[{"a":[{"exists":false}]},{"a":[{"exists":false}],"b":["z"]}]}', []),
    ('{"$or":[{"a":["y"]},{"b":["z"]}]}', []),
    (
        '{"d":{"$or":[{"a":["1"],"$or":[{"b":["1"]},{"b":["1"],"c":["2"]}]},{"e":["1"]}]}}',
        [("redundant-branch", "", "d.$or[0] → d.$or[1]")],
    ),
    (
        '{"$or":[{"a":["1"]},{"b":["1"]}],"$or":[{"a":["2"]},{"c":["1"]}]}',
        [("replaced", "a", "$or#2[0]"), ("redundant-branch", "", "$or[1] with $or#2[0]")],
    ),
    # never
    ('{"a":[{"numeric":[">",0.1,"<",0.10000000000000002]}]}', [("never", "a", ""), ("never", "a", "")]),
    ('{"a":["x",{"numeric":[">",0.1,"<",0.10000000000000002]}]}', [("never", "a", "")]),
    ('{"a":[{"numeric":[">=",0.1,"<",0.10000000000000002]}]}', []),
    ('{"a":[{"numeric":[">",1.7976931348623157e308]}]}', [("never", "a", ""), ("never", "a", "")]),
    ('{"a":[{"numeric":["<",-1.7976931348623157e308]}]}', [("never", "a", ""), ("never", "a", "")]),
    ('{"a":[{"numeric":["<",1.7976931348623157e308]}]}', []),
    ('{"a":{"":["x"]}}', [("never", "a.", "")]),
    ('{"a":{"":[{"exists":false}]}}', []),
    # always
    ('{"a":[{"exists":true},{"exists":false}]}', [("always", "a", "")]),
    ('{"a":[{"exists":true},"x"]}', [("always", "a", "")]),
    ('{"a":[{"anything-but":"x"},{"anything-but":["y"]}]}', [("always", "a", "")]),
    ('{"a":[{"anything-but":"x"},{"anything-but":[1]}]}', [("always", "a", "")]),
    ('{"a":[{"anything-but":"x"},{"anything-but":["x","y"]}]}', []),
    ('{"a":[{"anything-but":{"prefix":"x"}},{"anything-but":"y"}]}', []),
    # the rest
    ('{"a":["x","x"]}', [("duplicate-condition", "a", "")]),
    ('{"a":[9007199254740993]}', [("inexact-number", "a", "")]),
    ('{"a":[0.1, 3e2, 9007199254740992]}', []),
    ('{"a":["i-*"]}', [("plain-star", "a", "")]),
    ('{"a":[{"exactly":"i-*"}]}', []),
]


@pytest.mark.parametrize(("pattern", "notes"), CASES, ids=[case[0] for case in CASES])
def test_notes_are_kind_path_and_place(pattern: str, notes: list[tuple[str, str, str]]) -> None:
    assert [(note.kind, note.path, note.where) for note in lint(pattern).notes] == notes


def test_numbers_stand_beside_their_limits() -> None:
    report = lint('{"a":[{"wildcard":"*a*a*"}],"$or":[{"b":[1]},{"b":[2]},{"c":[3]}]}')

    assert (report.combinations, report.combinations_max) == (3, 1000)
    assert report.complexity_max == 10
    assert 1 < report.complexity <= 10
    assert (report.chars, report.chars_max) == (66, 4096)
    assert lint('{"a":["x"]}').complexity == 0


def test_what_is_replaced_is_told_with_both_places() -> None:
    [note] = lint('{"a":["x"],"$or":[{"a":["y"]},{"b":["z"]}]}').notes

    assert note.text == (
        "is written outside $or and again in $or[0]. The later list replaces the other: they do not both have to hold."
    )
    assert note.rule == "P11"


def test_notes_are_bounded() -> None:
    fields = ",".join(f'"{number}":["*"]' for number in range(300))
    assert len(lint(f"{{{fields}}}").notes) == 100


def test_a_pattern_that_is_none_is_refused_in_the_words_of_parse() -> None:
    for text in ('{"a":1}', "", '{"a":[{"numeric":[">",5,"<",5]}]}'):
        with pytest.raises(InvalidEventPattern) as linted:
            lint(text)
        with pytest.raises(InvalidEventPattern) as parsed:
            parse(text)
        assert str(linted.value) == str(parsed.value)


@settings(max_examples=150, deadline=None)
@given(patterns, events)
def test_lint_takes_what_parse_takes_and_never_is_never(rule: str, text: str) -> None:
    try:
        pattern = parse(rule)
    except InvalidEventPattern:
        return
    report = lint(rule)
    whole = [note for note in report.notes if note.text.endswith("The pattern cannot match.") and not note.where]
    if whole and "$or" not in json.loads(rule):
        assert not matches(pattern, load_event(text))
