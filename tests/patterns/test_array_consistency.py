"""Joining array elements finds a choice exactly when trying every choice would."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.core.patterns.fields import Elements, Leaf, Question, hold_together

chains = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2)), max_size=3, unique_by=lambda link: link[0]).map(
    lambda links: tuple(sorted(links))
)
leaves = st.lists(st.tuples(st.booleans(), chains), max_size=4)
questions = st.lists(st.tuples(leaves, st.booleans()), min_size=1, max_size=4)


def _try_every_choice(asked: Sequence[tuple[list[Leaf], bool]], chosen: dict[int, int]) -> bool:
    """The law read aloud: each field in turn takes a passing leaf that contradicts nothing, or is content without."""
    if not asked:
        return True
    (found, may_lack), rest = asked[0], asked[1:]
    consistent = [leaf for leaf in found if _agrees(leaf[1], chosen)]
    if may_lack and not consistent and _try_every_choice(rest, chosen):
        return True
    return any(_try_every_choice(rest, {**chosen, **dict(elements)}) for value, elements in consistent if value)


def _agrees(elements: Elements, chosen: dict[int, int]) -> bool:
    return all(chosen.get(array, index) == index for array, index in elements)


@settings(max_examples=400, deadline=None)
@given(questions)
def test_joining_finds_what_trying_every_choice_finds(asked: list[tuple[list[Leaf], bool]]) -> None:
    joined: list[Question] = [(found, bool, may_lack) for found, may_lack in asked]

    assert hold_together(joined) is _try_every_choice(asked, {})
