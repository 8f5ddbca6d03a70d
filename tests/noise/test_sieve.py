"""What a control holds back, event by event: the laws, and each gate on examples."""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.noise.test_control import controls
from tocsin.core.noise import Sieve, Taken, control_of, digest_of
from tocsin.model.event import Event
from tocsin.model.names import Scope
from tocsin.model.noise import Control, Window

HERE = Scope("111111111111", "eu-central-1")
START_MS = 1_700_000_000_000


def event(number: int, at_s: float, **detail: Any) -> Event:
    body = json.dumps({"id": f"e{number}", "detail": detail}).encode()
    return Event(scope=HERE, bus="default", id=f"e{number}", at_ms=START_MS + int(at_s * 1000), body=body)


def sieve(control: Control) -> Sieve:
    return Sieve(scope=HERE, bus="default", rule="r", target_id="t", control=control)


def sift(control: Control, events: Sequence[Event]) -> tuple[list[Taken], dict[str, Window]]:
    """What became of each, and the windows that are left."""
    windows: dict[str, Window] = {}
    taken: list[Taken] = []
    for one in events:
        taken.append(sieve(control).take(one, windows))
        windows |= {window.key: window for window in taken[-1].windows}
    return taken, windows


def passed(text: str, events: Sequence[Event]) -> list[str]:
    taken, _ = sift(control_of(text), events)
    return [one.id for one, what in zip(events, taken, strict=True) if not what.gate]


# laws

moments = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from("ab"), st.sampled_from("xyz")), min_size=1, max_size=40
).map(lambda given: [event(n, at, k=key, v=value) for n, (at, key, value) in enumerate(sorted(given))])
loud = st.sampled_from(
    [
        "throttle=2/5s",
        "deduplicate=detail.k/7s",
        "on-change=detail.v/detail.k",
        "on-change=detail.v deduplicate=detail.k/3s throttle=1/4s",
        "deduplicate=detail.k+detail.v/60s throttle=3/60s",
    ]
).map(control_of)


@given(loud, moments)
def test_digests_count_what_their_windows_held_back_and_nothing_is_lost(control: Control, events: list[Event]) -> None:
    """Delivered and held back are all that matched; what a throttle held back is told by exactly one digest."""
    taken, windows = sift(control, events)
    delivered = [one for one in taken if not one.gate]
    assert all(one.why and one.gate for one in taken if one not in delivered)
    throttled = [one.id for one, what in zip(events, taken, strict=True) if what.gate == "throttle"]
    ended = [one.ended for one in taken if one.ended]
    left = [window for window in windows.values() if window.held]
    assert sum(window.held for window in [*ended, *left]) == len(throttled)
    told = []
    for window in [*ended, *left]:
        detail = json.loads(digest_of(window, 1 << 41).body)["detail"]
        told.append((detail["FirstHeldBack"]["Id"], detail["LastHeldBack"]["Id"], detail["HeldBack"]))
    place = 0
    for first, last, count in told:  # the digests lie one after the other over what was held back
        assert (throttled[place], throttled[place + count - 1]) == (first, last)
        place += count
    assert place == len(throttled)


@given(controls, moments)
def test_the_same_events_are_held_back_the_same_and_the_first_always_passes(
    control: Control, events: list[Event]
) -> None:
    first, again = sift(control, events), sift(control, events)
    assert first == again
    assert not first[0][0].gate


@given(st.integers(1, 4), st.integers(1, 9), moments)
def test_a_throttle_lets_through_at_most_so_many_in_its_window(most: int, window_s: int, events: list[Event]) -> None:
    """Windows follow each other, so that no stretch of one window's length sees more than two of them."""
    _, windows = sift(control := control_of(f"throttle={most}/{window_s}s"), events)
    assert all(window.delivered <= most for window in windows.values())
    went = [one.at_ms for one, what in zip(events, sift(control, events)[0], strict=True) if not what.gate]
    for at in went:
        assert sum(at <= other < at + window_s * 1000 for other in went) <= 2 * most


@given(st.integers(1, 9), moments)
def test_alike_events_pass_once_in_a_window(window_s: int, events: list[Event]) -> None:
    taken, _ = sift(control_of(f"deduplicate=detail.k+detail.v/{window_s}s"), events)
    went: dict[bytes, int] = {}
    for one, what in zip(events, taken, strict=True):
        key = json.dumps(json.loads(one.body)["detail"]).encode()
        due = key not in went or one.at_ms >= went[key] + window_s * 1000
        assert bool(what.gate) is not due
        if due:
            went[key] = one.at_ms


@given(moments)
def test_only_changes_pass(events: list[Event]) -> None:
    taken, _ = sift(control_of("on-change=detail.v/detail.k"), events)
    last: dict[str, str] = {}
    for one, what in zip(events, taken, strict=True):
        detail = json.loads(one.body)["detail"]
        assert bool(what.gate) is (last.get(detail["k"]) == detail["v"])
        last[detail["k"]] = detail["v"]


# examples


def test_a_window_opens_with_a_delivery_and_not_with_what_is_held_back() -> None:
    events = [event(n, at, k="a") for n, at in enumerate((0, 4, 5, 9, 10))]
    assert passed("deduplicate=detail.k/5s", events) == ["e0", "e2", "e4"]


def test_a_change_that_a_later_gate_held_back_is_still_a_change() -> None:
    """Else the target would never hear of the state that it is left in."""
    events = [event(0, 0, v="up"), event(1, 1, v="down"), event(2, 20, v="down"), event(3, 40, v="down")]
    assert passed("on-change=detail.v throttle=1/10s", events) == ["e0", "e2"]


def test_the_gate_that_holds_back_is_named_with_its_reason() -> None:
    taken, _ = sift(control_of("deduplicate=detail.k/5s"), [event(0, 0, k="a"), event(1, 1, k="a")])
    assert (taken[1].gate, taken[1].why) == ("deduplicate", "within 5 s of e0, which is alike")
    taken, _ = sift(control_of("throttle=1/60s"), [event(0, 0), event(1, 1)])
    assert (taken[1].gate, taken[1].why) == ("throttle", "1 within 60 s are enough")
    taken, _ = sift(control_of("on-change=detail.v"), [event(0, 0, v=1), event(1, 1, v=1)])
    assert (taken[1].gate, taken[1].why) == ("on-change", "detail.v is what it was in e0")


def test_a_value_that_is_not_there_is_a_value_of_its_own() -> None:
    events = [event(0, 0), event(1, 1, v=None), event(2, 2, v=None), event(3, 3), event(4, 4)]
    assert passed("on-change=detail.v", events) == ["e0", "e1", "e3"]


def test_a_digest_is_an_event_of_ours_and_always_the_same() -> None:
    events = [event(n, at) for n, at in enumerate((0, 1, 2, 3.5))]
    _, windows = sift(control_of("throttle=1/60s"), events)
    [window] = windows.values()
    digest = digest_of(window, START_MS + 61_000)
    told = json.loads(digest.body)
    assert (told["source"], told["detail-type"], told["id"]) == ("tocsin", "Tocsin Digest", digest.id)
    assert told["resources"] == ["arn:aws:events:eu-central-1:111111111111:rule/r"]
    assert told["detail"] == {
        "EventBusName": "default",
        "RuleName": "r",
        "TargetId": "t",
        "WindowStart": "2023-11-14T22:13:20Z",
        "WindowEnd": "2023-11-14T22:14:20Z",
        "WindowSeconds": 60,
        "Delivered": 1,
        "HeldBack": 3,
        "FirstHeldBack": {"Id": "e1", "Time": "2023-11-14T22:13:21Z"},
        "LastHeldBack": {"Id": "e3", "Time": "2023-11-14T22:13:23Z"},
    }
    assert digest_of(window, START_MS + 99_000).id == digest.id
