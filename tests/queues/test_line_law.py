"""The law of the line, against a naive model: nothing lost, nothing twice while hidden, groups in their order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.core.queues.line import Held, Line

STEP = st.one_of(
    st.tuples(st.just("send"), st.integers(0, 2), st.integers(0, 3)),  # group, delay
    st.tuples(st.just("receive"), st.integers(1, 4), st.integers(0, 5)),  # most, hidden for
    st.tuples(st.just("delete"), st.integers(0, 50), st.just(0)),
    st.tuples(st.just("hide"), st.integers(0, 50), st.integers(0, 5)),
    st.tuples(st.just("wait"), st.integers(1, 4), st.just(0)),
    st.tuples(st.just("fail"), st.integers(1, 4), st.just(0)),
)


class Naive:
    """The same queue without any hurry: what may be received, found by looking at everything."""

    def __init__(self, *, fifo: bool) -> None:
        self.fifo = fifo
        self.messages: dict[int, Held] = {}

    def ready(self, now: int) -> set[int]:
        return {seq for seq, held in self.messages.items() if self._free(seq, held, now)}

    def _free(self, seq: int, held: Held, now: int) -> bool:
        if held.visible_at_ms > now:
            return False
        if not self.fifo:
            return True
        group = [(other, one) for other, one in self.messages.items() if one.group_id == held.group_id]
        return all(one.visible_at_ms <= now for other, one in group if one.receives or (other < seq))


@settings(max_examples=150, deadline=None)
@given(fifo=st.booleans(), steps=st.lists(STEP, max_size=60))
def test_the_line_agrees_with_the_naive_queue(fifo: bool, steps: list[tuple[str, int, int]]) -> None:
    line, naive, now, sequence, deleted = Line(fifo=fifo), Naive(fifo=fifo), 100, 0, 0
    for what, first, second in steps:
        known = sorted(naive.messages)
        match what:
            case "send":
                sequence += 1
                held = Held(
                    sequence=sequence,
                    revision=1,
                    sent_ms=now,
                    visible_at_ms=now + second,
                    receives=0,
                    received_ms=0,
                    group_id=f"g{first}",
                )
                naive.messages[sequence] = held
                line.add(held)
            case "receive" | "fail":
                ready = naive.ready(now)
                takes = line.pick(now, first, sent_after_ms=-1).takes
                got = [held.sequence for held in takes]
                assert set(got) <= ready
                assert len(got) == min(first, len(ready))
                assert line.pick(now, 0, sent_after_ms=-1).all() == []
                if fifo:
                    for group in {naive.messages[seq].group_id for seq in got}:
                        mine = [seq for seq in got if naive.messages[seq].group_id == group]
                        head = sorted(seq for seq in known if naive.messages[seq].group_id == group)
                        assert mine == head[: len(mine)]
                else:
                    assert got == sorted(got)
                for held in takes:
                    if what == "receive":
                        held.receives += 1
                        held.visible_at_ms = now + second
                    line.changed(held)
            case "delete" if known:
                line.remove(naive.messages.pop(known[first % len(known)]))
                deleted += 1
            case "hide" if known and naive.messages[known[first % len(known)]].receives:
                held = naive.messages[known[first % len(known)]]
                held.visible_at_ms = now + second
                line.changed(held)
            case "wait":
                now += first
        opens = line.opens_ms(now)
        assert (opens is not None and opens <= now) == bool(naive.ready(now))
    assert set(line.held) == set(naive.messages)
    assert len(line.held) + deleted == sequence
    counts = line.counts(now)
    assert counts.visible + counts.in_flight + counts.delayed == len(line.held)


def test_a_clock_that_goes_back_loses_no_message() -> None:
    line = Line(fifo=False)
    line.add(Held(sequence=1, revision=1, sent_ms=0, visible_at_ms=10, receives=0, received_ms=0, group_id=""))
    assert line.opens_ms(10) == 10
    assert line.pick(5, 1, sent_after_ms=-1).takes == []
    assert len(line.pick(10, 1, sent_after_ms=-1).takes) == 1


def test_a_line_that_is_received_for_ever_does_not_grow() -> None:
    line = Line(fifo=False)
    line.add(Held(sequence=1, revision=1, sent_ms=0, visible_at_ms=0, receives=0, received_ms=0, group_id=""))
    for _ in range(10_000):
        line.changed(line.held[1])
    assert len(line._waiting) + len(line._ready) < 300
