"""Lanes: whose turn it is among all that is owed to the outside. The outbox asks for the next step and performs it.

Knows names and times of deliveries, no bodies and no store. What a lane owes beyond what is known here is read on
when it has nothing to try, so memory is bounded however much is owed.
"""

from heapq import heappop, heappush

from msgspec import Struct

from tocsin.model.names import Scope

LaneName = tuple[Scope, str]


class LaneLimits(Struct, frozen=True, kw_only=True):
    """How much at once. Each lane has attempts and known deliveries of its own that no other can take from it; beyond
    those it shares a common stock."""

    in_flight_max: int = 256  # beyond each lane's own
    lane_in_flight_max: int = 32
    lane_in_flight_own: int = 2
    known_max: int = 100_000  # beyond each lane's own; some 300 bytes each
    lane_known_own: int = 100


class Lane:
    """What shares a fate. `read_to` is the key up to which the store was read; `more` whether it may hold others."""

    def __init__(self, name: LaneName) -> None:
        self.name = name
        self.owed = 0
        self.more = False
        self.read_to = ""
        self.failing_since_ms = 0
        self.rests_until_ms = 0
        self.leaving = 0  # owed still, and being given up
        self.alarm_ms: int | None = None  # the earliest that is set
        self.flying: set[str] = set()
        self.known: dict[str, int] = {}  # key -> when it is due
        self._line: list[tuple[int, str]] = []  # the same as a heap; what does not agree with `known` is over

    def add(self, key: str, due_ms: int) -> None:
        self.known[key] = due_ms
        heappush(self._line, (due_ms, key))

    def first(self) -> tuple[int, str] | None:
        """Of the known ones that are not in flight, the one that is due first."""
        while self._line and self.known.get(self._line[0][1]) != self._line[0][0]:
            heappop(self._line)
        return self._line[0] if self._line else None


class Read(Struct, frozen=True):
    """Read the lane on from `lane.read_to`, and tell `know` what was found."""

    lane: Lane


class Try(Struct, frozen=True):
    """Try the delivery of this key, and tell `again` or `gone` what became of it."""

    lane: Lane
    key: str


class Lanes:
    def __init__(self, limits: LaneLimits) -> None:
        self.limits = limits
        self.by_name: dict[LaneName, Lane] = {}
        self.owed = 0
        self._known = 0  # what lanes know beyond their own
        self._flying = 0  # what flies beyond the lanes' own
        self._ready: dict[LaneName, None] = {}  # in turn
        self._starved: dict[LaneName, None] = {}  # have something to try, and wait for the common stock
        self._alarms: list[tuple[int, LaneName]] = []

    def open(self, name: LaneName) -> Lane:
        """The lane of this name."""
        lane = self.by_name.get(name)
        if lane is None:
            lane = self.by_name[name] = Lane(name)
        self._ready[name] = None
        return lane

    def stored(self, name: LaneName, count: int) -> None:
        """The store holds so many deliveries of a lane. More than was told: it is read from its beginning."""
        lane = self.open(name)
        if count > lane.owed:
            self._owe(lane, count - lane.owed)
            lane.more, lane.read_to = True, ""

    def owe(self, name: LaneName, key: str, due_ms: int) -> None:
        """One more is in the store. It may have been read there already."""
        lane = self.open(name)
        self._owe(lane, 1)
        if not (lane.more and key > lane.read_to) and not self.know(lane, key, due_ms):
            lane.more, lane.read_to = True, min(lane.read_to, key[:-1])  # the next reading begins before it

    def know(self, lane: Lane, key: str, due_ms: int) -> bool:
        """Whether there was room to know it."""
        if key not in lane.known and key not in lane.flying:
            if not self._room(lane):
                return False
            self._add(lane, key, due_ms)
        lane.read_to = max(lane.read_to, key)
        return True

    def again(self, lane: Lane, key: str, due_ms: int) -> None:
        self._land(lane, key)
        self._add(lane, key, due_ms)

    def gone(self, lane: Lane, key: str, *, owed: bool = True) -> None:
        """It is no longer in the store. `owed`: it was counted, and is not any more."""
        self._land(lane, key)
        self._owe(lane, -1 if owed else 0)

    def rest(self, lane: Lane, until_ms: int) -> None:
        lane.rests_until_ms = max(lane.rests_until_ms, until_ms)

    def next(self, now_ms: int) -> Read | Try | None:
        """What to do now, each lane in its turn; None when there is nothing before `alarm`, or a landing."""
        while self._alarms and self._alarms[0][0] <= now_ms:
            self._wake(*heappop(self._alarms))
        while self._ready:
            name = next(iter(self._ready))
            del self._ready[name]
            lane = self.by_name.get(name)
            step = self._step(lane, now_ms) if lane else None
            if step is not None:
                self._ready[name] = None  # behind the others
                return step
        return None

    @property
    def alarm_ms(self) -> int | None:
        """When there will be something to do, if nothing happens before."""
        return self._alarms[0][0] if self._alarms else None

    def _step(self, lane: Lane, now_ms: int) -> Read | Try | None:
        first = lane.first()
        if lane.rests_until_ms > now_ms:
            self._alarm(lane, lane.rests_until_ms)
        elif first is not None and first[0] <= now_ms:
            return self._start(lane, first[1])
        elif lane.more and self._room(lane):
            return Read(lane)
        elif first is not None:
            self._alarm(lane, first[0])
        elif not lane.flying and not lane.more:
            self._owe(lane, -lane.owed)  # all was read, and nothing is there: whatever else was counted is not owed
            del self.by_name[lane.name]
        return None

    def _start(self, lane: Lane, key: str) -> Try | None:
        flying, limits = len(lane.flying), self.limits
        if flying >= limits.lane_in_flight_max:
            return None  # its next landing makes it ready
        if flying >= limits.lane_in_flight_own:
            if self._flying >= limits.in_flight_max:
                self._starved[lane.name] = None
                return None
            self._flying += 1
        self._known -= len(lane.known) > limits.lane_known_own
        del lane.known[key]
        lane.flying.add(key)
        return Try(lane, key)

    def _land(self, lane: Lane, key: str) -> None:
        if len(lane.flying) > self.limits.lane_in_flight_own:
            self._flying -= 1
            self._ready |= self._starved
            self._starved.clear()
        lane.flying.remove(key)
        self._ready[lane.name] = None

    def _add(self, lane: Lane, key: str, due_ms: int) -> None:
        lane.add(key, due_ms)
        self._known += len(lane.known) > self.limits.lane_known_own

    def _room(self, lane: Lane) -> bool:
        return len(lane.known) < self.limits.lane_known_own or self._known < self.limits.known_max

    def _alarm(self, lane: Lane, at_ms: int) -> None:
        if lane.alarm_ms is None or at_ms < lane.alarm_ms:
            lane.alarm_ms = at_ms
            heappush(self._alarms, (at_ms, lane.name))

    def _wake(self, at_ms: int, name: LaneName) -> None:
        self._ready[name] = None
        lane = self.by_name.get(name)
        if lane and lane.alarm_ms == at_ms:
            lane.alarm_ms = None

    def _owe(self, lane: Lane, count: int) -> None:
        lane.owed += count
        self.owed += count
