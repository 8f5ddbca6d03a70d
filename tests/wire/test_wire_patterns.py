"""Java's regular expressions mean here what they mean there, in bounded time; tokens and timestamps keep."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.wire_models import SERVICES
from tocsin.core.regex.automaton import Automaton, walkable
from tocsin.core.regex.charset import Untranslatable
from tocsin.core.regex.matching import matcher, may_explode
from tocsin.core.regex.syntax import parsed, spelled
from tocsin.doors.wire.times import from_epoch, from_text, to_epoch, to_iso, to_rfc822
from tocsin.doors.wire.tokens import Position, decode, encode
from tocsin.doors.wire.validate import skipped
from tocsin.model.errors import InvalidParameter, Validation

MATCHES = [
    (r"[\.\-_A-Za-z0-9]+", "a.b-c_9", True),
    (r"[\.\-_A-Za-z0-9]+", "a b", False),
    (r"[\.\-_A-Za-z0-9]+", "é", False),
    (r"[a-z]+", "abc\n", False),
    (r"^[a-z]+$", "abc\n", False),
    (r"^[a-z]+$", "abc", True),
    (r"\w+", "é", False),
    (r"\d+", "٣", False),
    (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "Größe 中 ٣", True),
    (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "a!", False),
    (r"\p{Lu}\P{L}", "É1", True),
    (r"[\p{Alnum}\-]+", "a-1", True),
    (r"[\p{Alnum}\-]+", "é", False),
    (r"[\w-_]*", "a-_", True),
    (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "a\t\U0001f514", True),
    (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "\x01", False),
    (r"([a-z]*)${1,128}", "abc", True),
    (r"a.c", "a\u2028c", False),
    (r"a++b", "aab", True),
    (r"a++ab", "aaab", False),
    (r"(?!\s*$).+", "  ", False),
    (r"(?!\s*$).+", " a ", True),
    (r"(a|b)\1", "aa", True),
    (r"(a|b)\1", "ab", False),
    (r"[a-z]{2,3}|x\x2Ey", "x.y", True),
    (r"[^\x00-\x1F]+", "a\x1f", False),
    (r"^$|^a\Z", "", True),
]


@pytest.mark.parametrize(("pattern", "text", "fits"), MATCHES)
def test_a_pattern_matches_the_whole_text_as_java_does(pattern: str, text: str, fits: bool) -> None:
    assert bool(matcher(pattern)(text)) is fits


UNTRANSLATABLE = ["[a&&b]", "[a[b]]", "(?<n>a)", "(a", "a)", "[a", "[]", "*", "\\", r"\p{Nope}", "[b-a]", r"\q",
                  r"a{3,2}", r"\p", r"(?=(a+)+b)a"]  # fmt: skip


@pytest.mark.parametrize("pattern", UNTRANSLATABLE)
def test_what_has_no_safe_spelling_is_refused(pattern: str) -> None:
    with pytest.raises(Untranslatable):
        matcher(pattern)


EXPLOSIVE = [
    (r"^[ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*$", " a" * 2000 + "\x01", " a" * 100),
    (r"(a+)+", "a" * 5000 + "b", "aaa"),
    (r"(a|a)*", "a" * 5000 + "b", "aaa"),
    (r".*(?:[ \r\n\t].*)*", " " * 3000 + "\u2028", " x "),
    (r"(.*)(.*)(.*)(.*)x", "a" * 5000, "ax"),
    (r"(a*-a*)*", "-aa" * 200 + "b", "-aa-"),
    (r"(-a+a+)*", "-aaaaaa" * 200 + "b", "-aa-aa"),
    (r"(-(a|a))*", "-a" * 200 + "b", "-a-a"),
    (r"((ab)*c?)*", "ab" * 500 + "x", "ababc"),
]


@pytest.mark.parametrize(("pattern", "bad", "good"), EXPLOSIVE)
def test_a_pattern_that_could_backtrack_without_end_answers(pattern: str, bad: str, good: str) -> None:
    match = matcher(pattern)
    assert match(good)
    assert not match(bad)


@pytest.mark.parametrize("pattern", [r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", r"(-[a-z]+)*", r"([a-z]|\-)*", r"[\S]+"])
def test_a_loop_with_one_way_to_read_stays_with_re(pattern: str) -> None:
    assert not may_explode(parsed(pattern))


SMALL = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "^", "$", r"\w"]),
    lambda inner: (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})")
        | st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        )
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, database=None)
@given(pattern=SMALL, text=st.text("ab\n", max_size=5))
def test_the_automaton_agrees_with_re(pattern: str, text: str) -> None:
    node = parsed(pattern)
    assert walkable(node)
    expected = re.compile(spelled(node), re.ASCII).fullmatch(text) is not None
    assert Automaton(node).fullmatch(text) is expected


def test_every_pattern_of_the_services_is_enforced_but_for_these() -> None:
    found = skipped(SERVICES)
    for pattern, reason in found.items():
        print(f"skipped: {pattern}: {reason}")
    assert set(found) == {"(?i)all|[0-9]{12}"}


MOMENT = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
TIMES = ["2026-01-31T10:00:00Z", "2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00", "1769853600",
         "Sat, 31 Jan 2026 10:00:00 GMT", "2026-01-31T10:00:00.000Z"]  # fmt: skip


@pytest.mark.parametrize("text", TIMES)
def test_a_timestamp_reads_in_every_spelling(text: str) -> None:
    assert from_text(text) == MOMENT


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "-1e99", "9999-12-31T23:59:59-01:00", "\x00", "1,2,3"])
def test_what_is_no_timestamp_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"date|range|seconds|Invalid|NaN"):
        from_text(text)


def test_a_timestamp_is_written_to_the_millisecond() -> None:
    moment = MOMENT.replace(microsecond=123999)
    assert (to_epoch(MOMENT), to_epoch(moment), to_epoch(1.5)) == (1769853600, 1769853600.123, 1.5)
    assert (to_iso(MOMENT), to_iso(moment)) == ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00.123Z")
    assert to_rfc822(MOMENT) == "Sat, 31 Jan 2026 10:00:00 GMT"
    assert from_epoch(1769853600) == MOMENT


@pytest.mark.parametrize("value", ["x", True, datetime(2026, 1, 1)])  # noqa: DTZ001 - the naive one is the case
def test_a_result_without_a_time_zone_is_our_mistake(value: object) -> None:
    with pytest.raises(TypeError):
        to_epoch(value)


SCALARS = st.none() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=40)


@settings(max_examples=100, deadline=None, database=None)
@given(position=st.lists(SCALARS, max_size=4) | st.dictionaries(st.text("abc", max_size=4), SCALARS, max_size=3))
def test_a_token_brings_its_position_back_and_no_edit_of_it_does(position: Position) -> None:
    token = encode("ListRules", position)
    assert decode("ListRules", token) == position
    for other in (token[:-1], token + "A", token[1:], ("A" if token[0] != "A" else "B") + token[1:], token + "="):
        with pytest.raises(Validation, match=r"The specified nextToken is invalid\."):
            decode("ListRules", other)


def test_a_token_of_another_listing_is_refused_in_the_callers_words() -> None:
    token = encode("ListRules", ["a"])
    with pytest.raises(InvalidParameter, match="Bad marker"):
        decode("ListTargetsByRule", token, "Bad marker", InvalidParameter)


def test_a_token_has_a_limit() -> None:
    with pytest.raises(ValueError, match="over 4096 characters"):
        encode("ListRules", ["x" * 5000])
    with pytest.raises(Validation):
        decode("ListRules", "A" * 100_000)
