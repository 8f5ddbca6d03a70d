"""The Detail of an entry loses the white space between its tokens, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.doors.events.entries import compact_object

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [' " ', "\\", '\\" :', "\t\n", "a, b: {c}", "\u00a0\u2028"]
)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    texts | numbers | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@given(
    st.dictionaries(texts, values, max_size=4),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", "\r\n:")]),
    st.sampled_from([None, 0, 2, "\t"]),
    st.booleans(),
)
def test_only_white_space_between_tokens_goes(
    detail: dict[str, Any], separators: tuple[str, str], indent: int | str | None, ascii_only: bool
) -> None:
    text = json.dumps(detail, separators=separators, indent=indent, ensure_ascii=ascii_only)
    wanted = json.dumps(detail, separators=(",", ":"), ensure_ascii=ascii_only)
    assert compact_object(f"\n{text} ") == wanted.encode()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('{"a": 1, "a": 1}', '{"a":1,"a":1}'),
        ('{"n": [1E5, 1.0e0, -0, 12345678901234567890123]}', '{"n":[1E5,1.0e0,-0,12345678901234567890123]}'),
        ('{"t": "\\u0020 \\u0009 \\/ é"}', '{"t":"\\u0020 \\u0009 \\/ é"}'),
        ('{ "b" : 1 , "a" : { } }', '{"b":1,"a":{}}'),
    ],
)
def test_numbers_escapes_order_and_repeats_are_left_as_they_came(text: str, kept: str) -> None:
    assert compact_object(text) == kept.encode()


@pytest.mark.parametrize("text", ["[]", "1", '"{}"', "{", "{} {}", '{"a":1,}', '{"a":' * 300 + "1" + "}" * 300])
def test_what_is_no_object_is_none(text: str) -> None:
    assert compact_object(text) is None
