"""Whose turn it is among all that is owed: fairness, bounds, and that nothing is forgotten."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.core.lanes import Lane, LaneLimits, LaneName, Lanes, Read, Try
from tocsin.model.names import Scope

SCOPE = Scope("111122223333", "us-west-2")


def name(text: str) -> LaneName:
    return SCOPE, text


def lanes(**given: int) -> Lanes:
    usual = {"in_flight_max": 100, "lane_in_flight_max": 100, "lane_in_flight_own": 1}
    return Lanes(LaneLimits(**{**usual, **given}))


def started(some: Lanes, now_ms: int = 0) -> list[tuple[str, str]]:
    """All that may be tried now, in order. Lanes that ask to be read hold nothing more."""
    found = []
    while step := some.next(now_ms):
        if isinstance(step, Try):
            found.append((step.lane.name[1], step.key))
        else:
            step.lane.more = False
    return found


def test_within_a_lane_the_older_goes_first() -> None:
    some = lanes()
    for key in ("b", "a", "c"):
        some.owe(name("x"), key, {"a": 1, "b": 2, "c": 3}[key])
    assert started(some, 10) == [("x", "a"), ("x", "b"), ("x", "c")]


def test_lanes_take_turns_however_much_one_owes() -> None:
    some = lanes()
    for number in range(50):
        some.owe(name("loud"), f"{number:02}", 0)
    some.owe(name("quiet"), "only", 0)
    assert started(some)[:3] == [("loud", "00"), ("quiet", "only"), ("loud", "01")]


def test_what_is_not_due_waits_for_its_alarm() -> None:
    some = lanes()
    some.owe(name("x"), "a", 500)
    assert started(some, 499) == []
    assert some.alarm_ms == 500
    assert started(some, 500) == [("x", "a")]


def test_an_alarm_is_set_once_however_often_a_lane_is_looked_at() -> None:
    some = lanes()
    for number in range(100):
        some.owe(name("x"), f"{number}", 1000 + number)
        assert started(some, 0) == []
    assert len(some._alarms) == 1


def test_lanes_that_hang_leave_every_other_lane_its_own() -> None:
    some = lanes(in_flight_max=4, lane_in_flight_max=8, lane_in_flight_own=2)
    for lane in ("dead", "hanging", "alive"):
        for number in range(20):
            some.owe(name(lane), f"{number:02}", 0)
    flying = Counter(lane for lane, _ in started(some))
    assert sum(flying.values()) == 4 + 3 * 2
    some.owe(name("late"), "a", 0)
    some.owe(name("late"), "b", 0)
    assert started(some) == [("late", "a"), ("late", "b")]


def test_a_landing_gives_its_place_to_whoever_waits() -> None:
    some = lanes(in_flight_max=0, lane_in_flight_own=1)
    some.owe(name("x"), "a", 0)
    some.owe(name("x"), "b", 0)
    assert started(some) == [("x", "a")]
    some.gone(some.by_name[name("x")], "a")
    assert started(some) == [("x", "b")]


def test_a_lane_that_rests_is_left_alone_until_then() -> None:
    some = lanes()
    some.owe(name("x"), "a", 0)
    some.rest(some.by_name[name("x")], 700)
    assert started(some, 699) == []
    assert some.alarm_ms == 700
    assert started(some, 700) == [("x", "a")]


def test_a_lane_is_read_on_only_when_it_has_nothing_to_try_and_room() -> None:
    some = lanes(lane_known_own=2, known_max=0)
    some.stored(name("x"), 10)
    lane = some.open(name("x"))
    assert some.next(0) == Read(lane)
    assert some.know(lane, "a", 0)
    assert some.know(lane, "b", 900)
    assert not some.know(lane, "c", 0)
    assert started_keys(some, lane) == ["a"]
    assert some.next(0) == Read(lane), "there is room for one again"
    assert some.know(lane, "c", 900)
    assert some.next(0) is None
    assert some.alarm_ms == 900


def started_keys(some: Lanes, lane: Lane) -> list[str]:
    step = some.next(0)
    assert isinstance(step, Try)
    assert step.lane is lane
    return [step.key]


def test_what_arrives_beyond_what_was_read_is_read_later_and_not_known_now() -> None:
    some = lanes()
    some.stored(name("x"), 2)
    lane = some.open(name("x"))
    lane.read_to = "m"
    some.owe(name("x"), "z", 0)
    some.owe(name("x"), "a", 0)
    assert set(lane.known) == {"a"}
    assert lane.more
    assert lane.owed == 4


def test_a_lane_that_owes_nothing_is_forgotten_with_whatever_was_miscounted() -> None:
    some = lanes()
    some.owe(name("x"), "a", 0)
    assert started(some) == [("x", "a")]
    some.gone(some.by_name[name("x")], "a", owed=False)
    assert started(some) == []
    assert some.by_name == {}
    assert some.owed == 0


def test_what_nobody_told_of_is_found_by_counting() -> None:
    some = lanes()
    some.owe(name("x"), "b", 0)
    assert started(some) == [("x", "b")]
    some.stored(name("x"), 1)
    assert not some.by_name[name("x")].more, "what is known is all there is"
    some.stored(name("x"), 2)
    assert some.owed == 2
    assert some.next(0) == Read(some.by_name[name("x")])
    assert some.by_name[name("x")].read_to == ""


class Game:
    """A store of keys and what is under way, played against the lanes."""

    def __init__(self, limits: LaneLimits, data: st.DataObject) -> None:
        self.lanes, self.limits, self.data = Lanes(limits), limits, data
        self.stored: dict[str, set[str]] = {lane: set() for lane in "xyz"}
        self.flying: set[tuple[str, str]] = set()
        self.now_ms = self.made = 0

    def open(self, lane: str) -> None:
        """What was there before the start."""
        self.stored[lane] = {f"0{number}" for number in range(self.data.draw(st.integers(0, 5)))}
        if self.stored[lane]:
            self.lanes.stored(name(lane), len(self.stored[lane]))

    def turn(self) -> None:
        """Every step there is, until all wait."""
        while step := self.lanes.next(self.now_ms):
            lane = step.lane.name[1]
            if isinstance(step, Try):
                assert step.key in self.stored[lane]
                assert (lane, step.key) not in self.flying
                self.flying.add((lane, step.key))
            else:
                self.read(step.lane)
        self.check()

    def read(self, lane: Lane) -> None:
        page = sorted(key for key in self.stored[lane.name[1]] if key > lane.read_to)[:2]
        lane.more = len(page) == 2
        for key in page:
            if not self.lanes.know(lane, key, 0):
                lane.more = True
                break

    def check(self) -> None:
        some, limits = self.lanes, self.limits
        assert all(len(lane.flying) <= limits.lane_in_flight_max for lane in some.by_name.values())
        assert len(self.flying) <= limits.in_flight_max + 3 * limits.lane_in_flight_own
        beyond = sum(max(0, len(lane.known) - limits.lane_known_own) for lane in some.by_name.values())
        assert beyond <= limits.known_max + limits.in_flight_max + 3 * limits.lane_in_flight_own
        assert some.owed == sum(map(len, self.stored.values()))

    def land(self, lane: str, key: str, *, again: bool) -> None:
        self.flying.remove((lane, key))
        if again:
            self.lanes.again(self.lanes.by_name[name(lane)], key, self.now_ms + self.data.draw(st.integers(0, 50)))
        else:
            self.stored[lane].remove(key)
            self.lanes.gone(self.lanes.by_name[name(lane)], key)

    def arrive(self, lane: str) -> None:
        """In any order: commits of the same moment are announced as they come."""
        self.made += 1
        key = f"{self.data.draw(st.integers(0, 2))}-{self.made}"
        self.stored[lane].add(key)
        self.lanes.owe(name(lane), key, self.now_ms)

    def play(self) -> None:
        self.turn()
        landing: bool = self.data.draw(st.booleans())
        if self.flying and landing:
            lane, key = self.data.draw(st.sampled_from(sorted(self.flying)))
            self.land(lane, key, again=self.data.draw(st.booleans()))
        else:
            self.arrive(self.data.draw(st.sampled_from("xyz")))
        self.now_ms += self.data.draw(st.integers(0, 20))

    def finish(self) -> None:
        """Everything works from now on."""
        self.turn()
        while self.flying or self.lanes.alarm_ms is not None:
            for lane, key in sorted(self.flying):
                self.land(lane, key, again=False)
            self.now_ms = max(self.now_ms, self.lanes.alarm_ms or 0)
            self.turn()


@settings(max_examples=300, deadline=None)
@given(
    in_flight=st.integers(0, 4),
    lane_in_flight=st.integers(1, 5),
    own=st.integers(1, 3),
    known=st.integers(0, 4),
    known_own=st.integers(1, 3),
    turns=st.integers(0, 25),
    data=st.data(),
)
def test_law_all_that_is_owed_is_tried_within_the_bounds_until_it_is_gone(
    in_flight: int, lane_in_flight: int, own: int, known: int, known_own: int, turns: int, data: st.DataObject
) -> None:
    limits = LaneLimits(
        in_flight_max=in_flight,
        lane_in_flight_max=max(own, lane_in_flight),
        lane_in_flight_own=own,
        known_max=known,
        lane_known_own=known_own,
    )
    game = Game(limits, data)
    for lane in "xyz":
        game.open(lane)
    for _ in range(turns):
        game.play()
    game.finish()
    assert game.stored == {"x": set(), "y": set(), "z": set()}
    some = game.lanes
    assert (some.owed, some.by_name, some._known, some._flying) == (0, {}, 0, 0)
