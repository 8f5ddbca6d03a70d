"""The filter language on examples, and its laws."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.logs.filter_cases import ACCEPTS, CASES, REFUSED
from tocsin.core.logfilter import accepts, parse
from tocsin.model.errors import InvalidParameter

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)
PATTERN = st.text(alphabet="ab0 $.*[](){}%\"\\?-=!<>&|,^+_'ä{}IS NULLOTEXR", max_size=40)


@pytest.mark.parametrize(("verdict", "pattern", "message"), CASES, ids=[f"{v}: {p}" for v, p, _ in CASES])
def test_a_pattern_gives_its_verdict(verdict: str, pattern: str, message: str) -> None:
    assert accepts(parse(pattern), message) is (verdict == ACCEPTS)


@pytest.mark.parametrize(("complaint", "pattern"), REFUSED, ids=[f"refuses: {p[:40]}" for _, p in REFUSED])
def test_a_pattern_out_of_the_language_is_refused_with_a_reason(complaint: str, pattern: str) -> None:
    with pytest.raises(InvalidParameter, match=re.escape(complaint)):
        parse(pattern)


@given(PATTERN | TEXT, TEXT)
@example("{" + "(" * 1000 + "}", "")
def test_a_text_is_a_pattern_or_refused_and_nothing_else(pattern: str, message: str) -> None:
    try:
        wanted = parse(pattern)
    except InvalidParameter:
        return
    assert accepts(wanted, message) in (True, False)


@given(TEXT.filter(bool), TEXT, TEXT)
def test_a_quoted_text_is_found_exactly_where_it_stands(text: str, before: str, message: str) -> None:
    pattern = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert accepts(parse(pattern), before + text + message)
    assert accepts(parse(pattern), message) is (text in message)
    assert accepts(parse(f"-{pattern}"), message) is (text not in message)


WORD = st.text(alphabet="abAB_0", min_size=1, max_size=3)


@given(st.lists(WORD, min_size=1, max_size=4), st.text(alphabet="abAB_0 ", max_size=20))
def test_words_are_all_and_questions_are_any(words: list[str], message: str) -> None:
    assert accepts(parse(" ".join(words)), message) is all(word in message for word in words)
    assert accepts(parse(" ".join(f"?{word}" for word in words)), message) is any(word in message for word in words)


ATOM = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\.", "c"])
QUANTIFIER = st.sampled_from(["", "", "", "?", "*", "+", "{2}", "{0,2}", "{1,}"])
CHAIN = st.builds(
    lambda start, atoms, end: start + "".join(a + q for a, q in atoms) + end,
    st.sampled_from(["", "^"]),
    st.lists(st.tuples(ATOM, QUANTIFIER), min_size=1, max_size=5),
    st.sampled_from(["", "$"]),
)


@settings(max_examples=300)
@given(st.lists(CHAIN, min_size=1, max_size=3), st.text(alphabet="abc1.ä\n", max_size=12))
def test_a_regular_expression_means_what_it_means_to_python(chains: list[str], message: str) -> None:
    source = "|".join(chains)
    spelt = source.replace("$", r"\Z")
    expected = re.search(spelt, message, re.ASCII | re.DOTALL) is not None
    assert accepts(parse(f"%{source}%"), message) is expected


def test_a_regular_expression_never_explodes() -> None:
    """`re` would need longer than the universe has for the first, and days for the second."""
    assert not accepts(parse("%" + "a?" * 200 + "a" * 200 + "%"), "a" * 199)
    assert not accepts(parse("%a*a*a*a*a*a*b%"), "a" * 200_000)


def test_a_regular_expression_that_has_too_many_states_stays_right() -> None:
    """Any set of twenty places is a state of its own: the memory of states overflows and is begun anew."""
    wanted = parse("%[ab]*a[ab]{19}c%")
    noise = "".join("ab"[(number * number >> 3) & 1] for number in range(30_000))
    assert not accepts(wanted, noise)
    assert accepts(wanted, noise + "a" + "b" * 19 + "c")
