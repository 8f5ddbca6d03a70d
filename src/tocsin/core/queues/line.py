"""The line at one queue: what is known of each message without its body, and which may be received now.

A lane is what must go in order: a group of a FIFO queue, each message by itself in a standard queue. A lane is closed
while one of its messages is in flight or delayed at its head. Lanes wait in a heap by the time they open, and stand
ready in a second one by their first message; entries of a lane that was filed again since are passed over.
The services keep it in step with the store; it knows no clock.
"""

from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable
from heapq import heapify, heappop, heappush

from msgspec import Struct, field

MOVES_AT_ONCE = 100  # dead letters and expired messages that one receive takes along
COMPACT_ABOVE = 64


class Held(Struct, kw_only=True, gc=False):
    """A message in the line. `claimed`: a commit about it is under way, and nobody else may take it."""

    sequence: int
    revision: int
    sent_ms: int
    visible_at_ms: int
    receives: int
    received_ms: int
    group_id: str
    claimed: bool = False


class Picked(Struct, kw_only=True):
    """What a receive takes: to hand out, to move to the dead-letter queue, to drop for its age. All are claimed."""

    takes: list[Held] = field(default_factory=list)
    dead: list[Held] = field(default_factory=list)
    expired: list[Held] = field(default_factory=list)

    def all(self) -> list[Held]:
        return [*self.takes, *self.dead, *self.expired]


class Counts(Struct, frozen=True):
    visible: int
    in_flight: int
    delayed: int


class _Lane:
    __slots__ = ("claims", "received", "sequences", "stamp")

    def __init__(self) -> None:
        self.sequences: list[int] = []
        self.received: set[int] = set()  # those that were ever received: a handful, at the lane's head
        self.claims = 0
        self.stamp = 0


class Line:
    def __init__(self, *, fifo: bool) -> None:
        self.fifo = fifo
        self.held: dict[int, Held] = {}
        self._lanes: dict[Hashable, _Lane] = {}
        self._waiting: list[tuple[int, int, Hashable]] = []  # opens at, stamp, lane
        self._ready: list[tuple[int, int, Hashable]] = []  # first sequence, stamp, lane
        self._ages: list[tuple[int, int]] = []  # sent, sequence
        self._stamp = 0

    def add(self, held: Held) -> None:
        assert held.sequence not in self.held
        self.held[held.sequence] = held
        key = self._key(held)
        lane = self._lanes.setdefault(key, _Lane())
        insort(lane.sequences, held.sequence)
        if held.receives:
            lane.received.add(held.sequence)
        heappush(self._ages, (held.sent_ms, held.sequence))
        self._file(key, lane)

    def remove(self, held: Held) -> None:
        """Does nothing when it is not in the line any more."""
        if self.held.get(held.sequence) is not held:
            return
        del self.held[held.sequence]
        key = self._key(held)
        lane = self._lanes[key]
        del lane.sequences[bisect_left(lane.sequences, held.sequence)]
        lane.received.discard(held.sequence)
        lane.claims -= held.claimed
        self._file(key, lane)

    def changed(self, held: Held) -> None:
        """The message's numbers are other than they were: its claim, if any, ends."""
        if self.held.get(held.sequence) is not held:
            return
        key = self._key(held)
        lane = self._lanes[key]
        lane.claims -= held.claimed
        held.claimed = False
        if held.receives:
            lane.received.add(held.sequence)
        self._file(key, lane)

    def release(self, claimed: Iterable[Held]) -> None:
        for held in claimed:
            self.changed(held)

    def pick(self, now_ms: int, most: int, *, sent_after_ms: int, receives_max: int = 0) -> Picked:
        """Claim up to `most` messages that may be received, oldest first. `receives_max` 0: none is a dead letter."""
        picked = Picked()
        self._open(now_ms)
        while self._ready and len(picked.takes) < most:
            _, stamp, key = self._ready[0]
            lane = self._lanes.get(key)
            if lane is None or lane.stamp != stamp:
                heappop(self._ready)
                continue
            if len(picked.dead) + len(picked.expired) >= MOVES_AT_ONCE:
                break
            heappop(self._ready)
            self._pick_from(lane, picked, now_ms, most, sent_after_ms, receives_max)
            if not lane.claims:  # the clock went back
                self._file(key, lane)
        return picked

    def _pick_from(
        self, lane: _Lane, picked: Picked, now_ms: int, most: int, sent_after_ms: int, receives_max: int
    ) -> None:
        for sequence in lane.sequences:
            held = self.held[sequence]
            if held.visible_at_ms > now_ms or len(picked.takes) >= most:
                break
            if len(picked.dead) + len(picked.expired) >= MOVES_AT_ONCE:
                break
            if held.sent_ms <= sent_after_ms:
                picked.expired.append(held)
            elif receives_max and held.receives >= receives_max:
                picked.dead.append(held)
            else:
                picked.takes.append(held)
            held.claimed = True
            lane.claims += 1

    def aged(self, sent_after_ms: int, most: int) -> list[Held]:
        """Claim up to `most` messages that were sent no later than this."""
        found: list[Held] = []
        while self._ages and self._ages[0][0] <= sent_after_ms and len(found) < most:
            _, sequence = self._ages[0]
            held = self.held.get(sequence)
            if held is not None and held.claimed:
                break  # next time
            heappop(self._ages)
            if held is not None and held.sent_ms <= sent_after_ms:
                self.claim(held)
                found.append(held)
        return found

    def claim(self, held: Held) -> None:
        assert not held.claimed
        key = self._key(held)
        lane = self._lanes[key]
        held.claimed = True
        lane.claims += 1
        self._file(key, lane)

    def keep_aging(self, held: Iterable[Held]) -> None:
        """Those that `aged` gave and that are still there: put them back."""
        for one in held:
            if self.held.get(one.sequence) is one:
                heappush(self._ages, (one.sent_ms, one.sequence))

    def opens_ms(self, now_ms: int) -> int | None:
        """When there is, or will be, something to receive as things stand; None: not before something changes."""
        self._open(now_ms)
        self._trim(self._ready)
        if self._ready:
            return now_ms
        self._trim(self._waiting)
        return self._waiting[0][0] if self._waiting else None

    def counts(self, now_ms: int) -> Counts:
        later = [held for held in self.held.values() if held.visible_at_ms > now_ms]
        flying = sum(held.receives > 0 for held in later)
        return Counts(len(self.held) - len(later), flying, len(later) - flying)

    def clear(self) -> list[Held]:
        """Take all out, and answer what there was."""
        gone = list(self.held.values())
        for part in (self.held, self._lanes, self._waiting, self._ready, self._ages):
            part.clear()
        return gone

    def _key(self, held: Held) -> Hashable:
        return held.group_id if self.fifo else held.sequence

    def _file(self, key: Hashable, lane: _Lane) -> None:
        self._stamp += 1
        lane.stamp = self._stamp  # what was filed before counts no more
        if not lane.sequences:
            del self._lanes[key]
        elif not lane.claims:
            at = max(self.held[sequence].visible_at_ms for sequence in (lane.sequences[0], *lane.received))
            heappush(self._waiting, (at, lane.stamp, key))
            self._compact()

    def _open(self, now_ms: int) -> None:
        while self._waiting and self._waiting[0][0] <= now_ms:
            _, stamp, key = heappop(self._waiting)
            lane = self._lanes.get(key)
            if lane is not None and lane.stamp == stamp:
                heappush(self._ready, (lane.sequences[0], stamp, key))

    def _trim(self, heap: list[tuple[int, int, Hashable]]) -> None:
        while heap and not self._current(heap[0]):
            heappop(heap)

    def _current(self, entry: tuple[int, int, Hashable]) -> bool:
        lane = self._lanes.get(entry[2])
        return lane is not None and lane.stamp == entry[1]

    def _compact(self) -> None:
        """Entries passed over stay until their time comes; keep them fewer than the lanes."""
        for heap in (self._waiting, self._ready):
            if len(heap) > 2 * len(self._lanes) + COMPACT_ABOVE:
                heap[:] = [entry for entry in heap if self._current(entry)]
                heapify(heap)
        if len(self._ages) > 2 * len(self.held) + COMPACT_ABOVE:
            self._ages = [(held.sent_ms, held.sequence) for held in self.held.values()]
            heapify(self._ages)
