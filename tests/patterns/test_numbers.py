"""Numbers keep what a pattern could tell apart, and everything else is left to the fast parser."""

from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.core.patterns import ExactNumber, load_event
from tocsin.core.patterns.numbers import comparable, number_text


@pytest.mark.parametrize(
    "text",
    ["1e400", "0.10000000000000001", "18446744073709551616", "37.807807921694092", "1e-400", "5e-324", "9" * 5000],
)
def test_a_number_no_double_says_exactly_keeps_its_text(text: str) -> None:
    assert load_event(f'{{"a":[0,{text}]}}') == {"a": [0, ExactNumber(text)]}


@pytest.mark.parametrize("text", ["300", "300.0", "3e2", "-0.0", "1E-320", "100000000000000000000", "0.1", "4.90E-324"])
def test_a_number_a_double_says_exactly_is_that_double(text: str) -> None:
    value = load_event(f'{{"a": {text}}}')["a"]

    assert comparable(value) == float(text)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=None) | st.integers().map(Decimal))
def test_a_loaded_number_compares_exactly_if_its_text_says_what_its_double_says(number: Decimal) -> None:
    text = str(number)
    value = load_event(f'{{"a":{text}}}')["a"]
    nearest = float(text)
    two = f"{nearest:.1e}"
    shortest = two if float(two) == nearest else repr(nearest)
    says_the_same = abs(nearest) != float("inf") and Decimal(shortest) == number

    assert (comparable(value) is not None) == says_the_same
    if not says_the_same:
        assert number_text(value) == text


@pytest.mark.parametrize("text", ['{"a":"1234567890123456789"}', '{"id":"12345e678-1", "b":[1,2.5]}', '{"a":1,"a":2}'])
def test_what_only_looks_like_such_a_number_changes_nothing(text: str) -> None:
    assert load_event(text) == orjson.loads(text)
    assert load_event(text.encode()) == orjson.loads(text)


@pytest.mark.parametrize("text", ["", "{", "NaN", '{"a":NaN,"b":1234567890123456789}', '{"a":"\\ud800"}', "\ud800"])
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        load_event(text)
