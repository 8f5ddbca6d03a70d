"""Who meets a mishap, and what is left of it."""

import pytest
from msgspec.structs import replace

from tests.core.world import SCOPE
from tocsin.core.mishaps import STRUCK_MAX, first_met, struck
from tocsin.model.mishap import Met, Mishap, MishapKind

MET = Met(cluster_id="abcdefghijkl", cluster_name="first", group="workers", instance_id="i-1")
ANY = Mishap(scope=SCOPE, id="one", what=MishapKind.CAPACITY, created_ms=10)


def met(*mishaps: Mishap, who: Met = MET, now_ms: int = 100) -> str:
    found = first_met(mishaps, MishapKind.CAPACITY, who, now_ms)
    return found.id if found else ""


@pytest.mark.parametrize(
    ("mishap", "expected"),
    [
        (ANY, "one"),
        (replace(ANY, group="workers"), "one"),
        (replace(ANY, group="work"), ""),
        (replace(ANY, cluster="first", group="workers"), "one"),
        (replace(ANY, cluster="second"), ""),
        (replace(ANY, what=MishapKind.BOOT_NEVER), ""),
        (replace(ANY, left=1), "one"),
        (replace(ANY, left=0), ""),
        (replace(ANY, left=0, struck=("i-1",)), "one"),
        (replace(ANY, expires_ms=101), "one"),
        (replace(ANY, expires_ms=100), ""),
        (replace(ANY, expires_ms=100, struck=("i-1",)), ""),
    ],
)
def test_an_instance_meets_what_is_meant_for_it_and_not_over(mishap: Mishap, expected: str) -> None:
    assert met(mishap) == expected


def test_the_oldest_is_met_first_and_by_the_same_instance_again() -> None:
    older, newer = replace(ANY, id="older", created_ms=1), replace(ANY, id="newer", created_ms=2)
    assert met(newer, older) == "older"
    assert met(older, struck(newer, "i-1")) == "newer"


def test_meeting_it_uses_it_up() -> None:
    once = struck(replace(ANY, left=2), "i-1")
    assert (once.left, once.struck, once.revision) == (1, ("i-1",), 2)
    assert met(struck(once, "i-2"), who=replace(MET, instance_id="i-3")) == ""


def test_only_the_last_ones_are_remembered() -> None:
    many = replace(ANY, struck=tuple(f"i-{n}" for n in range(STRUCK_MAX)))
    after = struck(many, "last")
    assert len(after.struck) == STRUCK_MAX
    assert after.struck[-1] == "last"
